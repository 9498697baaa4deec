"""A site states how common disease is there, and the probabilities follow."""

from __future__ import annotations

import numpy as np
import pytest

from ml.calibrate import SUSPICION_CUTS
from ml.contract import LABELS, Prediction
from ml.prevalence import rebase, rebase_prediction, site_shares

TRAINING = (0.6, 0.3, 0.1)


@pytest.fixture
def probabilities():
    return np.random.default_rng(0).dirichlet((1, 1, 1), size=500)


def test_the_training_shares_change_nothing(probabilities):
    np.testing.assert_allclose(rebase(probabilities, training=TRAINING, site=TRAINING), probabilities, atol=1e-12)


def test_rows_still_sum_to_one(probabilities):
    based = rebase(probabilities, training=TRAINING, site=(0.2, 0.01, 0.79))
    np.testing.assert_allclose(based.sum(axis=-1), 1)


def test_re_basing_there_and_back_is_the_identity(probabilities):
    site = (0.1, 0.02, 0.88)
    there = rebase(probabilities, training=TRAINING, site=site)
    np.testing.assert_allclose(rebase(there, training=site, site=TRAINING), probabilities, atol=1e-12)


def test_a_commoner_disease_never_lowers_its_probability(probabilities):
    based = [
        rebase(probabilities, training=TRAINING, site=site_shares(TRAINING, share))[:, 1]
        for share in (0.001, 0.01, 0.1, 0.3, 0.6, 0.99)
    ]
    assert all((later >= earlier).all() for earlier, later in zip(based, based[1:], strict=False))


def test_the_order_of_images_stays(probabilities):
    based = rebase(probabilities, training=TRAINING, site=site_shares(TRAINING, 0.005))
    order = np.argsort(probabilities[:, 1])
    assert (np.diff(based[order, 1]) >= 0).all()


def test_it_is_bayes_rule_on_made_populations():
    """One finding, present in 80 % of malignant, 20 % of benign and 10 % of normal images."""
    seen = np.array([0.2, 0.8, 0.1])

    def posterior(shares):
        joint = seen * np.asarray(shares)
        return joint / joint.sum()

    site = (0.25, 0.005, 0.745)
    np.testing.assert_allclose(rebase(posterior(TRAINING), training=TRAINING, site=site), posterior(site))


def test_re_based_probabilities_are_calibrated_at_the_site():
    random = np.random.default_rng(1)

    def population(shares, n=40_000):
        labels = random.choice(3, p=shares, size=n)
        finding = random.normal(size=n) + 1.5 * (labels == 1)
        likelihood = np.exp(-0.5 * (finding[:, None] - np.array([0, 1.5, 0])) ** 2)
        joint = likelihood * np.asarray(TRAINING)
        return labels, joint / joint.sum(axis=1, keepdims=True)

    site = site_shares(TRAINING, 0.02)
    labels, stated = population(site)
    based = rebase(stated, training=TRAINING, site=site)[:, 1]
    assert stated[:, 1].mean() > 0.15
    assert based.mean() == pytest.approx((labels == 1).mean(), abs=0.003)


def test_a_site_that_states_its_share_of_malignant_keeps_the_others_in_proportion():
    shares = site_shares(TRAINING, 0.01)
    assert shares[1] == 0.01
    assert sum(shares) == pytest.approx(1)
    assert shares[0] / shares[2] == pytest.approx(6)


@pytest.mark.parametrize("malignant", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(malignant):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        site_shares(TRAINING, malignant)


@pytest.mark.parametrize(
    ("training", "site", "words"),
    [
        ((0.5, 0.5), TRAINING, "3 numbers"),
        ((0.5, 0.5, 0.5), TRAINING, "sum to 1"),
        ((-0.1, 0.6, 0.5), TRAINING, "not negative"),
        (TRAINING, (0.5, 0.6, float("nan")), "not negative"),
        ((0.7, 0.3, 0.0), TRAINING, "without normal images"),
    ],
)
def test_shares_that_make_no_sense_are_refused(training, site, words):
    with pytest.raises(ValueError, match=words):
        rebase(np.array([0.2, 0.3, 0.5]), training=training, site=site)


def test_probabilities_that_are_none_are_refused():
    with pytest.raises(ValueError, match="within 0-1"):
        rebase(np.array([0.2, 0.9, -0.1]), training=TRAINING, site=TRAINING)
    with pytest.raises(ValueError, match="only probable label"):
        rebase(np.array([0.0, 0.0, 1.0]), training=TRAINING, site=(0.5, 0.5, 0.0))


def test_a_set_without_normals_can_be_re_based_among_the_other_labels():
    training = (0.7, 0.3, 0.0)
    based = rebase(np.array([0.5, 0.5, 0.0]), training=training, site=site_shares(training, 0.1))
    assert based[2] == 0
    assert based[1] < 0.5


def test_the_prediction_follows_but_stays_as_uncertain_as_the_model_was():
    prediction = Prediction(
        label="malignant",
        confidence=0.6,
        probabilities=dict(zip(LABELS, (0.3, 0.6, 0.1), strict=True)),
        suspicion=7,
        uncertain=True,
    )
    training = dict(zip(LABELS, TRAINING, strict=True))
    based = rebase_prediction(prediction, training=training, malignant=0.005, cuts=SUSPICION_CUTS)
    assert based.label == "benign"
    assert based.confidence == based.probabilities["benign"]
    assert based.probabilities["malignant"] < 0.05
    assert based.suspicion == 1
    assert based.uncertain
    with pytest.raises(ValueError, match="share of normal"):
        rebase_prediction(prediction, training={"benign": 0.7, "malignant": 0.3}, malignant=0.1, cuts=SUSPICION_CUTS)
