"""What the ledger is searched for. The address carries keys and codes, never a name."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from accounts.ledger import wording
from accounts.ledger.access import records_of
from accounts.models import AuditEvent, Patient, User
from accounts.permissions import may
from accounts.roles import Role

PAGE_SIZE = 50
MOST_PEOPLE = 1_000
LARGEST_KEY = 2**63 - 1
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2200, 12, 31)

CLINICAL = frozenset(
    {
        "patient",
        "study",
        "image",
        "analysis",
        "report",
        "assessment",
        "knownoutcome",
        "secondopinion",
        "own_record",
        "known_outcome",
        "second_opinion",
        "emergencyaccess",
        "patientinvitation",
        "consent",
        "message",
        "appointment",
        "recordtransfer",
        "erasure",
    }
)
"""Objects whose key leads to a patient."""

ACTION_CHOICES = [("", "Anything"), *((action, words.capitalize()) for action, words in wording.PHRASES.items())]
OBJECT_CHOICES = [("", "Any object"), *((kind, words.capitalize()) for kind, words in wording.OBJECTS.items())]


class Plain(forms.CharField):
    """Text without characters that no code of ours has."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value) or "").replace("\0", "")


class LedgerFilterForm(forms.Form):
    """The filters of the address; one that is not understood is left out, and said."""

    q = Plain(label="Text of the action", max_length=100, required=False)
    person = forms.IntegerField(label="Person", min_value=1, max_value=LARGEST_KEY, required=False)
    role = forms.ChoiceField(
        label="Role", choices=[("", "Any role"), *Role.choices, ("system", wording.SYSTEM)], required=False
    )
    action = forms.ChoiceField(label="Action", choices=ACTION_CHOICES, required=False)
    object = forms.ChoiceField(label="Object", choices=OBJECT_CHOICES, required=False)
    key = Plain(label="Key of the object", max_length=64, required=False)
    channel = forms.ChoiceField(
        label="Channel", choices=[("", "Any channel"), *AuditEvent.Channel.choices], required=False
    )
    patient = forms.UUIDField(label="Patient", required=False)

    def __init__(self, data: Any, *, user: User) -> None:
        super().__init__(data)
        self.sees_patients = may(user, "ledger", "view")
        # "from" is a word of Python's and cannot be an attribute's name.
        for name, label in (("from", "From"), ("to", "To")):
            self.fields[name] = forms.DateField(
                label=label, required=False, error_messages={"invalid": "Write a day as 2026-11-21."}
            )
        if not self.sees_patients:
            for name in ("patient", "key"):
                del self.fields[name]
        people = User.objects.visible_to(user).exclude(role=Role.PATIENT)[:MOST_PEOPLE]
        self.people = [(person.pk, f"{person.get_full_name()}, {person.get_role_display()}") for person in people]

    def given(self) -> dict[str, Any]:
        """The filters that were understood and say something."""
        self.full_clean()
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


def matching(given: dict[str, Any]) -> QuerySet[AuditEvent]:
    """The rows that fit the filters, newest first."""
    rows = AuditEvent.objects.order_by("-pk")
    for name, column in (
        ("person", "actor_id"),
        ("role", "actor_role"),
        ("action", "action"),
        ("object", "object_type"),
        ("key", "object_id"),
        ("channel", "channel"),
    ):
        if name in given:
            rows = rows.filter(**{column: given[name]})
    if "patient" in given:
        rows = rows.filter(patient__in=_records(given["patient"]))
    if "q" in given:
        rows = rows.filter(action__in=_actions(given["q"]))
    if "from" in given:
        rows = rows.filter(at__gte=_midnight(given["from"]))
    if "to" in given:
        rows = rows.filter(at__lt=_midnight(given["to"], after=1))
    return rows


def _midnight(day: date, *, after: int = 0) -> datetime:
    """The beginning of a day of the site's, or of one some days after it."""
    within = min(max(day, FIRST_DAY), LAST_DAY) + timedelta(days=after)
    return timezone.make_aware(datetime.combine(within, time.min))


def _records(key: uuid.UUID) -> list[uuid.UUID]:
    patient = Patient.objects.filter(pk=key).first()
    return records_of(patient) if patient else [key]


def _actions(words: str) -> list[str]:
    """The actions whose code or phrase has every word."""
    known = AuditEvent.objects.order_by().values_list("action", flat=True).distinct()
    sought = words.casefold().split()
    return [
        action
        for action in {*known, *wording.PHRASES}
        if all(
            word in f"{action} {wording.PHRASES.get(action, wording.fallback(action))}".casefold() for word in sought
        )
    ]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page, and where its neighbours begin.

    Attributes:
        before: the older page is that before this row; ``None`` for the last page.
        after: the newer page is that after this row; ``None`` for the first.
    """

    rows: list[AuditEvent]
    before: int | None
    after: int | None


def page_of(rows: QuerySet[AuditEvent], *, before: str = "", after: str = "") -> Page:
    """One page by position: page 2,000 costs what page 1 costs. A position that is no number reads the first page."""
    older, newer = _position(before), _position(after)
    if newer is not None and older is None:
        read = list(rows.filter(pk__gt=newer).order_by("pk")[: PAGE_SIZE + 1])
        shown = read[:PAGE_SIZE][::-1]
        return Page(
            rows=shown,
            before=shown[-1].pk if shown else None,
            after=shown[0].pk if len(read) > PAGE_SIZE else None,
        )
    if older is not None:
        rows = rows.filter(pk__lt=older)
    read = list(rows[: PAGE_SIZE + 1])
    shown = read[:PAGE_SIZE]
    return Page(
        rows=shown,
        before=shown[-1].pk if len(read) > PAGE_SIZE else None,
        after=shown[0].pk if shown and older is not None else None,
    )


def _position(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(LARGEST_KEY)):
        return None
    return min(int(text), LARGEST_KEY)
