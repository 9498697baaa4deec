"""Removing a person: the rows about a patient that are not images, and the patient's log-in."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Model, ProtectedError, QuerySet
from django.utils import timezone

from accounts.models import (
    ApiToken,
    Appointment,
    Consent,
    EmergencyAccess,
    Message,
    Notification,
    OutgoingMail,
    Patient,
    PatientInvitation,
    PeopleImport,
    User,
)

OF_PATIENT: tuple[type[Model], ...] = (Appointment, Consent, EmergencyAccess, Message, PatientInvitation)
"""Rows that belong to one patient and go with the record."""


@transaction.atomic
def remove_people_rows(*, patients: list[Patient], paths: Iterable[str]) -> dict[str, int]:
    """Remove what the house holds about these records of one person, the records themselves and their log-ins.

    A step of ``diagnosis.actions.carry_out_erasure``, which asks the permission and writes the ledger; whatever refers
    to the records from elsewhere has to be gone.

    Args:
        paths: pages on this site about the person, such as ``/analyses/<id>/``: notifications lead to them.

    Returns:
        how many rows of each kind are gone.
    """
    counts: dict[str, int] = {}

    def remove(rows: QuerySet[Model]) -> None:
        name = str(rows.model._meta.verbose_name_plural)
        counts[name] = counts.get(name, 0) + rows.count()
        rows.delete()

    users = [patient.user for patient in patients if patient.user is not None]
    addresses = {user.email for user in users} | {patient.email for patient in patients if patient.email}
    keys = [str(patient.pk) for patient in patients]
    for kind in OF_PATIENT:
        remove(kind._default_manager.filter(patient__in=patients))
    for path in paths:
        remove(Notification.objects.filter(path__startswith=path))
    for address in addresses:
        remove(OutgoingMail.objects.filter(recipient__iexact=address))
    words = [*addresses, *(patient.mrn for patient in patients)]
    prepared = [row.pk for row in PeopleImport.objects.iterator() if any(word in str(row.rows) for word in words)]
    remove(PeopleImport.objects.filter(pk__in=prepared))
    remove(LogEntry.objects.filter(object_id__in=keys))
    Patient.objects.filter(merged_into__in=patients).update(merged_into=None)
    remove(Patient.objects.filter(pk__in=[patient.pk for patient in patients]))
    for user in users:
        counts["sessions"] = counts.get("sessions", 0) + _end_sessions(user)
        _remove_user(user)
    counts["log-ins"] = len(users)
    return {name: number for name, number in counts.items() if number}


def _end_sessions(user: User) -> int:
    """Delete every session of a person; Django keeps only a signed text that says whose a session is."""
    own = [
        session.pk
        for session in Session.objects.iterator()
        if str(session.get_decoded().get("_auth_user_id")) == str(user.pk)
    ]
    Session.objects.filter(pk__in=own).delete()
    return len(own)


def _remove_user(user: User) -> None:
    """Delete a log-in with all that is its own; one that somebody's work refers to is emptied instead."""
    LogEntry.objects.filter(user=user).delete()
    LogEntry.objects.filter(object_id=str(user.pk), content_type__model="user").delete()
    try:
        with transaction.atomic():
            user.delete()
    except ProtectedError:
        user.email, user.given_name, user.family_name = f"erased-{user.pk}@invalid.example", "", ""
        user.is_active = False
        user.set_unusable_password()
        user.save()
        for rows in (user.api_tokens, user.notifications, user.outgoing_mails, user.notification_preferences):
            rows.all().delete()


@transaction.atomic
def remove_expired() -> dict[str, int]:
    """Remove what has served: sessions, API tokens, invitations and prepared imports past their time."""
    counts: dict[str, int] = {}
    for name, rows in expired().items():
        counts[name] = rows.count()
        rows.delete()
    return counts


def expired() -> dict[str, QuerySet[Model]]:
    """The rows that :func:`remove_expired` removes, by kind."""
    now = timezone.now()
    return {
        "sessions past their time": Session.objects.filter(expire_date__lt=now),
        "API tokens past their time": ApiToken.objects.filter(expires_at__lt=now),
        "invitations past their time": PatientInvitation.objects.filter(expires_at__lt=now),
        "prepared imports past their time": PeopleImport.objects.filter(expires_at__lt=now),
    }
