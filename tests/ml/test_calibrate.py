"""Temperature, threshold and suspicion."""

from __future__ import annotations

import numpy as np
import pytest

from ml.calibrate import MALIGNANT, SUSPICION_CUTS, fit_temperature, fit_threshold, suspicion
from ml.evaluate import calibrate, judge_nested, source_weights
from ml.logits import LogitTable
from ml.metrics import reliability, softmax


def labels_drawn_from(logits, *, seed=0):
    probabilities = softmax(logits)
    random = np.random.default_rng(seed)
    return np.array([random.choice(3, p=row) for row in probabilities])


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_spoilt_the_logits_is_found(true_temperature):
    logits = np.random.default_rng(0).normal(size=(6000, 3)) * 2
    found = fit_temperature(logits * true_temperature, labels_drawn_from(logits))
    assert found == pytest.approx(true_temperature, rel=0.06)


def test_calibration_lowers_the_calibration_error_and_keeps_every_label():
    logits = np.random.default_rng(1).normal(size=(4000, 3)) * 2
    labels = labels_drawn_from(logits)
    overconfident = logits * 3
    temperature = fit_temperature(overconfident, labels)

    def error(probabilities):
        return reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels).expected_error

    before, after = softmax(overconfident), softmax(overconfident, temperature=temperature)
    assert error(after) < 0.3 * error(before)
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))


def probabilities_of(malignant):
    malignant = np.asarray(malignant, float)
    return np.stack([1 - malignant, malignant, np.zeros_like(malignant)], axis=1)


def test_the_threshold_reaches_the_aim_in_every_collection_and_is_the_highest_that_does():
    random = np.random.default_rng(2)
    scores = np.concatenate([random.beta(5, 2, 100), random.beta(3, 3, 200), random.beta(1, 4, 300)])
    labels = np.array([MALIGNANT] * 300 + [0] * 300)
    sources = ["busi"] * 100 + ["busbra"] * 200 + ["busi"] * 300
    threshold = fit_threshold(probabilities_of(scores), labels, sources, aim=0.9)
    names = np.array(sources)

    def worst(at):
        return min((scores[(labels == MALIGNANT) & (names == name)] >= at).mean() for name in ("busi", "busbra"))

    assert worst(threshold) >= 0.9
    assert worst(np.nextafter(threshold, 1)) < 0.9


def test_the_threshold_without_malignant_images_flags_everything():
    assert fit_threshold(probabilities_of([0.1, 0.9]), np.array([0, 0]), ["a", "a"]) == 0


def test_suspicion_steps_exactly_at_its_cuts():
    for step, cut in enumerate(SUSPICION_CUTS, start=1):
        assert suspicion(np.nextafter(cut, 0)) == step
        assert suspicion(cut) == step + 1
    assert (suspicion(0.0), suspicion(1.0)) == (1, 10)


def table(logits, labels, folds):
    n = len(labels)
    return LogitTable(
        keys=tuple(f"set/{i}" for i in range(n)),
        sources=("set",) * n,
        groups=tuple(str(i) for i in range(n)),
        models=("fold",) * n,
        labels=np.asarray(labels),
        folds=np.asarray(folds),
        logits=np.asarray(logits, float)[:, None],
    )


def test_the_calibration_of_a_fold_never_saw_that_fold():
    random = np.random.default_rng(6)
    logits = random.normal(size=(500, 3)) * 2
    labels = labels_drawn_from(logits)
    folds = np.arange(500) % 5
    _, before = judge_nested(table(logits, labels, folds))
    # Whatever happens to the labels of fold 2, its own calibration must not move; the others' must.
    other = labels.copy()
    other[folds == 2] = (other[folds == 2] + 1) % 3
    _, after = judge_nested(table(logits, other, folds))
    assert after[2] == before[2]
    assert all(after[fold] != before[fold] for fold in (0, 1, 3, 4))


def test_the_shipped_calibration_uses_all_folds():
    random = np.random.default_rng(7)
    logits = random.normal(size=(500, 3)) * 2
    labels = labels_drawn_from(logits)
    everything = table(logits, labels, np.arange(500) % 5)
    assert calibrate(everything).temperature == pytest.approx(fit_temperature(logits, labels), rel=1e-6)


def test_the_manifest_s_calibration_holds_all_that_serving_needs():
    random = np.random.default_rng(8)
    logits = random.normal(size=(500, 3)) * 2
    fitted = calibrate(table(logits, labels_drawn_from(logits), np.arange(500) % 5))
    entry = fitted.as_dict()
    assert set(entry) == {"temperature", "threshold", "suspicion_cuts", "uncertain", "prevalence"}
    assert sum(entry["prevalence"].values()) == pytest.approx(1, abs=1e-3)
    assert 0 <= entry["uncertain"]["low"] <= entry["uncertain"]["high"] <= 1
    expected = softmax(logits, temperature=fitted.temperature)
    np.testing.assert_allclose(fitted.probabilities(logits[:, None]), expected)


def test_prevalence_is_that_of_collections_of_equal_weight():
    logits = np.zeros((40, 3))
    labels = np.array([MALIGNANT] * 10 + [0] * 30)
    mixed = LogitTable(
        keys=tuple(map(str, range(40))),
        sources=("few",) * 10 + ("many",) * 30,
        groups=tuple(map(str, range(40))),
        models=("m",) * 40,
        labels=labels,
        folds=np.arange(40) % 5,
        logits=logits[:, None],
    )
    assert calibrate(mixed).prevalence == pytest.approx((0.5, 0.5, 0))


def test_each_collection_weighs_the_same():
    weights = source_weights(["a"] * 10 + ["b"] * 30)
    assert weights[:10].sum() == pytest.approx(weights[10:].sum())
    assert weights.mean() == pytest.approx(1)
