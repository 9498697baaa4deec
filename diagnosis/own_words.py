"""How a patient is told about their own record: what was examined, and who looked at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from accounts.ledger.access import events_of
from accounts.models import AuditEvent, Patient, User
from accounts.roles import Role
from diagnosis.models import Laterality, Modality, Report

_EXAMINATIONS = {
    Modality.ULTRASOUND: "Ultrasound",
    Modality.MAMMOGRAM: "Mammogram",
    Modality.CONTRAST_MAMMOGRAM: "Mammogram with contrast dye",
}
_SIDES = {
    Laterality.LEFT: "of your left breast",
    Laterality.RIGHT: "of your right breast",
    Laterality.BOTH: "of both your breasts",
    Laterality.UNKNOWN: "of your breast",
}


def examination(report: Report) -> str:
    """What was examined: ``Ultrasound of your left breast``."""
    image = report.analysis.image
    side = _SIDES[Laterality(image.laterality or image.study.laterality)]
    return f"{_EXAMINATIONS[Modality(image.study.modality)]} {side}"


def examined_on(report: Report) -> date:
    """The day of the examination, here."""
    image = report.analysis.image
    return timezone.localtime(image.acquired_at or image.study.created_at).date()


# Who looked

_STAFF = {
    Role.RADIOLOGIST: "A radiologist",
    Role.ADMINISTRATOR: "An administrator",
    Role.IT_STAFF: "Technical staff",
    Role.PATIENT: "A patient's log-in",
}
YOU = "You"

# Coarse on purpose: what is not released yet must not be told by way of the list of looks.
_EXACT = {
    "patient.viewed": "opened your record",
    "patient.changed": "changed your name, contact or history",
    "patient.created": "put your record on file",
    "patient.access_viewed": "checked who opened your record",
    "patient.merged": "joined two records of yours",
    "patient.split": "parted two records again",
    "report.released": "made a report ready for you",
    "report.withdrawn": "took a report back",
    "emergency_access.granted": "opened your record in an emergency, and had to say why",
    "access.denied": "asked for your record and was refused",
    "emergency_access.refused": "asked for your record and was refused",
    "image.filed": "added pictures to your record",
    "own_record.exported": "downloaded all your data",
    "patient_invitation.used": "made your access to this website",
}
_BY_OBJECT = {
    "study": "looked at or worked on your examinations",
    "image": "looked at or worked on your examinations",
    "analysis": "looked at or worked on your examinations",
    "report": "looked at or worked on your examinations",
    "assessment": "looked at or worked on your examinations",
    "known_outcome": "looked at or worked on your examinations",
    "second_opinion": "looked at or worked on your examinations",
    "message": "read or wrote messages",
    "appointment": "planned or looked at your appointments",
    "patient_invitation": "managed your access to this website",
    "patient": "managed your access to this website",
    "own_record": "looked at your record",
    "own_report": "looked at your record",
    "consent": "answered what you agree to",
    "emergency_access": "reviewed an emergency",
}
_OTHER = "used your record"
_OWN = {"image": "looked at your record", "report": "looked at your record"}


@dataclass(slots=True)
class Look:
    """One person and one kind of act, on one day where looks are put together.

    Attributes:
        at: when, the last time.
        who: "You", a role, or a name where the site shows names.
        what: to follow it: "opened your record".
        times: how often.
    """

    at: datetime
    who: str
    what: str
    times: int = 1


def _what(event: AuditEvent, *, own: bool) -> str:
    kind = event.action.partition(".")[0]
    if own and kind in _OWN:
        return _OWN[kind]
    return _EXACT.get(event.action) or _BY_OBJECT.get(kind, _OTHER)


def _people(patient: Patient) -> QuerySet[AuditEvent]:
    return events_of(patient, people_only=True)


def every_look_at(patient: Patient, *, reader: User) -> Iterator[Look]:
    """Each row of the ledger about the record that a person caused, newest first."""
    names: dict[int, str] = {}
    if settings.PATIENT_SEES_STAFF_NAMES:
        names = {user.pk: user.get_full_name() for user in User.objects.exclude(role=Role.PATIENT)}
    for event in _people(patient).iterator(chunk_size=500):
        own = event.actor_id == reader.pk
        who = YOU if own else names.get(event.actor_id or 0) or _STAFF.get(Role(event.actor_role), "Somebody")
        yield Look(at=event.at, who=who, what=_what(event, own=own))


def looks_at(patient: Patient, *, reader: User, most: int) -> list[Look]:
    """The newest ``most`` rows, those of one day, person and kind put together."""
    together: dict[tuple[date, str, str], Look] = {}
    for look in islice(every_look_at(patient, reader=reader), most):
        known = together.setdefault((timezone.localtime(look.at).date(), look.who, look.what), look)
        if known is not look:
            known.times += 1
    return list(together.values())
