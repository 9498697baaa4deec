"""What a report takes from the rows and files of an analysis."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from diagnosis import actions, overlay, report_context
from diagnosis.models import Analysis, Report
from portal import jobs
from tests.fixture_images import HEIGHT, WIDTH, good_png
from tests.fixture_results import MARKS, RESEARCH, SIMILAR, filed, lesion, outcome, square, succeeded

MAP = overlay.layer_png(np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH))


def context_of(analysis):
    return report_context.of(Report.objects.select_related("analysis__image__study__patient").get(analysis=analysis))


def pixels(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).astype(int)


def coloured(png: bytes) -> np.ndarray:
    """Where a picture is not grey."""
    return np.ptp(pixels(png), axis=2) > 40


def test_the_outline_is_drawn_round_the_lesion_and_nowhere_else(study, rachel):
    context = context_of(succeeded(study=study, by=rachel, explanation=MAP, found=lesion(spacing_mm=0.1)))
    drawn = coloured(context.outlined_png)
    mask = square().mask > 0
    edge = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert drawn[edge].mean() > 0.9
    far = ~cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert not drawn[far].any()
    assert dict(context.measures)["Longest diameter"] == "4.2\N{NO-BREAK SPACE}mm"


def test_marks_are_drawn_as_circles(study, rachel):
    context = context_of(succeeded(study=study, by=rachel, explanation=MAP, marks=MARKS))
    drawn = coloured(context.outlined_png)
    first = MARKS[0]
    assert drawn[round(first.row), round(first.column - first.radius)]
    assert context.marks == [0.74, 0.31]
    assert context.measures == []


def test_a_result_without_lesion_marks_or_map_has_neither_picture(study, rachel):
    analysis = filed(study=study, by=rachel)
    claim = jobs.claim(Analysis, analysis.pk)
    assert actions.record_outcome(claim=claim, outcome=outcome(similar=SIMILAR), explanation=None)
    context = context_of(analysis)
    assert (context.outlined_png, context.overlay_png) == (b"", b"")
    assert np.array_equal(pixels(context.image_png), pixels(good_png(0)))


def test_doubt_research_and_prevalence_reach_the_paper(study, rachel):
    own = {"benign": 0.05, "malignant": 0.93, "normal": 0.02}
    context = context_of(
        succeeded(
            study=study,
            by=rachel,
            explanation=MAP,
            uncertain=True,
            model=RESEARCH,
            prevalence=0.08,
            own_probabilities=own,
        )
    )
    assert (context.uncertain, context.model_status) == (True, "research")
    assert (context.prevalence, context.own_probabilities) == (0.08, own)


def test_only_a_result_has_a_report(study, rachel):
    report = Report.objects.create(analysis=filed(study=study, by=rachel))
    with pytest.raises(ValueError, match="with a result"):
        report_context.of(report)
