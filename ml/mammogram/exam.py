"""From findings to breasts to the exam: pure functions over the marks and scores of the views.

By construction finding <= view <= breast <= exam, and every score grows when any finding's does: an exam is never less
suspicious than its worst finding, and a further view can only add suspicion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ml.contract import Outcome

LATERALITIES = ("L", "R")


@dataclass(frozen=True, slots=True)
class ViewScore:
    """What was seen on one view.

    Attributes:
        laterality: ``L`` or ``R``.
        view: such as ``CC`` or ``MLO``.
        score: probability of malignancy that the model states for the view, 0-1.
        findings: probabilities of malignancy of single findings on it, 0-1, in any order; may be empty.
    """

    laterality: str
    view: str
    score: float
    findings: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.laterality not in LATERALITIES:
            raise ValueError(f"laterality must be L or R, not {self.laterality!r}.")
        for value in (self.score, *self.findings):
            if not 0 <= value <= 1:
                raise ValueError(f"a score must lie in [0, 1], not {value}.")


@dataclass(frozen=True, slots=True)
class ExamScore:
    """What an exam adds up to.

    Attributes:
        exam: 0-1.
        breasts: score of each breast that was seen, 0-1.
        views: score of each view, in the order given, 0-1.
    """

    exam: float
    breasts: Mapping[str, float]
    views: tuple[float, ...]


def fuse_exam(views: Sequence[ViewScore]) -> ExamScore:
    """Join the views of one exam.

    A view scores the larger of what the model states for it and its strongest finding: two views of one breast show the
    same lesion, so findings are not independent and no noisy-or is taken over them. A breast scores its strongest view,
    an exam its worse breast.

    Raises:
        ValueError: there are no views.
    """
    if not views:
        raise ValueError("An exam has at least one view.")
    scores = tuple(max((each.score, *each.findings)) for each in views)
    breasts = {
        side: max(score for each, score in zip(views, scores, strict=True) if each.laterality == side)
        for side in LATERALITIES
        if any(each.laterality == side for each in views)
    }
    return ExamScore(exam=max(breasts.values()), breasts=breasts, views=scores)


def view_score(outcome: Outcome, *, laterality: str, view: str) -> ViewScore | None:
    """The score of an analysed view; ``None`` for a view that was refused.

    A mark's probability is that of a lesion of any kind. It is weighed with the film's share of malignancy among
    abnormalities, so that a mark and its film are on one scale.
    """
    if outcome.prediction is None:
        return None
    chance = outcome.prediction.probabilities
    abnormal = chance["benign"] + chance["malignant"]
    grave = chance["malignant"] / abnormal if abnormal > 0 else 0.0
    return ViewScore(
        laterality=laterality,
        view=view,
        score=chance["malignant"],
        findings=tuple(min(1.0, mark.score * grave) for mark in outcome.marks),
    )


def fuse_outcomes(seen: Iterable[tuple[str, str, Outcome]]) -> ExamScore | None:
    """Join analysed views given as (laterality, view, outcome); ``None`` when every view was refused."""
    scored = [view_score(outcome, laterality=side, view=view) for side, view, outcome in seen]
    judged = [each for each in scored if each is not None]
    return fuse_exam(judged) if judged else None
