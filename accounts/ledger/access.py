"""Who opened a patient's record: for the administrator who is asked, and for the patient."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from accounts.ledger import wording
from accounts.models import AuditEvent, Patient, User

MOST_ACCESSES = 500


@dataclass(frozen=True, slots=True)
class Access:
    """One row about a patient's record, in words.

    Attributes:
        at: when.
        who: the person's name, or "The system".
        user_id: the person's key, ``None`` for the system.
        role: what they were at that time, such as "Radiologist".
        what: "opened the record", to follow the name.
        channel: "Website", "REST API" and so on; empty where it was not noted.
        address: from where, or ``None``.
        purpose: what for, where they had to say.
        object: what it was done to, in words: "study 0d6c2f1a".
    """

    at: datetime
    who: str
    user_id: int | None
    role: str
    what: str
    channel: str
    address: str | None
    purpose: str
    object: str


def records_of(patient: Patient) -> list[uuid.UUID]:
    """The patient's key and those of the records that were merged into it: rows stay under the key of their time."""
    keys = [patient.pk]
    newest: Sequence[uuid.UUID] = keys
    while newest := list(
        Patient.objects.filter(merged_into__in=newest).exclude(pk__in=keys).values_list("pk", flat=True)
    ):
        keys += newest
    return keys


def events_of(patient: Patient, *, people_only: bool = False) -> QuerySet[AuditEvent]:
    """Everything the ledger has on a patient's record, newest first; ``people_only`` leaves out what programs did."""
    events = AuditEvent.objects.filter(patient__in=records_of(patient)).order_by("-pk")
    return events.exclude(actor=None) if people_only else events


def accesses_of(patient: Patient, *, people_only: bool = True, most: int = MOST_ACCESSES) -> list[Access]:
    """Who did what with a patient's record, newest first.

    Args:
        patient: whose record; the records merged into it count.
        people_only: leave out what the system did by itself.
        most: how many rows at most.
    """
    return in_words(list(events_of(patient, people_only=people_only)[:most]))


def in_words(events: Sequence[AuditEvent]) -> list[Access]:
    names = names_of(events)
    return [
        Access(
            at=event.at,
            who=wording.person(event, names.get(event.actor_id)),
            user_id=event.actor_id,
            role=wording.role(event),
            what=wording.phrase(event),
            channel=event.get_channel_display(),
            address=event.address,
            purpose=event.purpose,
            object=wording.object_words(event),
        )
        for event in events
    ]


def names_of(events: Sequence[AuditEvent]) -> dict[int | None, str]:
    """Names of those who did it, as far as they still are users."""
    keys = {event.actor_id for event in events if event.actor_id is not None}
    return {user.pk: user.get_full_name() for user in User.objects.filter(pk__in=keys)}
