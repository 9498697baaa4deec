"""Analyses in each state, brought there by the real verbs; no model is run."""

from __future__ import annotations

from accounts.models import User
from diagnosis import actions
from diagnosis.models import Analysis, Report, Study
from ml.contract import LABELS, ModelIdentity, Outcome, OutcomeState, Prediction, Quality, QualityCheck
from portal import jobs
from tests.fixture_images import good_png

MODEL = ModelIdentity(name="us-test", version="1.0.0", sha256="ab" * 32, modality="US")
SHARP = Quality((QualityCheck(name="blur", value=412.5, passed=True, limit=">= 20"),))
BLURRED = Quality((QualityCheck(name="blur", value=3.25, passed=False, limit=">= 20", message="Too blurred."),))


def filed(*, study: Study, by: User, seed: int = 0) -> Analysis:
    """A queued analysis of a new image."""
    image = actions.add_image(acting_user=by, study=study, upload=good_png(seed), filename=f"scan-{seed}.png").image
    return image.analysis


def _claimed(analysis: Analysis) -> jobs.Claim:
    claim = jobs.claim(Analysis, analysis.pk)
    assert claim is not None
    return claim


def succeeded(
    *, study: Study, by: User, seed: int = 0, label: str = "malignant", confidence: float = 0.81, suspicion: int = 7
) -> Analysis:
    """An analysis with a result; its report is queued."""
    analysis = filed(study=study, by=by, seed=seed)
    rest = (1 - confidence) / 2
    outcome = Outcome(
        state=OutcomeState.SUCCEEDED,
        model=MODEL,
        quality=SHARP,
        prediction=Prediction(
            label=label,
            confidence=confidence,
            probabilities={name: confidence if name == label else rest for name in LABELS},
            suspicion=suspicion,
        ),
    )
    assert actions.record_outcome(claim=_claimed(analysis), outcome=outcome, explanation=good_png(seed + 1000))
    analysis.refresh_from_db()
    return analysis


def with_report(analysis: Analysis, *, pdf: bytes = b"%PDF-1.7 made by a test") -> Report:
    """Store the newest queued report of a succeeded analysis."""
    report = analysis.reports.get(state=jobs.State.QUEUED)
    claim = jobs.claim(Report, report.pk)
    assert claim is not None
    assert actions.record_report(claim=claim, pdf=pdf, sha256=f"{report.version:064x}", page_count=1)
    report.refresh_from_db()
    return report


def rejected(*, study: Study, by: User, seed: int = 0) -> Analysis:
    """An analysis that the pipeline declined."""
    analysis = filed(study=study, by=by, seed=seed)
    outcome = Outcome(
        state=OutcomeState.REJECTED, model=MODEL, quality=BLURRED, reasons=("Too blurred.", "Take it again.")
    )
    assert actions.record_outcome(claim=_claimed(analysis), outcome=outcome, explanation=None)
    analysis.refresh_from_db()
    return analysis


def failed(*, study: Study, by: User, seed: int = 0) -> Analysis:
    """An analysis that stopped by our fault."""
    analysis = filed(study=study, by=by, seed=seed)
    assert actions.fail_analysis(
        claim=_claimed(analysis), code="internal_error", message="A fault on our side.", detail="Traceback: secret"
    )
    analysis.refresh_from_db()
    return analysis
