"""The verbs on messages between a patient and the clinic."""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions.consents import own_record_of
from accounts.actions.notifications import notify
from accounts.consents import Purpose, has_consent
from accounts.models import Message, Notification, Patient, User
from accounts.permissions import require
from accounts.roles import Role

SAME_MESSAGE = timedelta(minutes=2)
"""The same words again within this are a button pressed twice."""
OF_PATIENT_A_DAY = 20
"""More than this is a fault or a flood; nobody can answer it."""
TOO_MANY = "That was the last message for today. Nothing of this one was sent. If it cannot wait, please call us."


@transaction.atomic
def write_to_clinic(*, acting_user: User, text: str) -> Message:
    """A patient writes. Told are the administrators and the member of staff who wrote to this patient last.

    Raises:
        ValidationError: when the text is empty or too long, or there were too many today.
        PermissionDenied: when the log-in belongs to no record, or the patient does not use the website any more.
    """
    patient = own_record_of(acting_user, "change")
    if not has_consent(patient, Purpose.PORTAL):
        raise PermissionDenied("Messages need your agreement to use this website.")
    today = Message.objects.filter(
        patient=patient, from_patient=True, created_at__gt=timezone.now() - timedelta(days=1)
    )
    if today.count() >= OF_PATIENT_A_DAY:
        raise ValidationError({"text": TOO_MANY})
    message = _written(author=acting_user, patient=patient, text=text, from_patient=True)
    if message._state.adding:
        _store(message)
        last = Message.objects.filter(patient=patient, from_patient=False).select_related("author").last()
        answering = [last.author] if last and last.author and _sees(last.author, patient) else []
        notify(
            "message_received",
            users=[*answering, *User.objects.filter(role=Role.ADMINISTRATOR, is_active=True)],
            text="A patient has written to the clinic.",
            path=reverse("patient-messages", args=[patient.pk]),
        )
    return message


@transaction.atomic
def write_to_patient(*, acting_user: User, patient: Patient, text: str) -> Message:
    """A member of staff writes; what the patient wrote before counts as read.

    Raises:
        ValidationError: when the text is empty or too long, or nobody would read it.
    """
    require(acting_user, "message", "create")
    patient = Patient.objects.select_for_update(no_key=True, of=("self",)).select_related("user").get(pk=patient.pk)
    reader = patient.user
    if reader is None or not has_consent(patient, Purpose.PORTAL):
        raise ValidationError({"text": "This patient does not use the website, so nobody would read it. Please call."})
    message = _written(author=acting_user, patient=patient, text=text, from_patient=False)
    # Rows that others may hold come before the first of the ledger's.
    read = _mark_read(acting_user=acting_user, patient=patient, from_patient=True)
    if message._state.adding:
        _store(message)
        notify("message_received", users=[reader], text="The clinic has written to you.", path=reverse("own-messages"))
    _note_read(acting_user=acting_user, patient=patient, read=read)
    return message


def _sees(user: User, patient: Patient) -> bool:
    return Patient.objects.visible_to(user).filter(pk=patient.pk).exists()


def _written(*, author: User, patient: Patient, text: str, from_patient: bool) -> Message:
    """A new message that is not stored yet, or the stored one that a second press of the button repeats."""
    message = Message(
        patient=patient, author=author, from_patient=from_patient, text=text.replace("\r\n", "\n").strip()
    )
    message.full_clean()
    recent = Message.objects.filter(patient=patient, author=author, created_at__gt=timezone.now() - SAME_MESSAGE)
    # Compared here: the text is encrypted in the database.
    return next((one for one in recent if one.text == message.text), message)


def _store(message: Message) -> None:
    message.save(force_insert=True)
    audit.record("message.sent", actor=message.author, target=message, patient=message.patient)


@transaction.atomic
def read_own_messages(*, acting_user: User) -> int:
    """The patient opened the page; return how many messages were new."""
    patient = own_record_of(acting_user, "view")
    read = _mark_read(acting_user=acting_user, patient=patient, from_patient=False)
    return _note_read(acting_user=acting_user, patient=patient, read=read)


@transaction.atomic
def read_messages_of(*, acting_user: User, patient: Patient) -> int:
    """A member of staff opened the page; return how many messages were new."""
    require(acting_user, "message", "view")
    read = _mark_read(acting_user=acting_user, patient=patient, from_patient=True)
    return _note_read(acting_user=acting_user, patient=patient, read=read)


def _mark_read(*, acting_user: User, patient: Patient, from_patient: bool) -> int:
    unread = Message.objects.filter(patient=patient, from_patient=from_patient, read_at=None)
    read = unread.update(read_at=timezone.now())
    page = reverse("patient-messages", args=[patient.pk]) if from_patient else reverse("own-messages")
    told = Notification.objects.filter(user=acting_user, kind="message_received", path=page, read_at=None)
    told.update(read_at=timezone.now())
    return read


def _note_read(*, acting_user: User, patient: Patient, read: int) -> int:
    if read:
        audit.record("message.read", actor=acting_user, target=patient, patient=patient, count=read)
    return read
