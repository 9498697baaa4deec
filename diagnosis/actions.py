"""The verbs of the house: one function per edge of the state machines, and the only writer of domain rows.

Every function takes its arguments by keyword, asks the permission table for ``acting_user`` (``None``: the system), and
writes its ledger row in the same transaction. What has to follow (work, reports) is enqueued there too, so that a
process that dies between two steps loses neither.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Max
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from accounts import audit
from accounts.models import Patient, User
from accounts.permissions import require
from diagnosis.intake import IntakeRejected, Limits, Received, compare_identity, receive, safe_filename
from diagnosis.models import Analysis, Image, ModelVersion, Report, Study, View
from diagnosis.models.analysis import sorted_as
from ml.contract import Outcome, OutcomeState
from portal import jobs
from portal.jobs import Claim, State

STUDY_FIELDS = ("modality", "laterality", "clinical_history", "accession_number")


class WrongState(Exception):
    """The object is in a state that does not allow this; the message is for the person who asked."""


class IdentityMismatch(Exception):
    """The file names another patient, side or modality than the record. Nothing was stored.

    Attributes:
        differences: ``diagnosis.intake.Difference`` each, to be shown and confirmed.
    """

    def __init__(self, differences: tuple[Any, ...]) -> None:
        super().__init__(
            "The file and the record disagree: "
            + " ".join(difference.sentence for difference in differences)
            + " Nothing was stored. Check the patient, then confirm to file it here all the same."
        )
        self.differences = differences


@dataclass(frozen=True, slots=True)
class Filed:
    """What became of one uploaded file.

    Attributes:
        image: the stored image; for a duplicate the one that was there before.
        duplicate: the same bytes (and frame) were already on this patient's record; nothing was stored or analysed.
    """

    image: Image
    duplicate: bool


# Studies and images


@transaction.atomic
def create_study(*, acting_user: User | None, patient: Patient, **values: Any) -> Study:
    """``-> RECEIVED``. Raises ``ValidationError`` when a value is not allowed."""
    if acting_user is not None:
        require(acting_user, "study", "create")
    unknown = set(values) - set(STUDY_FIELDS)
    if unknown:
        raise TypeError(f"Not fields of a study: {', '.join(sorted(unknown))}.")
    study = Study(patient=patient, created_by=acting_user, **values)
    study.full_clean(exclude=["created_by"])
    study.save(force_insert=True)
    audit.record("study.created", actor=acting_user, target=study, patient=patient, modality=study.modality)
    return study


def add_image(
    *,
    acting_user: User | None,
    study: Study,
    upload: BinaryIO | bytes,
    filename: str,
    declared_type: str = "",
    laterality: str = "",
    view: str = "",
    frame: int | None = None,
    confirm_differences: bool = False,
    limits: Limits | None = None,
) -> Filed:
    """Take one file in: parse, compare with the record, store, enqueue its analysis.

    Raises:
        IntakeRejected: the file is not one we take; nothing is stored, the refusal is in the ledger.
        IdentityMismatch: the file disagrees with the record and ``confirm_differences`` is false; nothing is stored.
        WrongState: the study is signed.
    """
    if acting_user is not None:
        require(acting_user, "image", "add")
    patient = study.patient
    if study.is_frozen:
        raise WrongState("The study is signed: nothing can be added to it. Make a new study.")
    try:
        received = receive(
            upload, filename=filename, declared_type=declared_type, frame=frame, limits=limits or Limits()
        )
    except IntakeRejected as rejection:
        audit.record(
            "image.refused",
            actor=acting_user,
            target=study,
            patient=patient,
            code=rejection.code,
            file=safe_filename(filename),
        )
        raise
    present = _already_filed(study=study, received=received)
    if present is not None:
        return Filed(image=present, duplicate=True)
    differences = compare_identity(
        received,
        mrn=patient.mrn,
        given_name=patient.given_name,
        family_name=patient.family_name,
        birth_date=patient.birth_date,
        sex=patient.sex,
        modality=study.modality,
        laterality=laterality or study.laterality,
    )
    if differences and not confirm_differences:
        audit.record(
            "image.mismatch_shown",
            actor=acting_user,
            target=study,
            patient=patient,
            fields=[difference.field for difference in differences],
        )
        raise IdentityMismatch(differences)
    original = None
    if received.keep_original:
        original = upload if isinstance(upload, bytes) else _whole(upload)
    return _file_image(
        acting_user=acting_user,
        study=study,
        received=received,
        original=original,
        byte_size=len(upload) if isinstance(upload, bytes) else upload.seek(0, os.SEEK_END),
        filename=safe_filename(filename),
        laterality=laterality,
        view=view,
        differences=differences,
    )


def _aware(moment: datetime | None) -> datetime | None:
    """Read a scanner's local time, which states no offset, as the site's."""
    if moment is None or timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment)


def _whole(upload: BinaryIO) -> bytes:
    upload.seek(0)
    return upload.read()


@contextmanager
def _no_file_left_on_error() -> Iterator[list[FieldFile]]:
    """Delete the files that the body noted in the list when it raises: the rows that name them are rolled back."""
    written: list[FieldFile] = []
    try:
        yield written
    except BaseException:
        for file in written:
            file.storage.delete(file.name)
        raise


def _already_filed(*, study: Study, received: Received) -> Image | None:
    return (
        Image.objects.filter(
            study__patient_id=study.patient_id, sha256=received.sha256, frame_index=received.frame_index
        )
        .select_related("analysis", "study")
        .first()
    )


def _file_image(
    *,
    acting_user: User | None,
    study: Study,
    received: Received,
    original: bytes | None,
    byte_size: int,
    filename: str,
    laterality: str,
    view: str,
    differences: tuple[Any, ...],
) -> Filed:
    spacing = received.pixel_spacing_mm or (None, None)
    image = Image(
        study=study,
        original_name=filename,
        source_format=received.source_format,
        sha256=received.sha256,
        pixels_sha256=hashlib.sha256(received.png).hexdigest(),
        byte_size=byte_size,
        width=received.width,
        height=received.height,
        frame_index=received.frame_index,
        frame_count=received.frame_count,
        laterality=laterality or received.laterality or study.laterality,
        view=view or (received.view if received.view in View.values else ""),
        row_spacing_mm=spacing[0],
        column_spacing_mm=spacing[1],
        study_instance_uid=received.study_instance_uid,
        sop_instance_uid=received.sop_instance_uid,
        device=received.device[:200],
        acquired_at=_aware(received.acquired_at),
        differences=[
            {"field": one.field, "in_file": one.in_file, "on_record": one.on_record, "sentence": one.sentence}
            for one in differences
        ],
        differences_confirmed_by=acting_user if differences else None,
        uploaded_by=acting_user,
    )
    with _no_file_left_on_error() as written, transaction.atomic():
        # One upload a patient at a time decides whether the bytes are there already (PostgreSQL; SQLite's
        # IMMEDIATE transaction has the same effect).
        Patient.objects.select_for_update().get(pk=study.patient_id)
        present = _already_filed(study=study, received=received)
        if present is not None:
            return Filed(image=present, duplicate=True)
        image.also_on_other_record = Image.objects.filter(sha256=received.sha256).exists()
        image.file.save("", ContentFile(received.png), save=False)
        written.append(image.file)
        if original is not None:
            image.original.save("", ContentFile(original), save=False)
            written.append(image.original)
        image.save(force_insert=True)
        if received.study_instance_uid and not study.study_instance_uid:
            Study.objects.filter(pk=study.pk, study_instance_uid="").update(
                study_instance_uid=received.study_instance_uid
            )
        analysis = Analysis(image=image)
        analysis.save(force_insert=True)
        _reopen(study)
        audit.record(
            "image.filed",
            actor=acting_user,
            target=image,
            patient=study.patient,
            sha256=image.sha256,
            confirmed=[one.field for one in differences],
        )
        jobs.publish(analysis)
    return Filed(image=image, duplicate=False)


def add_frame(*, acting_user: User, image: Image, frame: int) -> Filed:
    """Analyse another frame of a multi-frame file that is on the record already (what was confirmed stays confirmed)."""
    require(acting_user, "image", "add")
    study = image.study
    if study.is_frozen:
        raise WrongState("The study is signed: nothing can be added to it. Make a new study.")
    if not image.original:
        raise WrongState("Only multi-frame DICOM files hold other frames.")
    with image.original.open("rb") as file:
        data = file.read()
    received = receive(data, filename=image.original_name, frame=frame)
    present = _already_filed(study=study, received=received)
    if present is not None:
        return Filed(image=present, duplicate=True)
    return _file_image(
        acting_user=acting_user,
        study=study,
        received=received,
        original=data,
        byte_size=len(data),
        filename=image.original_name,
        laterality=image.laterality,
        view=image.view,
        differences=(),
    )


def _reopen(study: Study) -> None:
    """``ANALYSED -> RECEIVED`` when work is queued again."""
    Study.objects.filter(pk=study.pk, state=Study.State.ANALYSED).update(state=Study.State.RECEIVED)


def _settle(study_id: Any) -> None:
    """``RECEIVED -> ANALYSED`` when no analysis of the study is unfinished."""
    unfinished = Analysis.objects.filter(image__study_id=study_id, state__in=jobs.UNFINISHED).exists()
    if not unfinished:
        Study.objects.filter(pk=study_id, state=Study.State.RECEIVED).update(state=Study.State.ANALYSED)


# Analyses


def _patient_of(analysis: Analysis) -> Patient:
    return analysis.image.study.patient


@transaction.atomic
def retry_analysis(*, acting_user: User | None, analysis: Analysis) -> Analysis:
    """``FAILED | CANCELLED -> QUEUED``. Raises ``WrongState`` from any other state."""
    if acting_user is not None:
        require(acting_user, "analysis", "retry")
    if not jobs.requeue(Analysis, analysis.pk, from_states=(State.FAILED, State.CANCELLED)):
        raise WrongState("Only a failed or cancelled analysis can be tried again.")
    analysis.refresh_from_db()
    _reopen(analysis.image.study)
    audit.record("analysis.retried", actor=acting_user, target=analysis, patient=_patient_of(analysis))
    jobs.publish(analysis)
    return analysis


@transaction.atomic
def cancel_analysis(*, acting_user: User | None, analysis: Analysis) -> Analysis:
    """``QUEUED | RUNNING -> CANCELLED``. A worker that holds it loses its token and writes nothing."""
    if acting_user is not None:
        require(acting_user, "analysis", "cancel")
    if not jobs.cancel(Analysis, analysis.pk):
        raise WrongState("The analysis has already finished; there is nothing to cancel.")
    analysis.refresh_from_db()
    _settle(analysis.image.study_id)
    audit.record("analysis.cancelled", actor=acting_user, target=analysis, patient=_patient_of(analysis))
    return analysis


@transaction.atomic
def record_outcome(*, claim: Claim, outcome: Outcome, explanation: bytes | None) -> bool:
    """``RUNNING -> SUCCEEDED | REJECTED`` with what the pipeline said; enqueues the report of a success.

    Returns:
        False when the claim was lost in the meantime: then nothing was written.
    """
    analysis = Analysis.objects.select_related("image__study__patient").get(pk=claim.pk)
    shared = {
        "quality": [
            {
                "name": check.name,
                "value": round(float(check.value), 4),
                "passed": bool(check.passed),
                "limit": check.limit,
                "message": check.message,
            }
            for check in outcome.quality.checks
        ],
        "timings_ms": {stage: round(float(ms), 2) for stage, ms in outcome.timings_ms.items()},
        "model_name": outcome.model.name,
        "model_version": outcome.model.version,
        "model_sha256": outcome.model.sha256,
        "model_status": outcome.model.status,
    }
    if outcome.state == OutcomeState.REJECTED:
        if not claim.finish(state=State.REJECTED, reasons=list(outcome.reasons), error_code="refused", **shared):
            return False
        _settle(analysis.image.study_id)
        audit.record(
            "analysis.rejected",
            actor=None,
            target=analysis,
            patient=_patient_of(analysis),
            reasons=list(outcome.reasons),
        )
        return True
    prediction = outcome.prediction
    if prediction is None or explanation is None:
        raise ValueError("A succeeded outcome has a prediction and a map.")
    with _no_file_left_on_error() as written:
        analysis.explanation.save(f"{claim.token.hex[:12]}.png", ContentFile(explanation), save=False)
        written.append(analysis.explanation)
        finished = claim.finish(
            state=State.SUCCEEDED,
            label=prediction.label,
            confidence=prediction.confidence,
            suspicion=prediction.suspicion,
            explanation=analysis.explanation.name,
            explanation_sha256=hashlib.sha256(explanation).hexdigest(),
            **{f"probability_{label}": value for label, value in prediction.probabilities.items()},
            **shared,
        )
        if not finished:
            analysis.explanation.storage.delete(analysis.explanation.name)
            return False
        _settle(analysis.image.study_id)
        audit.record(
            "analysis.succeeded",
            actor=None,
            target=analysis,
            patient=_patient_of(analysis),
            label=prediction.label,
            model=f"{outcome.model.name} {outcome.model.version}",
        )
        _enqueue_report(analysis=analysis, requested_by=None)
    return True


@transaction.atomic
def reject_analysis(*, claim: Claim, code: str, reason: str) -> bool:
    """``RUNNING -> REJECTED`` for a reason outside the image's quality, such as no model for the modality."""
    analysis = Analysis.objects.select_related("image__study__patient").get(pk=claim.pk)
    if not claim.finish(state=State.REJECTED, reasons=[reason], error_code=code):
        return False
    _settle(analysis.image.study_id)
    audit.record("analysis.rejected", actor=None, target=analysis, patient=_patient_of(analysis), reasons=[reason])
    return True


@transaction.atomic
def fail_analysis(*, claim: Claim, code: str, message: str, detail: str) -> bool:
    """``RUNNING -> FAILED``: our fault. ``message`` is for the person, ``detail`` for staff."""
    if not claim.finish(state=State.FAILED, error_code=code, error_message=message, error_detail=detail[:10_000]):
        return False
    _note_failure(claim.pk, code=code)
    return True


@transaction.atomic
def abandon_analysis(pk: Any) -> bool:
    """``RUNNING -> FAILED`` for a job whose worker was lost on its last attempt (the sweep calls this)."""
    failed = jobs.abandon(
        Analysis,
        pk,
        error_code="worker_lost",
        error_message=(
            f"The analysis was interrupted {jobs.MAX_ATTEMPTS} times and was given up. The image is stored. "
            "Try again; if it fails again, tell IT."
        ),
        error_detail="The lease ran out on the last attempt: the worker was killed or hung.",
    )
    if failed:
        _note_failure(pk, code="worker_lost")
    return failed


def _note_failure(pk: Any, *, code: str) -> None:
    analysis = Analysis.objects.select_related("image__study__patient").get(pk=pk)
    _settle(analysis.image.study_id)
    audit.record("analysis.failed", actor=None, target=analysis, patient=_patient_of(analysis), code=code)


# Reports


def _enqueue_report(*, analysis: Analysis, requested_by: User | None) -> Report:
    newest = analysis.reports.aggregate(newest=Max("version"))["newest"] or 0
    report = Report(analysis=analysis, version=newest + 1, requested_by=requested_by)
    report.save(force_insert=True)
    jobs.publish(report)
    return report


@transaction.atomic
def reissue_report(*, acting_user: User, analysis: Analysis) -> Report:
    """Render the next version, after a correction of the record or a failure; the older ones become SUPERSEDED."""
    require(acting_user, "report", "reissue")
    if analysis.state != State.SUCCEEDED:
        raise WrongState("Only an analysis with a result has a report.")
    if analysis.reports.filter(state__in=jobs.UNFINISHED).exists():
        raise WrongState("A report is being made already; it will be here in a moment.")
    report = _enqueue_report(analysis=analysis, requested_by=acting_user)
    audit.record(
        "report.requested", actor=acting_user, target=report, patient=_patient_of(analysis), version=report.version
    )
    return report


@transaction.atomic
def record_report(*, claim: Claim, pdf: bytes, sha256: str, page_count: int) -> bool:
    """``RUNNING -> SUCCEEDED``: store the file; older versions of the same analysis become SUPERSEDED."""
    report = Report.objects.select_related("analysis__image__study__patient").get(pk=claim.pk)
    with _no_file_left_on_error() as written:
        report.file.save(f"v{report.version}-{claim.token.hex[:12]}.pdf", ContentFile(pdf), save=False)
        written.append(report.file)
        finished = claim.finish(
            state=State.SUCCEEDED, file=report.file.name, sha256=sha256, byte_size=len(pdf), page_count=page_count
        )
        if not finished:
            report.file.storage.delete(report.file.name)
            return False
        report.analysis.reports.filter(version__lt=report.version).update(status=Report.Status.SUPERSEDED)
        audit.record(
            "report.stored",
            actor=None,
            target=report,
            patient=_patient_of(report.analysis),
            version=report.version,
            sha256=sha256,
        )
    return True


@transaction.atomic
def fail_report(*, claim: Claim, code: str, message: str, detail: str) -> bool:
    """``RUNNING -> FAILED``."""
    if not claim.finish(state=State.FAILED, error_code=code, error_message=message, error_detail=detail[:10_000]):
        return False
    _note_report_failure(claim.pk, code=code)
    return True


@transaction.atomic
def abandon_report(pk: Any) -> bool:
    """``RUNNING -> FAILED`` for a report whose worker was lost on its last attempt."""
    failed = jobs.abandon(
        Report,
        pk,
        error_code="worker_lost",
        error_message="The report could not be made. The result is stored; ask for the report again.",
        error_detail="The lease ran out on the last attempt: the worker was killed or hung.",
    )
    if failed:
        _note_report_failure(pk, code="worker_lost")
    return failed


def _note_report_failure(pk: Any, *, code: str) -> None:
    report = Report.objects.select_related("analysis__image__study__patient").get(pk=pk)
    audit.record("report.failed", actor=None, target=report, patient=_patient_of(report.analysis), code=code)


# Models


@transaction.atomic
def register_models(*, found: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Note the installed artefacts. The first released model of a modality becomes its active one.

    Args:
        found: unsaved rows, one per artefact in the model directory.
    """
    rows = []
    for candidate in found:
        row, created = ModelVersion.objects.get_or_create(
            name=candidate.name,
            version=candidate.version,
            defaults={"modality": candidate.modality, "status": candidate.status, "sha256": candidate.sha256},
        )
        if not created and (row.sha256, row.status) != (candidate.sha256, candidate.status):
            row.sha256, row.status = candidate.sha256, candidate.status
            row.save(update_fields=["sha256", "status"])
            audit.record("model.changed", actor=None, target=row, sha256=row.sha256)
        if created:
            audit.record("model.registered", actor=None, target=row, sha256=row.sha256)
        if not ModelVersion.objects.filter(modality=row.modality, active=True).exists():
            row.active = True
            row.save(update_fields=["active"])
        rows.append(row)
    return rows


# Lists


def note_export(*, acting_user: User, filters: dict[str, str], count: int) -> None:
    """Keep in the ledger that rows left the house as a file: who, which filters, how many."""
    require(acting_user, "analysis", "export")
    audit.record("history.exported", actor=acting_user, filters=filters, count=count)


def follow_patient(*, patient: Patient) -> None:
    """Have the lists sort by a patient's corrected name. Called in the transaction that corrects it."""
    Analysis.objects.filter(patient=patient).update(patient_name=sorted_as(patient))
