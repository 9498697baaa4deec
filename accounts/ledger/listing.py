"""Rows of the ledger as a page shows them: in words, and no more than the person may see."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import NoReverseMatch, reverse

from accounts.ledger import wording
from accounts.ledger.search import CLINICAL
from accounts.models import AuditEvent, Patient, User
from accounts.permissions import may
from accounts.roles import Role

PAGES = {
    "patient": ("patient-detail", "patient.view"),
    "study": ("study-detail", "study.view"),
    "analysis": ("analysis-detail", "analysis.view"),
    "user": ("user-edit", "user.change"),
    "team": ("team-edit", "team.change"),
}
"""Where an object is shown, and to whom."""
A_PATIENT = "A patient"


@dataclass(frozen=True, slots=True)
class Row:
    """One row, in words.

    Attributes:
        sequence: its number in the chain.
        at: when.
        who: the person, or what stands for it.
        person: key of the person, to list all that they did; ``None`` for the system or where it is not shown.
        role: what they were at that time.
        what: "opened the record", to follow the name.
        object: what it was done to: "study 0d6c2f1a".
        object_url: its page, or empty.
        patient: whose record, or ``None``; never for IT staff.
        patient_key: its key, also of a record that is no longer there.
        channel, address, purpose, details: as they are; purpose and details empty for IT staff.
        digest: of the row.
    """

    sequence: int
    at: datetime
    who: str
    person: int | None
    role: str
    what: str
    object: str
    object_url: str
    patient: Patient | None
    patient_key: uuid.UUID | None
    channel: str
    address: str | None
    purpose: str
    details: str
    digest: str


def rows_for(user: User, events: Sequence[AuditEvent]) -> list[Row]:
    """The rows as ``user`` may see them."""
    whole = may(user, "ledger", "view")
    people = User.objects.in_bulk({event.actor_id for event in events if event.actor_id is not None})
    keys = {event.patient_id for event in events if event.patient_id is not None} if whole else set()
    patients = Patient.objects.in_bulk(keys)
    return [_row(user, event, people=people, patients=patients, whole=whole) for event in events]


def _row(
    user: User,
    event: AuditEvent,
    *,
    people: dict[int, User],
    patients: dict[uuid.UUID, Patient],
    whole: bool,
) -> Row:
    person = people.get(event.actor_id) if event.actor_id is not None else None
    hidden = not whole and event.actor_role == Role.PATIENT
    words, url = ("", "") if not whole and _leads_to_a_patient(event) else (wording.object_words(event), "")
    if words:
        url = _page(user, event)
    return Row(
        sequence=event.sequence or 0,
        at=event.at,
        who=A_PATIENT if hidden else wording.person(event, person.get_full_name() if person else None),
        person=None if hidden else event.actor_id,
        role=wording.role(event),
        what=wording.phrase(event),
        object=words,
        object_url=url,
        patient=patients.get(event.patient_id) if event.patient_id is not None else None,
        patient_key=event.patient_id if whole else None,
        channel=event.get_channel_display(),
        address=event.address,
        purpose=event.purpose if whole else "",
        details=wording.details_words(event) if whole else "",
        digest=event.digest,
    )


def _leads_to_a_patient(event: AuditEvent) -> bool:
    return event.patient_id is not None or event.object_type in CLINICAL


def _page(user: User, event: AuditEvent) -> str:
    name, permission = PAGES.get(event.object_type, ("", ""))
    if event.object_type == "user" and not may(user, "ledger", "view"):
        # It may be a patient's log-in, which IT staff do not open.
        return ""
    if not name or not event.object_id or not may(user, *permission.split(".")):
        return ""
    try:
        return reverse(name, args=[event.object_id])
    except NoReverseMatch:
        return ""
