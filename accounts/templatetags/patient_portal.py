"""What the card "Patient portal" of a patient's page shows."""

from __future__ import annotations

from dataclasses import dataclass

from django import template
from django.utils import timezone

from accounts.actions import open_invitations
from accounts.models import Appointment, Consent, Message, Patient, PatientInvitation, User

register = template.Library()


@dataclass(frozen=True, slots=True)
class PatientPortal:
    """How one record stands with the portal.

    Attributes:
        words, mark: the state in words, and the mark it is shown with.
        unread: messages of the patient that no member of staff has opened.
    """

    words: str
    mark: str
    user: User | None
    invitation: PatientInvitation | None
    consents: list[Consent]
    unread: int
    last_message: Message | None
    next_appointment: Appointment | None


@register.simple_tag
def patient_portal(patient: Patient) -> PatientPortal:
    user = patient.user
    invitation = None if user else open_invitations(patient).first()
    if user is not None:
        words, mark = ("Joined", "succeeded") if user.is_active else ("Switched off", "cancelled")
    else:
        words, mark = ("Invited", "running") if invitation else ("Not invited", "cancelled")
    messages = Message.objects.filter(patient=patient)
    return PatientPortal(
        words=words,
        mark=mark,
        user=user,
        invitation=invitation,
        consents=list(Consent.objects.filter(patient=patient, withdrawn_at=None)) if user else [],
        unread=messages.filter(from_patient=True, read_at=None).count(),
        last_message=messages.last(),
        next_appointment=Appointment.objects.filter(patient=patient, cancelled_at=None, at__gt=timezone.now()).first(),
    )
