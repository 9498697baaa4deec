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
        worst: the analysis with the highest suspicion, if any has a result.
    """

    study: Study
    images: tuple[Image, ...]
    unfinished: int
    failed: int
    refused: int
    worst: Analysis | None

    @property
    def version(self) -> str:
        """Changes whenever something that a list shows has changed."""
        seen = ";".join(f"{image.pk}:{image.analysis.state}:{image.analysis.stage}" for image in self.images)
        return hashlib.sha256(seen.encode()).hexdigest()[:16]


def summarise(study: Study) -> StudySummary:
    images = tuple(study.images.all())
    analyses = [image.analysis for image in images]
    scored = [analysis for analysis in analyses if analysis.suspicion is not None]
    return StudySummary(
        study=study,
        images=images,
        unfinished=sum(analysis.state in UNFINISHED for analysis in analyses),
        failed=sum(analysis.state == State.FAILED for analysis in analyses),
        refused=sum(analysis.state == State.REJECTED for analysis in analyses),
        worst=max(scored, key=lambda analysis: (analysis.suspicion, analysis.probability_malignant or 0), default=None),
    )
