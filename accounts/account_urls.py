"""One's own account: ways in and out, second factors, sessions. Of allauth's addresses only those that make sense where
nobody signs up; their names are allauth's."""

from __future__ import annotations

from allauth.account import views as allauth_views
from allauth.mfa.base import views as factor_views
from allauth.mfa.webauthn import views as passkey_views
from django.urls import path, re_path

from accounts.permissions import needs
from accounts.reconfirm import reconfirmed
from accounts.views import account, second_factor, sign_in

own_change = needs("own_account", "change")

urlpatterns = [
    path("login/", sign_in.SignInView.as_view(), name="account_login"),
    path("logout/", needs("own_account", "view")(allauth_views.logout), name="account_logout"),
    path("inactive/", allauth_views.account_inactive, name="account_inactive"),
    path("signup/", allauth_views.signup, name="account_signup"),
    path("password/change/", own_change(allauth_views.password_change), name="account_change_password"),
    path("password/set/", own_change(reconfirmed(allauth_views.password_set)), name="account_set_password"),
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
    # Who are you, asked again
    path("reauthenticate/", own_change(allauth_views.reauthenticate), name="account_reauthenticate"),
    path("reauthenticate/code/", own_change(factor_views.reauthenticate), name="mfa_reauthenticate"),
    path(
        "reauthenticate/passkey/",
        own_change(passkey_views.reauthenticate_webauthn),
        name="mfa_reauthenticate_webauthn",
    ),
    path("reauthenticate/provider/", sign_in.reconfirm_by_provider, name="account-reconfirm-by-provider"),
    # Second factors
    path("2fa/", second_factor.factors, name="mfa_index"),
    path("2fa/code/", factor_views.authenticate, name="mfa_authenticate"),
    path("2fa/app/add/", second_factor.totp_activate, name="mfa_activate_totp"),
    path("2fa/app/remove/", second_factor.totp_deactivate, name="mfa_deactivate_totp"),
    path("2fa/passkeys/sign-in/", passkey_views.login_webauthn, name="mfa_login_webauthn"),
    path("2fa/passkeys/", second_factor.factors, name="mfa_list_webauthn"),
    path("2fa/passkeys/add/", second_factor.passkey_add, name="mfa_add_webauthn"),
    path("2fa/passkeys/<int:pk>/remove/", second_factor.passkey_remove, name="mfa_remove_webauthn"),
    path("2fa/passkeys/<int:pk>/rename/", second_factor.passkey_rename, name="mfa_edit_webauthn"),
    path("2fa/recovery-codes/", second_factor.recovery_codes, name="mfa_view_recovery_codes"),
    path("2fa/recovery-codes/new/", second_factor.recovery_codes_generate, name="mfa_generate_recovery_codes"),
    path("2fa/recovery-codes/file/", second_factor.recovery_codes_download, name="mfa_download_recovery_codes"),
    # Single sign-on
    path("provider/<slug:provider_id>/", sign_in.provider_sign_in, name="openid_connect_login"),
    path("provider/<slug:provider_id>/back/", sign_in.provider_callback, name="openid_connect_callback"),
    # Sessions and tokens
    path("session/", account.session_state, name="account-session"),
    path("sessions/", account.sessions, name="account-sessions"),
    path("sessions/others/end/", account.sessions_end_others, name="account-sessions-end-others"),
    path("sessions/<int:pk>/end/", account.session_end, name="account-session-end"),
    path("tokens/new/", account.token_create, name="account-token-create"),
    path("tokens/<int:pk>/delete/", account.token_delete, name="account-token-delete"),
]
