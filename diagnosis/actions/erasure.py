"""Erasing a patient: rows, files, log-in; only the ledger keeps that there was one, under a number that leads nowhere.

The row of the erasure is written first and closed last. Whoever is killed in between leaves an open erasure, and the
sweep or the next ``purge`` finishes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog
from django.core.files.storage import default_storage
from django.core.mail import get_connection
from django.core.mail.backends.filebased import EmailBackend as MailFolder
from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions import remove_people_rows
from accounts.models import Patient, User
from accounts.permissions import require
from diagnosis.models import (
    Analysis,
    Assessment,
    DeidentifiedExport,
    Erasure,
    Image,
    KnownOutcome,
    RecordTransfer,
    Report,
    SecondOpinion,
    ShadowReading,
    Study,
)
from portal import jobs
from portal.database import let_go_of_deleted_rows

log = structlog.get_logger(__name__)


def _own(patients: Iterable[Any]) -> dict[type[models.Model], models.QuerySet[Any]]:
    """The rows about these patients, in an order in which they can be deleted."""
    studies = Study.objects.filter(patient__in=patients)
    images = Image.objects.filter(study__in=studies)
    analyses = Analysis.objects.filter(image__in=images)
    return {
        SecondOpinion: SecondOpinion.objects.filter(analysis__in=analyses),
        Report: Report.objects.filter(analysis__in=analyses),
        Assessment: Assessment.objects.filter(analysis__in=analyses),
        ShadowReading: ShadowReading.objects.filter(analysis__in=analyses),
        Analysis: analyses,
        KnownOutcome: KnownOutcome.objects.filter(study__in=studies),
        Image: images,
        Study: studies,
        RecordTransfer: RecordTransfer.objects.filter(models.Q(source__in=patients) | models.Q(target__in=patients)),
    }


def _records(patient_id: Any) -> list[Patient]:
    """The record and every record that was merged into it: they are of the same person."""
    found: dict[Any, Patient] = {}
    waiting = list(Patient.objects.filter(pk=patient_id))
    while waiting:
        found.update({one.pk: one for one in waiting})
        waiting = [one for one in Patient.objects.filter(merged_into__in=waiting) if one.pk not in found]
    return list(found.values())


def _packages(patients: Iterable[Patient]) -> models.QuerySet[DeidentifiedExport]:
    return DeidentifiedExport.objects.filter(studies__patient__in=list(patients)).distinct()


@transaction.atomic
def start_erasure(*, acting_user: User | None, patient: Patient, reason: str) -> Erasure:
    """Decide that a patient is erased. From here on it cannot be taken back; :func:`carry_out_erasure` does it.

    Args:
        acting_user: ``None``: the rule of retention, or somebody at the server.
        reason: why, without the patient's name: it is kept.

    Raises:
        ValidationError: no reason, or a too long one.
    """
    if acting_user is not None:
        require(acting_user, "patient", "erase")
    present = Erasure.objects.filter(patient_id=patient.pk).first()
    if present is not None:
        return present
    erasure = Erasure(patient_id=patient.pk, reason=reason.strip(), requested_by=acting_user)
    erasure.full_clean(exclude=["requested_by", "paths", "counts"])
    erasure.save(force_insert=True)
    audit.record("patient.erasure_started", actor=acting_user, target=erasure, patient=patient, reason=erasure.reason)
    return erasure


def carry_out_erasure(erasure: Erasure) -> bool:
    """Do what was decided, from wherever it stopped; True when nothing is left of the patient.

    False: a file could not be removed, or somebody was reading the database; the sweep comes again.
    """
    _remove_rows(erasure.pk)
    erasure.refresh_from_db()
    left = [name for name in erasure.paths if not _remove_file(name)]
    if left or not let_go_of_deleted_rows():
        log.warning("erasure.unfinished", erasure=erasure.pk, files=len(left))
        return False
    return _close(erasure.pk)


@transaction.atomic
def _remove_rows(pk: int) -> None:
    """Rows first: a file without a row is found by its name in the erasure, a row without a file would be an error."""
    erasure = Erasure.objects.select_for_update(of=("self",)).get(pk=pk)
    patients = _records(erasure.patient_id)
    if erasure.finished_at is not None or not patients:
        return
    for patient in patients:
        Patient.objects.select_for_update().get(pk=patient.pk)
    own = _own(patients)
    names = [name for rows in own.values() for name in _file_names(rows)]
    paths = _pages(patients, own)
    packages = list(_packages(patients))
    for package in packages:
        names += [name for name in (package.file.name, f"exports/in-work/{package.pk}") if name]
        jobs.cancel(DeidentifiedExport, package.pk)
        package.file, package.sha256, package.salt = "", "", ""
        package.expires_at = timezone.now()
        package.save(update_fields=["file", "sha256", "salt", "expires_at"])
    counts = {"files": len(names), "packages that held the patient": len(packages)}
    for kind, rows in own.items():
        counts[str(kind._meta.verbose_name_plural)] = rows.count()
        rows.delete()
    mails = _mails_on_disk(patients)
    counts |= remove_people_rows(patients=patients, paths=paths)
    for mail in mails:
        mail.unlink(missing_ok=True)
    erasure.paths = [*erasure.paths, *names]
    erasure.counts = {name: number for name, number in counts.items() if number}
    erasure.save(update_fields=["paths", "counts"])


def _file_names(rows: models.QuerySet[Any]) -> list[str]:
    columns = [field.name for field in rows.model._meta.local_fields if isinstance(field, models.FileField)]
    return [name for row in rows.values_list(*columns) for name in row if name] if columns else []


def _pages(patients: list[Patient], own: dict[type[models.Model], models.QuerySet[Any]]) -> list[str]:
    """Addresses of pages about these patients, as notifications lead to them."""
    addresses = [reverse("patient-detail", args=[patient.pk]) for patient in patients]
    addresses += [reverse("study-detail", args=[pk]) for pk in own[Study].values_list("pk", flat=True)]
    addresses += [reverse("analysis-detail", args=[pk]) for pk in own[Analysis].values_list("pk", flat=True)]
    return addresses + [f"/reports/{pk}" for pk in own[Report].values_list("pk", flat=True)]


def _mails_on_disk(patients: list[Patient]) -> list[Any]:
    """E-mails to these patients where mail is written to a folder, as the demonstration does."""
    connection = get_connection()
    if not isinstance(connection, MailFolder):
        return []
    addresses = {patient.email for patient in patients if patient.email}
    addresses |= {patient.user.email for patient in patients if patient.user is not None}
    folder = Path(connection.file_path)
    files = [file for file in folder.glob("*") if file.is_file()]
    return [file for file in files if any(one in file.read_text("utf-8", "replace") for one in addresses)]


def _remove_file(name: str) -> bool:
    """Remove a file of the storage, or a folder with the files in it; True when it is gone."""
    try:
        place = Path(default_storage.path(name))
        for file in place.iterdir() if place.is_dir() else ():
            file.unlink(missing_ok=True)
        default_storage.delete(name)
    except OSError as error:
        log.error("erasure.file_stays", error=type(error).__name__, errno=error.errno)
        return False
    return True


@transaction.atomic
def _close(pk: int) -> bool:
    closed = Erasure.objects.filter(pk=pk, finished_at=None).update(finished_at=timezone.now(), paths=[])
    if closed:
        erasure = Erasure.objects.get(pk=pk)
        audit.record(
            "patient.erased",
            actor=erasure.requested_by,
            target=erasure,
            erased=str(erasure.patient_id),
            counts=erasure.counts,
        )
    return True


def finish_erasures() -> int:
    """Carry out every erasure that was decided and is not finished; return how many are now."""
    return sum(carry_out_erasure(erasure) for erasure in Erasure.objects.filter(finished_at=None))


def erase_patient(*, acting_user: User | None, patient: Patient, reason: str) -> Erasure:
    """Decide and carry out. A process that is killed midway leaves the rest to the sweep."""
    erasure = start_erasure(acting_user=acting_user, patient=patient, reason=reason)
    carry_out_erasure(erasure)
    erasure.refresh_from_db()
    return erasure
