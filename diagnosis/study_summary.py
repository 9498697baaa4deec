"""What lists say about a study: counted from its images, which the caller has prefetched with their analyses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from diagnosis.models import Analysis, Image, Study
from portal.jobs import UNFINISHED, State


@dataclass(frozen=True, slots=True)
class StudySummary:
    """A study in one line.

    Attributes:
        images: all images, oldest first.
        unfinished: analyses that are waiting or running.
        failed: analyses that stopped by a fault of ours.
        refused: analyses that the quality checks declined.
        worst: the analysis with the highest suspicion by a released model, if there is one; what lists go by.
        research: where no released model has spoken, the one with the highest suspicion by a research model.
    """

    study: Study
    images: tuple[Image, ...]
    unfinished: int
    failed: int
    refused: int
    worst: Analysis | None
    research: Analysis | None

    @property
    def version(self) -> str:
        """Changes whenever something that a list shows has changed."""
        seen = ";".join(f"{image.pk}:{image.analysis.state}:{image.analysis.stage}" for image in self.images)
        return hashlib.sha256(seen.encode()).hexdigest()[:16]


def summarise(study: Study) -> StudySummary:
    images = tuple(study.images.all())
    analyses = [image.analysis for image in images]
    ordering = [analysis for analysis in analyses if analysis.may_order_worklist]
    research = [analysis for analysis in analyses if analysis.suspicion is not None and analysis.is_research]
    return StudySummary(
        study=study,
        images=images,
        unfinished=sum(analysis.state in UNFINISHED for analysis in analyses),
        failed=sum(analysis.state == State.FAILED for analysis in analyses),
        refused=sum(analysis.state == State.REJECTED for analysis in analyses),
        worst=_highest(ordering),
        research=None if ordering else _highest(research),
    )


def _highest(analyses: list[Analysis]) -> Analysis | None:
    return max(analyses, key=lambda one: (one.suspicion or 0, one.probability_malignant or 0), default=None)
