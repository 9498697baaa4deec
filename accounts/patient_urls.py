"""Addresses of patients' own pages, and of what the clinic does for patients' log-ins."""

from __future__ import annotations

from django.urls import path

from accounts.views import appointments, consents, messages, patient_access

urlpatterns = [
    # Open: with the code of an invitation
    path("join/", patient_access.join, name="join"),
    path("join/address/", patient_access.join_address, name="join-address"),
    path("join/password/", patient_access.join_password, name="join-password"),
    # A patient's own
    path("own/messages/", messages.own_messages, name="own-messages"),
    path("own/appointments/", appointments.own_appointments, name="own-appointments"),
    path("own/consents/", consents.own_consents, name="own-consents"),
    path("own/consents/<slug:purpose>/", consents.own_consent, name="own-consent"),
    # The clinic's side
    path("patients/<uuid:pk>/portal/invite/", patient_access.invite, name="patient-invite"),
    path("patients/<uuid:pk>/portal/revoke/", patient_access.revoke, name="patient-invitation-revoke"),
    path("patients/<uuid:pk>/portal/unlink/", patient_access.unlink, name="patient-unlink"),
    path("patients/<uuid:pk>/messages/", messages.patient_messages, name="patient-messages"),
    path("patients/<uuid:pk>/appointments/", appointments.patient_appointments, name="patient-appointments"),
    path("patients/<uuid:pk>/appointments/new/", appointments.appointment_create, name="appointment-create"),
    path("appointments/<int:pk>/", appointments.appointment_change, name="appointment-change"),
    path("appointments/<int:pk>/cancel/", appointments.appointment_cancel, name="appointment-cancel"),
]
