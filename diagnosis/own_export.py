"""Everything that a patient may take along: one archive, made while it is sent.

It holds what the patient sees on the website and no more: released reports with their letters and images, messages,
appointments, consents, and who looked at the record. Nothing is collected in memory but one file's current piece.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from io import BytesIO
from typing import Any

import structlog
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import Appointment, Consent, Message, Patient, Sex, User
from diagnosis import own_words, patient_copy
from diagnosis.models import Report
from diagnosis.report import ReportError

log = structlog.get_logger(__name__)

CHUNK = 256 * 1024
"""Bytes of a stored file that are in memory at once."""
SHOWN = 500
"""Newest messages and looks on the readable page; the JSON file has them all."""
GENDERS = {Sex.FEMALE: "female", Sex.MALE: "male", Sex.OTHER: "other"}


class _Outlet:
    """What ``zipfile`` writes to: bytes wait here until they are sent. It cannot be rewound, and need not be."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._written = 0

    def write(self, piece: bytes, /) -> int:
        self._waiting.append(bytes(piece))
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Nothing to do: what waits is taken by :meth:`taken`."""

    def close(self) -> None:
        """Nothing to do either."""

    def taken(self) -> bytes:
        piece = b"".join(self._waiting)
        self._waiting.clear()
        return piece


def archive(*, patient: Patient, reader: User, reports: Iterable[Report]) -> Iterator[bytes]:
    """Yield a zip file piece by piece.

    Args:
        patient: whose record.
        reader: the patient's log-in, for "you" in the list of looks.
        reports: the released ones, newest first, with ``analysis__image__study__patient`` selected.
    """
    outlet = _Outlet()
    moment = timezone.localtime()
    missing: list[str] = []
    entries = [_Entry(report) for report in reports]
    with zipfile.ZipFile(outlet, "w") as package:
        for entry in entries:
            try:
                copy = patient_copy.made(entry.report)
            except (FileNotFoundError, ReportError) as error:
                log.error("patient_copy.not_made", report=str(entry.report.pk), kind=type(error).__name__)
                missing.append(entry.pdf)
            else:
                entry.pdf_sha256 = copy.sha256
                yield from _copied(package, outlet, BytesIO(copy.pdf), name=entry.pdf, moment=moment)
            try:
                with entry.image.file.open("rb") as stored:
                    yield from _copied(package, outlet, stored, name=entry.png, moment=moment)
            except FileNotFoundError:
                log.error("file.missing", name=entry.image.file.name)
                missing.append(entry.png)
        with package.open(_named("record.json", moment), "w") as file:
            for piece in _json(patient, reader, entries, moment):
                file.write(piece.encode("utf-8"))
                yield outlet.taken()
        package.writestr(_named("index.html", moment), _page(patient, reader, entries, missing, moment))
        yield outlet.taken()
    yield outlet.taken()


class _Entry:
    """A released report and the names of its files in the archive."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.image = report.analysis.image
        self.words = own_words.examination(report)
        stem = f"{own_words.examined_on(report):%Y-%m-%d}-{report.verification_code}"
        self.pdf, self.png = f"reports/{stem}.pdf", f"pictures/{stem}.png"
        self.pdf_sha256 = ""


def _named(name: str, moment: datetime, *, packed: bool = True) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=moment.timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    info.external_attr = 0o600 << 16
    return info


def _copied(package: zipfile.ZipFile, outlet: _Outlet, source: Any, *, name: str, moment: datetime) -> Iterator[bytes]:
    """Copy an open file as it is: PNG and PDF are packed already."""
    with package.open(_named(name, moment, packed=False), "w") as target:
        while piece := source.read(CHUNK):
            target.write(piece)
            yield outlet.taken()
    yield outlet.taken()


def _page(patient: Patient, reader: User, entries: list[_Entry], missing: list[str], moment: datetime) -> str:
    messages = Message.objects.filter(patient=patient).select_related("author").order_by("-created_at", "-pk")
    return render_to_string(
        "diagnosis/own_export.html",
        {
            "patient": patient,
            "entries": entries,
            "missing": missing,
            "thread": list(reversed(messages[:SHOWN])),
            "appointments": Appointment.objects.filter(patient=patient).order_by("-at")[:SHOWN],
            "consents": Consent.objects.filter(patient=patient),
            "looks": own_words.looks_at(patient, reader=reader, most=SHOWN),
            "site_name": settings.SITE_NAME,
            "site_phone": settings.SITE_PHONE,
            "site_contact": settings.SITE_CONTACT,
            "moment": moment,
        },
    )


# The same for programs: resources named as in HL7 FHIR R4, each a plain JSON object


def _json(patient: Patient, reader: User, entries: list[_Entry], moment: datetime) -> Iterator[str]:
    head = {"resourceType": "Bundle", "type": "collection", "timestamp": moment.isoformat()}
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "entry": [\n'
    between = ""
    for resource in _resources(patient, reader, entries):
        yield between + json.dumps({"resource": resource}, ensure_ascii=False)
        between = ",\n"
    yield "\n]}\n"


def _resources(patient: Patient, reader: User, entries: list[_Entry]) -> Iterator[dict[str, Any]]:
    yield _patient(patient)
    for entry in entries:
        yield _diagnostic_report(entry)
    for message in Message.objects.filter(patient=patient).iterator(chunk_size=200):
        yield {
            "resourceType": "Communication",
            "status": "completed",
            "sent": message.created_at.isoformat(),
            "received": message.read_at.isoformat() if message.read_at else None,
            "sender": {"display": "Patient" if message.from_patient else settings.SITE_NAME},
            "payload": [{"contentString": message.text}],
        }
    for appointment in Appointment.objects.filter(patient=patient).iterator(chunk_size=200):
        yield {
            "resourceType": "Appointment",
            "status": "cancelled" if appointment.cancelled_at else "booked",
            "start": appointment.at.isoformat(),
            "description": appointment.purpose,
            "participant": [{"actor": {"display": appointment.place}}],
        }
    for consent in Consent.objects.filter(patient=patient):
        yield {
            "resourceType": "Consent",
            "status": "inactive" if consent.withdrawn_at else "active",
            "scope": {"text": consent.get_purpose_display()},
            "dateTime": consent.given_at.isoformat(),
            "provision": {
                "period": {
                    "start": consent.given_at.isoformat(),
                    "end": consent.withdrawn_at.isoformat() if consent.withdrawn_at else None,
                }
            },
            "text": consent.wording,
        }
    for look in own_words.every_look_at(patient, reader=reader):
        yield {
            "resourceType": "AuditEvent",
            "recorded": look.at.isoformat(),
            "agent": [{"who": {"display": look.who}}],
            "outcomeDesc": look.what,
        }


def _patient(patient: Patient) -> dict[str, Any]:
    telecom = [{"system": "phone", "value": patient.phone}, {"system": "email", "value": patient.email}]
    return {
        "resourceType": "Patient",
        "id": str(patient.pk),
        "identifier": [{"type": {"text": "MRN"}, "value": patient.mrn}],
        "name": [{"family": patient.family_name, "given": [patient.given_name]}],
        "birthDate": patient.birth_date.isoformat(),
        "gender": GENDERS.get(Sex(patient.sex), "unknown"),
        "telecom": [way for way in telecom if way["value"]],
    }


def _diagnostic_report(entry: _Entry) -> dict[str, Any]:
    report = entry.report
    return {
        "resourceType": "DiagnosticReport",
        "id": str(report.pk),
        "identifier": [{"value": report.verification_code}],
        "status": "final",
        "code": {"text": entry.words},
        "effectiveDateTime": own_words.examined_on(report).isoformat(),
        "issued": report.released_at.isoformat() if report.released_at else None,
        "conclusion": report.letter,
        "presentedForm": [{"contentType": "application/pdf", "url": entry.pdf, "sha256": entry.pdf_sha256}],
        "media": [{"contentType": "image/png", "url": entry.png, "sha256": entry.image.pixels_sha256}],
    }
