"""Analyses in each state, brought there by the real verbs; no model is run."""

from __future__ import annotations

from typing import Any

import numpy as np

from accounts.models import User
from diagnosis import actions
from diagnosis.lesion import Lesion, kept
from diagnosis.models import Analysis, Report, Study
from ml.contract import (
    LABELS,
    Mark,
    ModelIdentity,
    Outcome,
    OutcomeState,
    Prediction,
    Quality,
    QualityCheck,
    Segmentation,
    SimilarCase,
)
from portal import jobs
from tests.fixture_images import HEIGHT, WIDTH, good_png

MODEL = ModelIdentity(name="us-test", version="1.0.0", sha256="ab" * 32, modality="US")
RESEARCH = ModelIdentity(name="mg-trial", version="0.1.0", sha256="cd" * 32, modality="MG", status="research")
SIMILAR = (
    SimilarCase(case="busi/malignant-0042", source="busi", label="malignant", similarity=0.93),
    SimilarCase(case="busbra/bus-0007-l", source="busbra", label="benign", similarity=0.71),
)
MARKS = (Mark(row=30, column=60, radius=12, score=0.74), Mark(row=70, column=20, radius=8, score=0.31))
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


def square(*, top: int = 20, left: int = 40, side: int = 31) -> Segmentation:
    """A square lesion on an image of :func:`good_png`."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top : top + side, left : left + side] = 255
    return Segmentation(
        mask=mask,
        area_share=side * side / mask.size,
        area_px=side * side,
        diameter_px=(side - 1) * 2**0.5,
        box=(top, left, top + side, left + side),
    )


def lesion(*, spacing_mm: float | None = None) -> Lesion:
    """The same as it is stored; 31 x 31 pixels."""
    return kept(square(), row_spacing_mm=spacing_mm, column_spacing_mm=spacing_mm)


def outcome(
    *,
    label: str = "malignant",
    confidence: float = 0.81,
    suspicion: int = 7,
    uncertain: bool = False,
    model: ModelIdentity = MODEL,
    marks: tuple[Mark, ...] = (),
    similar: tuple[SimilarCase, ...] = (),
) -> Outcome:
    """What a pipeline says of an image that it judges."""
    rest = (1 - confidence) / 2
    return Outcome(
        state=OutcomeState.SUCCEEDED,
        model=model,
        quality=SHARP,
        prediction=Prediction(
            label=label,
            confidence=confidence,
            probabilities={name: confidence if name == label else rest for name in LABELS},
            suspicion=suspicion,
            uncertain=uncertain,
        ),
        marks=marks,
        similar=similar,
    )


def succeeded(
    *,
    study: Study,
    by: User,
    seed: int = 0,
    explanation: bytes | None = None,
    found: Lesion | None = None,
    prevalence: float | None = None,
    own_probabilities: dict[str, float] | None = None,
    **said: Any,
) -> Analysis:
    """An analysis with a result, which ``said`` may change (see :func:`outcome`); its report is queued.

    Its map is some picture, unless ``explanation`` is a real one.
    """
    analysis = filed(study=study, by=by, seed=seed)
    assert actions.record_outcome(
        claim=_claimed(analysis),
        outcome=outcome(**said),
        explanation=explanation or good_png(seed + 1000),
        lesion=found,
        prevalence=prevalence,
        own_probabilities=own_probabilities,
    )
    analysis.refresh_from_db()
    return analysis


def with_report(analysis: Analysis, *, pdf: bytes = b"%PDF-1.7 made by a test") -> Report:
    """Store the newest queued report of a succeeded analysis."""
    report = analysis.reports.filter(state=jobs.State.QUEUED).order_by("-version")[0]
    claim = jobs.claim(Report, report.pk)
    assert claim is not None
    assert actions.record_report(claim=claim, pdf=pdf, sha256=f"{report.version:064x}", page_count=1)
    report.refresh_from_db()
    return report


def rejected(*, study: Study, by: User, seed: int = 0, quality: Quality = BLURRED) -> Analysis:
    """An analysis that the pipeline declined."""
    analysis = filed(study=study, by=by, seed=seed)
    declined = Outcome(
        state=OutcomeState.REJECTED, model=MODEL, quality=quality, reasons=("Too blurred.", "Take it again.")
    )
    assert actions.record_outcome(claim=_claimed(analysis), outcome=declined, explanation=None)
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


def concluded(
    analysis: Analysis, *, by: User, birads: str = "2", label: str = "benign", text: str = "A cyst."
) -> Report:
    """The final report of an analysis, after a radiologist's conclusion; not released."""
    actions.conclude(acting_user=by, analysis=analysis, label=label, birads=birads, conclusion=text)
    return with_report(analysis)


def released(analysis: Analysis, *, by: User, letter: str = "Dear patient, all is well.") -> Report:
    """A report that its patient may see."""
    return actions.release_report(acting_user=by, report=concluded(analysis, by=by), letter=letter)
