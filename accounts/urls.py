"""Pages about people. Of allauth's addresses only those that make sense where nobody signs up."""

from allauth.account import views as allauth_views
from django.urls import include, path, re_path

from accounts.permissions import needs
from accounts.views import patients, users
from accounts.views.sign_in import SignInView

account_patterns = [
    path("login/", SignInView.as_view(), name="account_login"),
    path("logout/", needs("own_account", "view")(allauth_views.logout), name="account_logout"),
    path("inactive/", allauth_views.account_inactive, name="account_inactive"),
    path("signup/", allauth_views.signup, name="account_signup"),
    path(
        "password/change/",
        needs("own_account", "change")(allauth_views.password_change),
        name="account_change_password",
    ),
    path("password/set/", needs("own_account", "change")(allauth_views.password_set), name="account_set_password"),
    path("password/reset/", allauth_views.password_reset, name="account_reset_password"),
    path("password/reset/done/", allauth_views.password_reset_done, name="account_reset_password_done"),
    path(
        "password/reset/key/done/",
        allauth_views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        allauth_views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
]

urlpatterns = [
    path("account/", include(account_patterns)),
    path("patients/", patients.patient_list, name="patient-list"),
    path("patients/new/", patients.patient_create, name="patient-create"),
    path("patients/<uuid:pk>/edit/", patients.patient_edit, name="patient-edit"),
    path("users/", users.user_list, name="user-list"),
    path("users/new/", users.user_create, name="user-create"),
    path("users/<int:pk>/", users.user_edit, name="user-edit"),
]
