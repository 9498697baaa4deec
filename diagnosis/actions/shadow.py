"""A candidate model reads along, unseen: set and ended by an administrator, and the edges of each reading."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from accounts.permissions import require
from diagnosis import inference
from diagnosis.actions.registry import versions_of
from diagnosis.actions.steps import WrongState, patient_of
from diagnosis.models import Analysis, ModelVersion, ShadowReading
from ml.contract import ModelError, Outcome, OutcomeState
from portal import jobs
from portal.jobs import Claim, State

LONGEST_REASON = 300


def set_shadow(*, acting_user: User, model: ModelVersion, reason: str) -> ModelVersion:
    """Have a candidate read the new images of its modality, unseen; it takes the place of another candidate.

    Raises:
        WrongState: no reason, it is in use or in the shadow already, or its files are not what was registered.
    """
    require(acting_user, "model", "shadow")
    reason = " ".join(reason.split())[:LONGEST_REASON]
    if not reason:
        raise WrongState("Say why this candidate reads along: the reason is kept with it.")
    try:
        altered = inference.altered_files(model.name, model.version, sha256=model.sha256)
    except ModelError:
        altered = [f"{model} is not installed"]
    if altered:
        raise WrongState(
            f"The files of {model} are missing or were altered since it was registered, so it cannot read. Tell IT."
        )
    with transaction.atomic():
        rows = versions_of(model.modality)
        row = rows[model.pk]
        if row.active:
            raise WrongState(f"{row} is in use. A candidate is compared with the model in use, not with itself.")
        if row.shadow:
            raise WrongState(f"{row} reads in the shadow already.")
        for other in rows.values():
            leave_the_shadow(other, actor=acting_user)
        row.shadow = True
        row.save(update_fields=["shadow"])
        audit.record("model.shadow_began", actor=acting_user, target=row, status=row.status, purpose=reason)
    return row


@transaction.atomic
def end_shadow(*, acting_user: User, model: ModelVersion) -> ModelVersion:
    """Have the candidate read no further images. What it read stays, to be compared.

    Raises:
        WrongState: it does not read in the shadow.
    """
    require(acting_user, "model", "shadow")
    row = versions_of(model.modality)[model.pk]
    if not row.shadow:
        raise WrongState(f"{row} does not read in the shadow.")
    leave_the_shadow(row, actor=acting_user)
    return row


def leave_the_shadow(model: ModelVersion, *, actor: User | None) -> None:
    """Take a locked version out of the shadow, if it is there, and cancel what it has not read yet."""
    if not model.shadow:
        return
    model.shadow = False
    model.save(update_fields=["shadow"])
    dropped = ShadowReading.objects.filter(model=model, state=State.QUEUED).update(
        state=State.CANCELLED, finished_at=timezone.now()
    )
    audit.record("model.shadow_ended", actor=actor, target=model, unread=dropped)


def enqueue_shadow_reading(analysis: Analysis) -> None:
    """Have the candidate of the modality, if there is one, read the image of an analysis that has ended.

    Call it in the transaction that ends the analysis. It is worked on when nothing else waits; an image is read once by
    a candidate, however often its analysis is repeated.
    """
    candidate = ModelVersion.objects.filter(modality=analysis.modality, shadow=True).first()
    if candidate is not None:
        reading, is_new = ShadowReading.objects.get_or_create(analysis=analysis, model=candidate)
        if is_new:
            jobs.publish(reading)


@transaction.atomic
def record_shadow_reading(*, claim: Claim, outcome: Outcome) -> bool:
    """``RUNNING -> SUCCEEDED | REJECTED``. The ledger notes that the image was read, never what was said."""
    said: dict[str, Any] = {"reasons": list(outcome.reasons)}
    state = State.REJECTED
    if outcome.state == OutcomeState.SUCCEEDED:
        prediction = outcome.prediction
        if prediction is None:
            raise ValueError("A succeeded outcome has a prediction.")
        state = State.SUCCEEDED
        said |= {
            "label": prediction.label,
            "confidence": prediction.confidence,
            "suspicion": prediction.suspicion,
            "uncertain": prediction.uncertain,
            **{f"probability_{label}": value for label, value in prediction.probabilities.items()},
        }
    if not claim.finish(state=state, **said):
        return False
    _note(claim.pk, "shadow_reading.made")
    return True


@transaction.atomic
def fail_shadow_reading(*, claim: Claim, code: str, message: str, detail: str) -> bool:
    """``RUNNING -> FAILED``. The analysis and everything that shows it stay as they are."""
    if not claim.finish(state=State.FAILED, error_code=code, error_message=message, error_detail=detail[:10_000]):
        return False
    _note(claim.pk, "shadow_reading.failed", code=code)
    return True


@transaction.atomic
def abandon_shadow_reading(pk: Any) -> bool:
    """``RUNNING -> FAILED`` for a reading whose worker was lost on its last attempt (the sweep calls this)."""
    failed = jobs.abandon(
        ShadowReading,
        pk,
        error_code="worker_lost",
        error_message="The candidate could not read this image.",
        error_detail="The lease ran out on the last attempt: the worker was killed or hung.",
    )
    if failed:
        _note(pk, "shadow_reading.failed", code="worker_lost")
    return failed


def _note(pk: Any, action: str, **details: Any) -> None:
    reading = ShadowReading.objects.select_related("model", "analysis__image__study__patient").get(pk=pk)
    audit.record(
        action,
        actor=None,
        target=reading,
        patient=patient_of(reading.analysis),
        model=str(reading.model),
        analysis=str(reading.analysis_id),
        **details,
    )
