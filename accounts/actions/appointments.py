"""The verbs on appointments. Staff write them; the patient sees them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions.notifications import notify
from accounts.actions.rows import apply
from accounts.consents import Purpose, has_consent
from accounts.models import Appointment, Patient, User
from accounts.permissions import require

FIELDS = ("at", "place", "purpose")
FARTHEST = timedelta(days=3 * 365)
"""A date beyond this is a typing mistake."""


def _check(appointment: Appointment) -> None:
    appointment.full_clean()
    now = timezone.now()
    if appointment.at <= now:
        raise ValidationError({"at": "This time is over. Choose one that is to come."})
    if appointment.at > now + FARTHEST:
        raise ValidationError({"at": "This is more than three years ahead. Check the year."})


@transaction.atomic
def make_appointment(*, acting_user: User, patient: Patient, at: datetime, place: str, purpose: str) -> Appointment:
    """Note when and where the patient is expected. The same again is the same appointment.

    Raises:
        ValidationError: when a value is not allowed.
    """
    require(acting_user, "appointment", "create")
    appointment = Appointment(
        patient=patient, at=at, place=place.strip(), purpose=purpose.strip(), created_by=acting_user
    )
    _check(appointment)
    same = Appointment.objects.filter(
        patient=patient, at=at, place=appointment.place, purpose=appointment.purpose, cancelled_at=None
    ).first()
    if same is not None:
        return same
    appointment.save(force_insert=True)
    audit.record("appointment.created", actor=acting_user, target=appointment, patient=patient)
    _tell(patient, "A new appointment was made for you.")
    return appointment


@transaction.atomic
def change_appointment(*, acting_user: User, appointment: Appointment, **changes: object) -> Appointment:
    """Change time, place or purpose of an appointment that is to come.

    Raises:
        ValidationError: when a value is not allowed, or the appointment is cancelled or over.
    """
    require(acting_user, "appointment", "change")
    appointment = _still_to_come(appointment)
    changed = apply(appointment, changes, allowed=FIELDS)
    if changed:
        _check(appointment)
        appointment.save(update_fields=changed)
        audit.record(
            "appointment.changed",
            actor=acting_user,
            target=appointment,
            patient=appointment.patient,
            fields=changed,
        )
        _tell(appointment.patient, "An appointment of yours was changed.")
    return appointment


@transaction.atomic
def cancel_appointment(*, acting_user: User, appointment: Appointment) -> Appointment:
    """Cancel an appointment that is to come; it stays on the list as cancelled.

    Raises:
        ValidationError: when it is cancelled already, or over.
    """
    require(acting_user, "appointment", "change")
    appointment = _still_to_come(appointment)
    appointment.cancelled_at = timezone.now()
    appointment.save(update_fields=["cancelled_at"])
    audit.record("appointment.cancelled", actor=acting_user, target=appointment, patient=appointment.patient)
    _tell(appointment.patient, "An appointment of yours was cancelled.")
    return appointment


def _still_to_come(appointment: Appointment) -> Appointment:
    row = Appointment.objects.select_for_update(of=("self",)).select_related("patient__user").get(pk=appointment.pk)
    if row.cancelled_at is not None:
        raise ValidationError("This appointment is cancelled already. Make a new one instead.")
    if row.at <= timezone.now():
        raise ValidationError("This appointment is over and stays as it is. Make a new one instead.")
    return row


def _tell(patient: Patient, text: str) -> None:
    if patient.user is not None and has_consent(patient, Purpose.PORTAL):
        notify("appointment_changed", users=[patient.user], text=text, path=reverse("own-appointments"))
