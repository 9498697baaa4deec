"""What models said is held against what turned out to be true, with n and interval, and nothing is said of a few."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.utils import timezone

from diagnosis import actions, inference, outcomes
from diagnosis.agreement import LEAST_CASES, Proportion
from diagnosis.models import KnownOutcome, ModelVersion
from diagnosis.outcomes import Read, against
from diagnosis.templatetags.governance import charted, in_short, with_interval
from tests.fixture_models import registered
from tests.fixture_results import MODEL, RESEARCH, succeeded


def dashboard(client, user) -> str:
    """The words of the dashboard."""
    client.force_login(user)
    html = unescape(client.get("/dashboard/").content.decode())
    return re.sub(r"<[^>]+>", "", html).replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture
def shipped(db) -> ModelVersion:
    rows = actions.register_models(found=inference.installed())
    return next(one for one in rows if one.modality == "US" and one.active)


def test_what_was_measured_stands_beside_what_came_true_here(client, adam, shipped):
    text = dashboard(client, adam)
    assert re.search(r"Sensitivity of the label malignant\s*0\.\d\d \(0\.\d\d to 0\.\d\d\), n = \d+", text)
    assert re.search(r"Accuracy, malignant or not\s*none yet", text)


def test_a_few_outcomes_are_too_few_to_say(client, adam, rachel, study):
    model = registered(MODEL, active=True)
    succeeded(study=study, by=rachel, label="malignant")
    outcome_of(study, rachel, "malignant")
    assert outcomes.of_model(model).accuracy == Proportion(hits=1, n=1)
    text = dashboard(client, adam)
    assert re.search(r"Accuracy, malignant or not\s*too few to say: n = 1, 30 are needed", text)


def outcome_of(study, by, label: str, laterality: str = "") -> KnownOutcome:
    return actions.record_known_outcome(
        acting_user=by,
        study=study,
        label=label,
        source="histology",
        determined_on=timezone.localdate(),
        laterality=laterality,
    )


def test_a_breast_is_called_malignant_when_one_of_its_images_is(rachel, study):
    model = registered(MODEL, active=True)
    succeeded(study=study, by=rachel, seed=1, label="benign")
    succeeded(study=study, by=rachel, seed=2, label="malignant")
    outcome_of(study, rachel, "malignant")
    assert outcomes.of_model(model).sensitivity == Proportion(hits=1, n=1)


def test_an_outcome_of_the_other_side_is_not_this_ones(rachel, study):
    model = registered(MODEL, active=True)
    succeeded(study=study, by=rachel)
    outcome_of(study, rachel, "malignant", laterality="R")
    assert outcomes.of_model(model).n == 0
    outcome_of(study, rachel, "benign", laterality="B")
    assert outcomes.of_model(model).specificity == Proportion(hits=0, n=1)


def test_the_newest_outcome_counts(rachel, study):
    model = registered(MODEL, active=True)
    succeeded(study=study, by=rachel, label="malignant")
    outcome_of(study, rachel, "malignant", laterality="L")
    outcome_of(study, rachel, "benign", laterality="L")
    assert outcomes.of_model(model).specificity == Proportion(hits=0, n=1)


def test_what_another_model_said_is_not_held_against_this_one(rachel, study):
    registered(MODEL, active=True)
    succeeded(study=study, by=rachel, label="malignant")
    outcome_of(study, rachel, "malignant")
    assert outcomes.of_model(registered(RESEARCH)).n == 0


def test_accuracy_adds_both_up():
    reads = [Read(study=1, side="L", malignant=True), Read(study=2, side="L", malignant=True)]
    truth = against({(1, "L"): True, (2, "L"): False}, reads)
    assert (truth.sensitivity.share, truth.specificity.share, truth.accuracy.share) == (1.0, 0.0, 0.5)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 30, 0.0, 0.1135), (15, 30, 0.3315, 0.6685), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_is_wilsons(hits, n, low, high):
    """The last is the example of Newcombe (1998)."""
    found = Proportion(hits=hits, n=n)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_below_the_least_number_no_share_is_shown_or_drawn():
    few, enough = Proportion(hits=9, n=LEAST_CASES - 1), Proportion(hits=9, n=LEAST_CASES)
    assert with_interval(few) == "too few to say: n = 29, 30 are needed"
    assert (in_short(few), charted(few)) == ("n = 29, too few", "")
    assert with_interval(enough).startswith("0.30 (0.17 to 0.48), n = 30")
    assert charted(enough) == "0.3000"
