"""Figures of merit against values worked out by hand or by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from ml.metrics import (
    area_under_curve,
    bootstrap,
    brier_score,
    confusion_matrix,
    precision_recall_f1,
    reliability,
    roc_curve,
    sensitivity_specificity,
    softmax,
)

metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is a development tool")


@pytest.fixture
def scored():
    random = np.random.default_rng(3)
    positive = random.random(400) < 0.3
    # Rounded, so that many scores tie.
    return positive, np.round(random.normal(size=400) + positive, 1)


def test_auc_is_scikit_learn_s_also_with_ties(scored):
    positive, scores = scored
    assert area_under_curve(positive, scores) == pytest.approx(metrics.roc_auc_score(positive, scores), abs=1e-12)


def test_auc_of_one_class_alone_is_undefined():
    assert np.isnan(area_under_curve(np.ones(3, bool), np.arange(3.0)))


def test_the_area_under_the_drawn_curve_is_the_auc(scored):
    positive, scores = scored
    false, true = roc_curve(positive, scores)
    assert np.trapezoid(true, false) == pytest.approx(area_under_curve(positive, scores), abs=1e-12)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


def test_per_class_figures_are_scikit_learn_s():
    random = np.random.default_rng(4)
    labels, guess = random.integers(0, 3, 200), random.integers(0, 3, 200)
    matrix = confusion_matrix(labels, guess, classes=3)
    assert np.array_equal(matrix, metrics.confusion_matrix(labels, guess))
    expected = np.stack(metrics.precision_recall_fscore_support(labels, guess)[:3], axis=1)
    np.testing.assert_allclose(precision_recall_f1(matrix), expected, atol=1e-12)


def test_a_class_that_is_absent_has_no_recall():
    figures = precision_recall_f1(confusion_matrix(np.array([0, 1]), np.array([0, 2]), classes=3))
    assert np.isnan(figures[2, 1])
    assert np.isnan(figures[1, 0])
    assert figures[0].tolist() == [1, 1, 1]


def test_sensitivity_and_specificity_count_the_right_sides():
    positive = np.array([True, True, True, False, False])
    flagged = np.array([True, True, False, True, False])
    assert sensitivity_specificity(positive, flagged) == (pytest.approx(2 / 3), pytest.approx(1 / 2))


def test_brier_is_zero_when_right_and_two_when_surely_wrong():
    right, wrong = np.array([[1.0, 0, 0]]), np.array([[0.0, 1, 0]])
    assert brier_score(np.array([0]), right) == 0
    assert brier_score(np.array([0]), wrong) == 2


def test_calibration_error_is_the_gap_weighted_by_images():
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.35])
    correct = np.array([True, True, False, False, False])
    assert reliability(confidence, correct).expected_error == pytest.approx(0.8 * 0.4 + 0.2 * 0.35)


def test_a_confidence_of_exactly_one_falls_into_the_last_bin():
    assert reliability(np.array([1.0, 0.0]), np.array([True, False])).count[[0, -1]].tolist() == [1, 1]


def test_softmax_survives_large_logits_and_a_temperature_flattens_it():
    logits = np.array([[1000.0, 0.0, -1000.0]])
    assert softmax(logits).tolist() == [[1, 0, 0]]
    assert softmax(np.array([[2.0, 0, 0]]), temperature=4)[0, 0] < softmax(np.array([[2.0, 0, 0]]))[0, 0]


def test_repeating_each_image_of_a_patient_does_not_narrow_the_interval():
    random = np.random.default_rng(5)
    correct = (random.random(60) < 0.7).astype(float)

    def measure(values):
        return lambda chosen: {"accuracy": float(values[chosen].mean())}

    once = bootstrap(measure(correct), [str(i) for i in range(60)], resamples=500)["accuracy"]
    tenfold = bootstrap(measure(np.repeat(correct, 10)), [str(i) for i in range(60) for _ in range(10)], resamples=500)
    many = tenfold["accuracy"]
    assert many.n == 600
    assert many.groups == 60
    assert many.value == pytest.approx(once.value)
    assert many.high - many.low == pytest.approx(once.high - once.low, rel=0.15)
    assert once.low < once.value < once.high


def test_an_undefined_figure_becomes_null_not_nan():
    figure = bootstrap(lambda chosen: {"auc": float("nan")}, ["a", "b"], resamples=5)["auc"]
    assert figure.as_dict() == {"value": None, "low": None, "high": None, "n": 2, "groups": 2}
