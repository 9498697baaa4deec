"""Marks, free-response curves, calibration and exams."""

from __future__ import annotations

import numpy as np
import pytest

from ml.contract import Mark, ModelIdentity, Outcome, OutcomeState, Prediction, Quality
from ml.mammogram.calibration import FilmCalibration, Platt, fit_platt
from ml.mammogram.exam import ViewScore, fuse_exam, fuse_outcomes
from ml.mammogram.film import CANVAS, CELL, GRID
from ml.mammogram.froc import NOTHING, UNCLEAR, MarkedFilm, free_response, lesions_hit, score_at, sensitivity_at
from ml.mammogram.marks import APART, Spot, find_spots, smoothed
from ml.mammogram.targets import Lesion

TISSUE = np.ones(GRID, bool)


def scores_with(*peaks: tuple[int, int, float]) -> np.ndarray:
    scores = np.full((*GRID, 2), -4, np.float32)
    for row, column, height in peaks:
        scores[row - 1 : row + 2, column - 1 : column + 2, 0] = height
    return scores


def test_the_strongest_place_is_marked_first():
    spots = find_spots(scores_with((10, 10, 1.0), (30, 20, 2.0)), TISSUE)
    assert (spots[0].row, spots[0].column) == (30.5 * CELL, 20.5 * CELL)
    assert (spots[1].row, spots[1].column) == (10.5 * CELL, 10.5 * CELL)
    assert [spot.finding for spot in spots] == sorted((spot.finding for spot in spots), reverse=True)


def test_two_marks_are_never_nearer_than_one_finding_is_wide():
    spots = find_spots(np.random.default_rng(0).normal(size=(*GRID, 2)).astype(np.float32), TISSUE)
    for first in range(len(spots)):
        for second in range(first):
            a, b = spots[first], spots[second]
            assert np.hypot(a.row - b.row, a.column - b.column) >= APART * CELL


def test_nothing_is_marked_outside_the_tissue():
    tissue = np.zeros(GRID, bool)
    tissue[:, :16] = True
    spots = find_spots(scores_with((20, 25, 9.0), (20, 5, 0.0)), tissue)
    assert all(spot.column < 16 * CELL for spot in spots)
    assert spots[0].finding == pytest.approx(0.0)


def test_a_weak_mark_beside_a_strong_one_does_not_take_over_its_region():
    scores = np.full((*GRID, 2), -4, np.float32)
    scores[10:20, 10:20, 0] = 3.0
    scores[14:17, 20:23, 0] = 1.0
    alone = np.full((*GRID, 2), -4, np.float32)
    alone[14:17, 20:23, 0] = 1.0
    weak = next(spot for spot in find_spots(scores, TISSUE) if spot.column > 20 * CELL)
    assert weak.radius <= 2 * find_spots(alone, TISSUE)[0].radius


def test_without_tissue_there_is_no_mark():
    assert find_spots(scores_with((20, 20, 1.0)), np.zeros(GRID, bool)) == ()


def test_smoothing_at_the_edge_of_the_tissue_does_not_count_what_lies_outside():
    tissue = np.zeros(GRID, bool)
    tissue[10, 10] = True
    smooth = smoothed(scores_with((10, 11, 3.0)), tissue)
    assert smooth[10, 10, 0] == pytest.approx(3.0)


def _spot(row: float, column: float, finding: float = 0.0) -> Spot:
    return Spot(row=row, column=column, radius=24, finding=finding, malignant=0)


def _lesion(row: int, column: int, half: int) -> Lesion:
    mask = np.zeros(CANVAS, bool)
    mask[row - half : row + half, column - half : column + half] = True
    return Lesion("malignant", mask, float(row), float(column))


def test_a_mark_hits_inside_the_lesion_or_near_its_centre_and_nowhere_else():
    unclear = np.zeros(CANVAS, bool)
    unclear[700:, :] = True
    spots = [_spot(200, 240), _spot(400, 120), _spot(400, 150), _spot(720, 100)]
    on = lesions_hit(spots, [_lesion(200, 200, 60), _lesion(400, 100, 4)], unclear)
    assert on.tolist() == [0, 1, NOTHING, UNCLEAR]


def _film(scores, on, lesions, group="a") -> MarkedFilm:
    return MarkedFilm(np.array(scores, float), np.array(on), lesions, group)


def test_the_free_response_curve_counts_each_lesion_once_and_each_false_mark():
    films = [
        _film([0.9, 0.8, 0.7], [0, 0, NOTHING], 1),
        _film([0.85, 0.2], [NOTHING, 0], 1),
        _film([0.1], [NOTHING], 0),
    ]
    false, share = free_response(films)
    assert share[-1] == 1.0
    assert false[-1] == pytest.approx(1.0)
    at = sensitivity_at(films, (0.0, 1 / 3, 2 / 3))
    assert list(at.values()) == [0.5, 0.5, 1.0]


def test_marks_on_unclear_findings_count_neither_way():
    films = [_film([0.9, 0.5], [UNCLEAR, 0], 1)]
    false, share = free_response(films)
    assert false.max() == 0
    assert share.max() == 1.0


def test_the_free_response_curve_never_falls():
    random = np.random.default_rng(3)
    films = [_film(np.sort(random.random(5))[::-1], random.integers(-2, 2, 5), 2) for _ in range(20)]
    false, share = free_response(films)
    assert (np.diff(false) >= 0).all() and (np.diff(share) >= 0).all()


def test_the_mark_threshold_keeps_false_marks_below_the_rate():
    random = np.random.default_rng(4)
    films = [_film(np.sort(random.random(8))[::-1], np.full(8, NOTHING), 0) for _ in range(30)]
    least = score_at(films, 1.0)
    shown = sum(int((film.scores >= least).sum()) for film in films)
    assert shown == 30


def test_platt_scaling_recovers_the_curve_that_made_the_data():
    random = np.random.default_rng(5)
    logits = random.normal(0, 3, 20_000)
    positive = random.random(20_000) < 1 / (1 + np.exp(-(0.7 * logits - 1.2)))
    fitted = fit_platt(logits, positive)
    assert fitted.slope == pytest.approx(0.7, abs=0.05)
    assert fitted.offset == pytest.approx(-1.2, abs=0.08)


def test_a_scaling_never_turns_the_order_round():
    logits = np.linspace(-1, 1, 50)
    fitted = fit_platt(logits, logits < 0)
    assert fitted.slope == 0.0
    assert fitted(0.3) == pytest.approx(0.5, abs=0.02)


def test_separable_data_still_gives_finite_probabilities():
    logits = np.array([-2.0, -1.0, 1.0, 2.0])
    fitted = fit_platt(logits, logits > 0)
    assert 0 < float(fitted(-2.0)) < float(fitted(2.0)) < 1


@pytest.mark.parametrize("broken", [{}, {"slope": 1}, {"slope": -1, "offset": 0}, {"slope": "1", "offset": 0}, None])
def test_a_broken_scaling_in_a_manifest_is_refused(broken):
    with pytest.raises(ValueError):
        Platt.from_mapping(broken)


def test_the_three_probabilities_sum_to_one():
    calibration = FilmCalibration(Platt(1, 0), Platt(0.5, -1), Platt(1, 0))
    chances = calibration.probabilities(np.linspace(-5, 5, 11), np.linspace(3, -3, 11))
    assert chances.sum(axis=1) == pytest.approx(np.ones(11))
    assert (chances >= 0).all()


def _random_exam(random: np.random.Generator) -> list[ViewScore]:
    return [
        ViewScore(
            laterality=str(random.choice(["L", "R"])),
            view=str(random.choice(["CC", "MLO"])),
            score=float(random.random()),
            findings=tuple(float(each) for each in random.random(random.integers(0, 4))),
        )
        for _ in range(random.integers(1, 6))
    ]


@pytest.mark.parametrize("seed", range(50))
def test_a_finding_never_exceeds_its_breast_nor_a_breast_its_exam(seed):
    views = _random_exam(np.random.default_rng(seed))
    exam = fuse_exam(views)
    for view, score in zip(views, exam.views, strict=True):
        assert max((view.score, *view.findings)) <= score <= exam.breasts[view.laterality] <= exam.exam <= 1


@pytest.mark.parametrize("seed", range(50))
def test_one_more_view_or_finding_never_lowers_an_exam(seed):
    random = np.random.default_rng(seed)
    views = _random_exam(random)
    before = fuse_exam(views)
    more = fuse_exam([*views, *_random_exam(random)])
    assert more.exam >= before.exam
    assert all(more.breasts[side] >= score for side, score in before.breasts.items())


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_the_views_does_not_matter(seed):
    views = _random_exam(np.random.default_rng(seed))
    assert fuse_exam(views).exam == fuse_exam(views[::-1]).exam
    assert fuse_exam(views).breasts == fuse_exam(views[::-1]).breasts


def test_an_exam_without_views_and_scores_off_the_scale_are_refused():
    with pytest.raises(ValueError, match="at least one view"):
        fuse_exam([])
    with pytest.raises(ValueError, match="0, 1"):
        ViewScore("L", "CC", 1.2)
    with pytest.raises(ValueError, match="L or R"):
        ViewScore("left", "CC", 0.2)


def _outcome(malignant: float | None, *marks: float) -> Outcome:
    identity = ModelIdentity("mg", "1.0.0", "0" * 64, "MG", "research")
    if malignant is None:
        return Outcome(OutcomeState.REJECTED, identity, Quality(), reasons=("dark",))
    chances = {"benign": 0.1, "malignant": malignant, "normal": 0.9 - malignant}
    return Outcome(
        OutcomeState.SUCCEEDED,
        identity,
        Quality(),
        prediction=Prediction("normal", 0.5, chances, 3),
        marks=tuple(Mark(1, 1, 1, score) for score in marks),
    )


def test_refused_views_are_left_out_of_the_exam():
    fused = fuse_outcomes([("L", "CC", _outcome(None)), ("R", "CC", _outcome(0.3, 0.9))])
    assert fused is not None
    assert set(fused.breasts) == {"R"}
    # The mark's probability of a lesion is weighed with the share of malignancy: 0.9 x 0.3 / 0.4.
    assert fused.exam == pytest.approx(0.675)


def test_an_exam_of_refused_views_has_no_score():
    assert fuse_outcomes([("L", "CC", _outcome(None))]) is None
