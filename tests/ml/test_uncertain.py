"""The zone in which the answer is not to be leant on."""

from __future__ import annotations

import numpy as np
import pytest

from ml.figures import Judged, zone_figures
from ml.uncertain import ZONE_COVERAGE, UncertainZone, fit_zone


def scores(n, *, seed, shift=1.0):
    random = np.random.default_rng(seed)
    positive = random.random(n) < 0.3
    return 1 / (1 + np.exp(-random.normal(size=n) - shift * np.where(positive, 1, -1))), positive


def test_new_images_are_called_clearly_wrong_no_more_often_than_promised():
    missed, false = [], []
    for seed in range(60):
        fitted, positive = scores(300, seed=seed)
        zone = fit_zone(fitted, positive, ["a"] * 300)
        fresh, truth = scores(2000, seed=1000 + seed)
        missed.append((fresh[truth] < zone.low).mean())
        false.append((fresh[~truth] > zone.high).mean())
    assert np.mean(missed) <= 1 - ZONE_COVERAGE + 0.005
    assert np.mean(false) <= 1 - ZONE_COVERAGE + 0.005
    assert np.mean(missed) > 0.07, "a zone of everything would keep the promise too"


def test_every_collection_keeps_the_coverage():
    easy, positive = scores(400, seed=1, shift=3)
    hard, truth = scores(400, seed=2, shift=0.7)
    zone = fit_zone(np.append(easy, hard), np.append(positive, truth), ["easy"] * 400 + ["hard"] * 400)
    alone = fit_zone(hard, truth, ["hard"] * 400)
    assert zone.low <= alone.low
    assert zone.high >= alone.high
    for values, known in ((easy, positive), (hard, truth)):
        assert (values[known] < zone.low).mean() <= 0.1
        assert (values[~known] > zone.high).mean() <= 0.1


def test_a_better_model_has_a_smaller_zone():
    wide = fit_zone(*scores(500, seed=3, shift=0.7), ["a"] * 500)
    narrow = fit_zone(*scores(500, seed=3, shift=1.2), ["a"] * 500)
    assert narrow.high - narrow.low < wide.high - wide.low


def test_where_neither_answer_is_possible_the_image_is_uncertain_too():
    values, positive = scores(500, seed=4, shift=6)
    zone = fit_zone(values, positive, ["a"] * 500)
    below, above = values[~positive], values[positive]
    assert zone.low == pytest.approx(np.sort(below)[int(np.ceil((len(below) + 1) * 0.9)) - 1])
    assert zone.high > zone.low
    assert (above > zone.high).mean() >= 0.85


def test_too_few_images_make_everything_uncertain():
    zone = fit_zone(np.array([0.1, 0.9]), np.array([False, True]), ["a", "a"])
    assert (zone.low, zone.high) == (0, 1)


def test_the_bounds_belong_to_the_zone_and_the_entry_round_trips():
    zone = UncertainZone(low=0.2, high=0.4)
    inside = [zone.contains(value) for value in (0.19, 0.2, 0.3, 0.4, 0.41)]
    assert inside == [False, True, True, True, False]
    assert UncertainZone.from_mapping(zone.as_dict()) == zone


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"low": 0.5, "high": 0.4, "coverage": 0.9},
        {"low": -0.1, "high": 0.4, "coverage": 0.9},
        {"low": 0.1, "high": float("nan"), "coverage": 0.9},
        {"low": 0.1, "high": 0.4, "coverage": 1},
        {"low": None, "high": 0.4, "coverage": 0.9},
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(entry):
    with pytest.raises(ValueError, match="zone"):
        UncertainZone.from_mapping(entry)


def test_the_figures_count_inside_and_outside_by_hand():
    malignant = np.array([0.05, 0.3, 0.9, 0.1, 0.3, 0.8])
    judged = Judged(
        labels=np.array([1, 1, 1, 0, 0, 0]),
        probabilities=np.stack([1 - malignant, malignant, 0 * malignant], axis=1),
        thresholds=np.full(6, 0.5),
        groups=tuple("abcdef"),
        zones=np.tile([0.2, 0.4], (6, 1)),
    )
    figures = zone_figures(judged, resamples=20)
    values = {name: (figure["value"], figure["n"]) for name, figure in figures.items()}
    assert values["rate"] == (pytest.approx(1 / 3, abs=1e-4), 6)
    assert values["clearly_missed"] == (pytest.approx(1 / 3, abs=1e-4), 3)
    assert values["clearly_false"] == (pytest.approx(1 / 3, abs=1e-4), 3)
    assert values["accuracy_inside"] == (0.5, 2)
    assert values["accuracy_outside"] == (0.5, 4)
    assert values["auc_inside"] == (0.5, 2)
