"""Pages about people."""

from django.urls import include, path

from accounts.views import emergency, notifications, patients, people_imports, roles, teams, user_access, users

urlpatterns = [
    path("account/", include("accounts.account_urls")),
    path("patients/", patients.patient_list, name="patient-list"),
    path("patients/new/", patients.patient_create, name="patient-create"),
    path("patients/<uuid:pk>/edit/", patients.patient_edit, name="patient-edit"),
    path("", include("accounts.patient_urls")),
    path("notifications/", notifications.notification_list, name="notification-list"),
    path("notifications/bell/", notifications.notification_bell, name="notification-bell"),
    path("notifications/newest/", notifications.notification_newest, name="notification-newest"),
    path("notifications/read/", notifications.notification_read, name="notification-read"),
    path("notifications/choices/", notifications.notification_choices, name="notification-choices"),
    path("notifications/<int:pk>/", notifications.notification_open, name="notification-open"),
    path("patients/<uuid:pk>/emergency/", emergency.emergency_open, name="emergency-open"),
    path("emergency-access/", emergency.emergency_list, name="emergency-list"),
    path("emergency-access/<int:pk>/", emergency.emergency_review, name="emergency-review"),
    path("emergency-access/<int:pk>/end/", emergency.emergency_end, name="emergency-end"),
    path("roles/", roles.role_table, name="role-table"),
    path("teams/", teams.team_list, name="team-list"),
    path("teams/new/", teams.team_create, name="team-create"),
    path("teams/<int:pk>/", teams.team_edit, name="team-edit"),
    path("users/", users.user_list, name="user-list"),
    path("users/new/", users.user_create, name="user-create"),
    path("users/export.csv", users.user_export, name="user-export"),
    path("users/import/", people_imports.people_import, name="people-import"),
    path("users/import/example.csv", people_imports.people_example, name="people-import-example"),
    path("users/import/<uuid:pk>/", people_imports.people_preview, name="people-import-preview"),
    path("users/import/<uuid:pk>/confirm/", people_imports.people_confirm, name="people-import-confirm"),
    path("users/import/<uuid:pk>/discard/", people_imports.people_discard, name="people-import-discard"),
    path("users/<int:pk>/", users.user_edit, name="user-edit"),
    path("users/<int:pk>/activate/", user_access.activate, name="user-activate"),
    path("users/<int:pk>/deactivate/", user_access.deactivate, name="user-deactivate"),
    path("users/<int:pk>/invite/", user_access.invite, name="user-invite"),
    path("users/<int:pk>/revoke/", user_access.revoke, name="user-revoke"),
    path("users/<int:pk>/reset-mfa/", user_access.reset_factor, name="user-reset-mfa"),
    path("users/<int:pk>/end-sessions/", user_access.end_sessions, name="user-end-sessions"),
]
