"""Drift is reported where there is some, and rarely where there is none."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from ml.contract import ModelIdentity, Outcome, OutcomeState, Prediction, Quality, QualityCheck
from ml.monitoring import (
    LEAST_IMAGES,
    SHIFTED,
    STABLE,
    TOO_FEW,
    chi_squared_tail,
    drift_report,
    kolmogorov_smirnov,
    monitoring_reference,
    stability_index,
    values_of,
)


def draws(seed: int, *, n: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    """A score between 0 and 1, a bell-shaped value and one with many ties, all moved by ``shift`` deviations."""
    random = np.random.default_rng(seed)
    bell = random.normal(shift, 1, n)
    return {
        "probability_malignant": 1 / (1 + np.exp(-2 * random.normal(shift - 0.5, 1, n))),
        "blur": bell,
        "suspicion": np.clip(np.round(5 + 2 * random.normal(shift, 1, n)), 1, 10),
    }


@pytest.fixture(scope="module")
def reference():
    return monitoring_reference(draws(0, n=2000))


def test_the_reference_survives_json(reference):
    again = json.loads(json.dumps(reference))
    assert drift_report(again, draws(1, n=200)) == drift_report(reference, draws(1, n=200))


@pytest.mark.parametrize(("n", "other", "shift"), [(60, 80, 0.0), (100, 900, 0.3), (500, 500, 0.1), (50, 2000, 1.0)])
def test_the_gap_and_its_chance_are_those_of_scipy(n, other, shift):
    random = np.random.default_rng(n)
    first, second = random.normal(size=n), random.normal(shift, 1, other)
    gap, chance = kolmogorov_smirnov(first, second)
    exact = stats.ks_2samp(first, second, method="exact")
    assert gap == pytest.approx(exact.statistic)
    assert chance == pytest.approx(exact.pvalue, abs=0.02)


@pytest.mark.parametrize("freedom", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("value", [0.0, 0.3, 2.0, 9.0, 40.0])
def test_the_chi_squared_tail_is_that_of_scipy(freedom, value):
    assert chi_squared_tail(value, freedom=freedom) == pytest.approx(stats.chi2.sf(value, freedom), rel=1e-9)


def test_the_stability_index_is_the_sum_it_is_defined_as():
    expected, observed = np.array([0.5, 0.3, 0.2]), np.array([2000, 5000, 3000])
    index, chance = stability_index(expected, observed, reference_n=10**6)
    assert index == pytest.approx(
        sum((o - e) * math.log(o / e) for o, e in zip(observed / 1e4, expected, strict=True)), rel=1e-2
    )
    assert chance < 1e-12


def test_an_empty_bin_does_not_make_the_index_infinite():
    index, _ = stability_index(np.full(10, 0.1), np.array([100, *([0] * 9)]), reference_n=1000)
    assert math.isfinite(index)
    assert index > 1


def test_the_index_s_chance_is_uniform_without_a_shift():
    random = np.random.default_rng(3)
    shares = np.full(10, 0.1)
    chances = []
    for _ in range(400):
        known = random.multinomial(2000, shares)
        chances.append(stability_index(known / 2000, random.multinomial(300, shares), reference_n=2000)[1])
    assert 0.02 < np.mean(np.array(chances) < 0.05) < 0.09


@pytest.mark.parametrize("n", [LEAST_IMAGES, 200, 1000])
def test_the_same_distribution_rarely_alarms(reference, n):
    alarms = [drift_report(reference, draws(1000 + draw, n=n)).state != STABLE for draw in range(200)]
    # At most 1 % is promised; 200 draws of such a rate stay below 3.5 % but once in a thousand tries.
    assert np.mean(alarms) <= 0.035


@pytest.mark.parametrize("n", [200, 1000])
def test_a_shift_of_half_a_deviation_is_found(reference, n):
    found = [drift_report(reference, draws(5000 + draw, n=n, shift=0.5)).state != STABLE for draw in range(40)]
    assert np.mean(found) >= 0.95


def test_a_shift_of_a_whole_deviation_is_called_one_and_named(reference):
    report = drift_report(reference, draws(9, n=300, shift=1.0))
    assert report.state == SHIFTED
    assert "blur" in report.sentence
    assert "final diagnoses" in report.sentence
    moved = {each.name: each for each in report.quantities}["blur"]
    assert moved.state == SHIFTED
    assert "higher" in moved.sentence


def test_only_the_quantity_that_moved_is_named(reference):
    recent = draws(11, n=400)
    recent["blur"] = recent["blur"] - 1.5
    states = {each.name: each.state for each in drift_report(reference, recent).quantities}
    assert states == {"probability_malignant": STABLE, "blur": SHIFTED, "suspicion": STABLE}


def test_a_wider_spread_around_the_same_middle_is_found(reference):
    recent = draws(12, n=600)
    recent["blur"] = recent["blur"] * 2.5
    assert {each.name: each.state for each in drift_report(reference, recent).quantities}["blur"] == SHIFTED


def test_few_images_give_no_verdict(reference):
    report = drift_report(reference, draws(13, n=LEAST_IMAGES - 1, shift=3.0))
    assert report.state == TOO_FEW
    assert str(LEAST_IMAGES) in report.sentence
    assert all(row["gap"] is None for row in report.as_dict()["quantities"])


def test_quantities_that_are_not_given_or_not_known_do_no_harm(reference):
    report = drift_report(reference, {"blur": draws(14, n=100)["blur"], "unheard_of": [1.0] * 100})
    assert {each.name: each.state for each in report.quantities} == {
        "probability_malignant": TOO_FEW,
        "blur": STABLE,
        "suspicion": TOO_FEW,
    }
    assert report.state == STABLE


def test_values_that_are_not_numbers_are_left_out(reference):
    recent = draws(15, n=100)
    recent["blur"] = np.concatenate([recent["blur"], [np.nan, np.inf]])
    assert drift_report(reference, recent).quantities[1].n == 100


@pytest.mark.parametrize("moved", [0.2, -0.2])
def test_a_constant_reference_notices_the_first_other_value(moved):
    reference = monitoring_reference({"colour": np.zeros(500)})
    assert drift_report(reference, {"colour": np.zeros(200)}).state == STABLE
    assert drift_report(reference, {"colour": np.full(200, moved)}).state == SHIFTED


@pytest.mark.parametrize("values", [[1.0] * 5, [1.0] * 20 + [math.nan]])
def test_a_reference_of_too_few_or_broken_values_is_refused(values):
    with pytest.raises(ValueError, match="blur"):
        monitoring_reference({"blur": values})


def test_an_outcome_gives_its_score_and_its_checks():
    identity = ModelIdentity("us-test", "1.0.0", "0" * 64, "US")
    quality = Quality((QualityCheck("blur", 0.2, True), QualityCheck("novelty", 0.9, True)))
    prediction = Prediction("benign", 0.7, {"benign": 0.7, "malignant": 0.2, "normal": 0.1}, 4)
    judged = Outcome(OutcomeState.SUCCEEDED, identity, quality, prediction)
    assert values_of(judged) == {"blur": 0.2, "novelty": 0.9, "probability_malignant": 0.2, "confidence": 0.7}
    assert values_of(Outcome(OutcomeState.REJECTED, identity, quality)) == {"blur": 0.2, "novelty": 0.9}
