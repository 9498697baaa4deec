"""Patients with a log-in of their own and what they agreed to."""

from __future__ import annotations

from accounts import actions
from accounts.models import Patient, User


def with_log_in(patient: Patient, user: User, *, agreed: tuple[str, ...] = ("portal",)) -> User:
    """Tie a patient's log-in to a record, with consents given; return the log-in as it is then."""
    actions.link_patient_login(acting_user=None, patient=patient, user=user)
    user = User.objects.get(pk=user.pk)
    for purpose in agreed:
        actions.give_consent(acting_user=user, purpose=purpose)
    return user
