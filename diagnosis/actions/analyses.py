"""The edges of an analysis, and of its study."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models.fields.files import FieldFile

from accounts import audit
from accounts.models import User
from accounts.permissions import require_any
from diagnosis import notices
from diagnosis.actions.reports import enqueue_report
from diagnosis.actions.shadow import enqueue_shadow_reading
from diagnosis.actions.steps import WrongState, hold_study_of, no_file_left_on_error, patient_of, reopen, settle
from diagnosis.models import Analysis
from diagnosis.wording import NO_MODEL
from ml.contract import Outcome, OutcomeState
from portal import jobs
from portal.jobs import Claim, State

if TYPE_CHECKING:
    from diagnosis.lesion import Lesion


@transaction.atomic
def retry_analysis(*, acting_user: User | None, analysis: Analysis) -> Analysis:
    """``FAILED | CANCELLED -> QUEUED``, and ``REJECTED -> QUEUED`` where only a model was missing.

    Raises:
        WrongState: in any other state; what was refused for its quality would be refused again. Also where a
            radiologist has concluded without a result: the signed report says that there is none.
    """
    if acting_user is not None:
        require_any(acting_user, ("analysis", "retry"), ("job", "retry"))
    states: tuple[State, ...] = (State.FAILED, State.CANCELLED)
    if analysis.error_code == NO_MODEL:
        states += (State.REJECTED,)
    hold_study_of(analysis.pk)
    if not jobs.requeue(Analysis, analysis.pk, from_states=states):
        raise WrongState("Only a failed or cancelled analysis can be tried again.")
    # After the compare-and-swap, which waits for who is concluding at this moment.
    if analysis.own_conclusions().exists():
        raise WrongState("A radiologist has concluded on this image without a result, so it is not tried again.")
    Analysis.objects.filter(pk=analysis.pk).update(reasons=[])
    analysis.refresh_from_db()
    reopen(analysis.image.study)
    audit.record("analysis.retried", actor=acting_user, target=analysis, patient=patient_of(analysis))
    jobs.publish(analysis)
    return analysis


@transaction.atomic
def cancel_analysis(*, acting_user: User | None, analysis: Analysis) -> Analysis:
    """``QUEUED | RUNNING -> CANCELLED``. A worker that holds it loses its token and writes nothing."""
    if acting_user is not None:
        require_any(acting_user, ("analysis", "cancel"), ("job", "cancel"))
    hold_study_of(analysis.pk)
    if not jobs.cancel(Analysis, analysis.pk):
        raise WrongState("The analysis has already finished; there is nothing to cancel.")
    analysis.refresh_from_db()
    settle(analysis.image.study_id)
    audit.record("analysis.cancelled", actor=acting_user, target=analysis, patient=patient_of(analysis))
    return analysis


@transaction.atomic
def record_outcome(
    *,
    claim: Claim,
    outcome: Outcome,
    explanation: bytes | None,
    lesion: Lesion | None = None,
    prevalence: float | None = None,
    own_probabilities: Mapping[str, float] | None = None,
) -> bool:
    """``RUNNING -> SUCCEEDED | REJECTED`` with what the pipeline said; enqueues the report of a success.

    Args:
        claim: the right to write.
        outcome: what the pipeline said; its probabilities are those that count (re-based, where the site wants it).
        explanation: map of the predicted label as PNG; ``None`` for a model that draws none.
        lesion: the outlined lesion, where one was found.
        prevalence: the site's own, that the probabilities were re-based to.
        own_probabilities: what the model said before that.

    Returns:
        False when the claim was lost in the meantime: then nothing was written.
    """
    hold_study_of(claim.pk)
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
        settle(analysis.image.study_id)
        enqueue_shadow_reading(analysis)
        notices.refused(analysis)
        audit.record(
            "analysis.rejected",
            actor=None,
            target=analysis,
            patient=patient_of(analysis),
            reasons=list(outcome.reasons),
        )
        return True
    prediction = outcome.prediction
    if prediction is None:
        raise ValueError("A succeeded outcome has a prediction.")
    with no_file_left_on_error() as written:
        files: dict[str, Any] = {}
        for column, content in (
            ("explanation", explanation),
            ("segmentation", lesion.mask_png if lesion is not None else None),
        ):
            if content is not None:
                file: FieldFile = getattr(analysis, column)
                file.save(f"{claim.token.hex[:12]}.png", ContentFile(content), save=False)
                written.append(file)
                files |= {column: file.name, f"{column}_sha256": hashlib.sha256(content).hexdigest()}
        finished = claim.finish(
            state=State.SUCCEEDED,
            label=prediction.label,
            confidence=prediction.confidence,
            suspicion=prediction.suspicion,
            uncertain=prediction.uncertain,
            prevalence=prevalence,
            own_probabilities=None if own_probabilities is None else dict(own_probabilities),
            lesion=None if lesion is None else lesion.measures,
            marks=[
                {
                    "row": round(float(mark.row), 1),
                    "column": round(float(mark.column), 1),
                    "radius": round(float(mark.radius), 1),
                    "score": round(float(mark.score), 4),
                }
                for mark in outcome.marks
            ],
            similar_cases=[
                {
                    "case": similar.case,
                    "source": similar.source,
                    "label": similar.label,
                    "similarity": round(float(similar.similarity), 4),
                }
                for similar in outcome.similar
            ],
            **{f"probability_{label}": value for label, value in prediction.probabilities.items()},
            **files,
            **shared,
        )
        if not finished:
            for file in written:
                file.delete(save=False)
            return False
        settle(analysis.image.study_id)
        enqueue_shadow_reading(analysis)
        notices.result_ready(analysis)
        audit.record(
            "analysis.succeeded",
            actor=None,
            target=analysis,
            patient=patient_of(analysis),
            label=prediction.label,
            model=f"{outcome.model.name} {outcome.model.version}",
            status=outcome.model.status,
            prevalence=prevalence,
        )
        enqueue_report(analysis=analysis, requested_by=None)
    return True


@transaction.atomic
def reject_analysis(*, claim: Claim, code: str, reason: str) -> bool:
    """``RUNNING -> REJECTED`` for a reason outside the image's quality, such as no model for the modality."""
    hold_study_of(claim.pk)
    analysis = Analysis.objects.select_related("image__study__patient").get(pk=claim.pk)
    if not claim.finish(state=State.REJECTED, reasons=[reason], error_code=code):
        return False
    settle(analysis.image.study_id)
    enqueue_shadow_reading(analysis)
    notices.refused(analysis)
    audit.record("analysis.rejected", actor=None, target=analysis, patient=patient_of(analysis), reasons=[reason])
    return True


@transaction.atomic
def fail_analysis(*, claim: Claim, code: str, message: str, detail: str) -> bool:
    """``RUNNING -> FAILED``: our fault. ``message`` is for the person, ``detail`` for staff."""
    hold_study_of(claim.pk)
    if not claim.finish(state=State.FAILED, error_code=code, error_message=message, error_detail=detail[:10_000]):
        return False
    _note_failure(claim.pk, code=code)
    return True


@transaction.atomic
def abandon_analysis(pk: Any) -> bool:
    """``RUNNING -> FAILED`` for a job whose worker was lost on its last attempt (the sweep calls this)."""
    hold_study_of(pk)
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
    settle(analysis.image.study_id)
    notices.failed(analysis)
    audit.record("analysis.failed", actor=None, target=analysis, patient=patient_of(analysis), code=code)
