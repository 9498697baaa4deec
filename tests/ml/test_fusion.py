"""Two looks, or several models, become one calibrated answer."""

from __future__ import annotations

import numpy as np
import pytest

from ml.evaluate import calibrate, judge_nested
from ml.fusion import Fusion, fit_fusion
from ml.logits import LogitTable, joined
from ml.metrics import softmax


def drawn(logits, *, seed=0):
    random = np.random.default_rng(seed)
    return np.array([random.choice(3, p=row) for row in softmax(logits)])


@pytest.fixture(scope="module")
def members():
    """True logits are 0.9 of the first member plus 0.5 of the second plus a bias."""
    random = np.random.default_rng(1)
    first, second = random.normal(size=(2, 6000, 3)) * 1.5
    bias = np.array([0.4, -0.1, -0.3])
    return first, second, bias, drawn(0.9 * first + 0.5 * second + bias)


def test_the_weights_and_biases_that_made_the_labels_are_found(members):
    first, second, bias, labels = members
    fusion = fit_fusion([first, second], labels)
    assert fusion.weights == pytest.approx((0.9, 0.5), abs=0.06)
    assert fusion.bias == pytest.approx(bias - bias.mean(), abs=0.06)


def test_the_fit_is_the_minimum_that_scipy_finds(members):
    optimize = pytest.importorskip("scipy.optimize", reason="SciPy is a development tool")
    first, second, _, labels = (each[:400] if len(each) > 3 else each for each in members)

    def loss(parameters):
        fused = parameters[0] * first + parameters[1] * second + parameters[2:]
        distance = parameters - [0.5, 0.5, 0, 0, 0]
        return -np.log(softmax(fused)[np.arange(400), labels]).mean() + 0.005 * distance @ distance

    best = optimize.minimize(loss, [0.5, 0.5, 0, 0, 0], bounds=[(0, None)] * 2 + [(None, None)] * 3, tol=1e-12)
    fusion = fit_fusion([first, second], labels)
    assert (*fusion.weights, *fusion.bias) == pytest.approx(best.x, abs=1e-3)


def test_a_member_that_contradicts_the_truth_gets_no_weight_rather_than_a_negative_one(members):
    first, second, _, labels = members
    fusion = fit_fusion([first, -second], labels)
    assert fusion.weights[1] == 0
    assert fusion.weights[0] > 0.5


def test_two_copies_of_one_member_share_its_weight(members):
    first, _, _, labels = members
    fusion = fit_fusion([first, first], labels)
    assert fusion.weights[0] == pytest.approx(fusion.weights[1], abs=1e-4)


def test_members_that_only_know_the_opposite_are_refused(members):
    first, _, _, labels = members
    with pytest.raises(ValueError, match="nothing to fuse"):
        fit_fusion([-20 * first, -20 * first], labels, penalty=1e-9)


def test_fusing_beats_either_member_alone(members):
    first, second, _, labels = members
    train, test = slice(0, 3000), slice(3000, None)
    fusion = fit_fusion([first[train], second[train]], labels[train])

    def loss(logits):
        return -np.log(softmax(logits)[np.arange(3000), labels[test]]).mean()

    fused = loss(fusion.apply(first[test], second[test]))
    assert fused < min(loss(first[test]), loss(second[test])) - 0.02


def test_an_image_without_a_second_look_is_judged_by_the_first_alone():
    fusion = Fusion(weights=(0.5, 0.5), bias=(0.1, 0.0, -0.1), alone=2.0)
    whole = np.array([[2.0, 0.0, -2.0], [1.0, 1.0, 1.0]])
    close = np.array([[np.nan, np.nan, np.nan], [0.0, 4.0, 0.0]])
    fused = fusion.apply(whole, close)
    np.testing.assert_allclose(fused, [[1.0, 0.0, -1.0], [0.6, 2.5, 0.4]])
    np.testing.assert_allclose(fusion.apply(whole[0], None), fused[0])


def test_a_missing_look_that_nothing_was_fitted_for_is_an_error():
    with pytest.raises(ValueError, match="missing"):
        Fusion(weights=(1.0, 1.0), bias=(0, 0, 0)).apply(np.zeros(3), None)
    with pytest.raises(ValueError, match="joins 2 members"):
        Fusion(weights=(1.0, 1.0), bias=(0, 0, 0)).apply(np.zeros(3))


def test_more_malignant_in_one_look_is_never_less_malignant_in_the_end(members):
    first, second, _, labels = members
    fusion = fit_fusion([first, second], labels)
    raised = second + np.array([0, 1, 0])
    before, after = (softmax(fusion.apply(first, each))[:, 1] for each in (second, raised))
    assert (after > before).all()


def test_the_manifest_s_entry_gives_the_same_answers(members):
    first, second, _, labels = members
    fusion = fit_fusion([first, second], labels, alone=1.3)
    again = Fusion.from_mapping(fusion.as_dict())
    np.testing.assert_allclose(softmax(again.apply(first, second)), softmax(fusion.apply(first, second)), atol=1e-5)
    assert again.alone == 1.3


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"weights": [], "bias": [0, 0, 0], "alone": None},
        {"weights": [-1, 2], "bias": [0, 0, 0], "alone": None},
        {"weights": [0, 0], "bias": [0, 0, 0], "alone": None},
        {"weights": [1, 1], "bias": [0, 0], "alone": None},
        {"weights": [1, float("nan")], "bias": [0, 0, 0], "alone": None},
        {"weights": [1, 1], "bias": [0, 0, 0], "alone": 0},
        {"weights": None, "bias": [0, 0, 0], "alone": None},
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(entry):
    with pytest.raises(ValueError, match="fusion|temperature"):
        Fusion.from_mapping(entry)


def two_look_table(*, n=600, missing=()):
    random = np.random.default_rng(2)
    logits = random.normal(size=(n, 2, 3)) * 1.5
    labels = drawn(logits.sum(axis=1))
    logits[list(missing), 1] = np.nan
    return LogitTable(
        keys=tuple(f"set/{i}" for i in range(n)),
        sources=("busi",) * n,
        groups=tuple(str(i) for i in range(n)),
        models=tuple(f"fold-{i % 5}" for i in range(n)),
        labels=labels,
        folds=np.arange(n) % 5,
        logits=logits,
        looks=("whole", "close"),
    )


def test_the_fusion_of_a_fold_never_saw_that_fold():
    table = two_look_table()
    _, before = judge_nested(table)
    other = table.labels.copy()
    other[table.folds == 1] = (other[table.folds == 1] + 1) % 3
    changed = LogitTable(
        keys=table.keys,
        sources=table.sources,
        groups=table.groups,
        models=table.models,
        labels=other,
        folds=table.folds,
        logits=table.logits,
        looks=table.looks,
    )
    _, after = judge_nested(changed)
    assert after[1] == before[1]
    assert all(after[fold].fusion != before[fold].fusion for fold in (0, 2, 3, 4))


def test_images_without_a_close_look_are_judged_by_the_whole_look():
    table = two_look_table(missing=range(10))
    fitted = calibrate(table)
    assert fitted.fusion.alone is not None
    probabilities = fitted.probabilities(table.logits)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(
        probabilities[:10], softmax(table.logits[:10, 0], temperature=fitted.fusion.alone), atol=1e-9
    )
    assert "fusion" in fitted.as_dict()


def test_runs_join_by_image_not_by_row():
    first = two_look_table(n=50)
    order = np.random.default_rng(3).permutation(50)
    second = LogitTable(
        keys=tuple(first.keys[i] for i in order),
        sources=first.sources,
        groups=tuple(first.groups[i] for i in order),
        models=first.models,
        labels=first.labels[order],
        folds=first.folds[order],
        logits=first.logits[order],
        looks=first.looks,
    )
    both = joined([("a", first), ("b", second)])
    assert both.looks == ("a/whole", "a/close", "b/whole", "b/close")
    np.testing.assert_array_equal(both.logits[:, :2], both.logits[:, 2:])


def test_runs_on_other_folds_are_not_compared():
    first, second = two_look_table(n=50), two_look_table(n=50)
    second.folds[3] = 4 - second.folds[3]
    with pytest.raises(ValueError, match="differ in the label, fold or group"):
        joined([("a", first), ("b", second)])
    with pytest.raises(ValueError, match="different images"):
        joined([("a", first), ("b", first.take(np.arange(50) > 0))])
