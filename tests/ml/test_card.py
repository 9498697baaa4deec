"""The card says what the evaluation says, for either kind of ultrasound model."""

from __future__ import annotations

import copy

import pytest

from ml.card import write_card
from ml.goals import GOALS, comparison_rows, found_at
from ml.storage import read_json


def figure(value, n=100):
    return {"value": value, "low": value - 0.01, "high": value + 0.01, "n": n, "groups": n}


@pytest.fixture
def evaluation(shipped):
    return copy.deepcopy(read_json(shipped.evaluation_path))


@pytest.fixture
def two_looks(shipped, evaluation):
    """A manifest and an evaluation of the two-look kind, with made figures where the shipped one may lack them."""
    manifest = copy.deepcopy(dict(shipped.manifest))
    manifest["kind"] = "two_looks"
    manifest["novelty"] = {"threshold": 0.5}
    manifest["recipe"] = {**manifest["recipe"], "width": 32, "mask_weight": 1.0, "deep_supervision": 0.3}
    manifest["explanation"] = {"method": "grad-cam", "shown": True, "reason": "Passed for a reason of its own."}
    outlines = {"dice_mean": figure(0.811), "missed_lesions": figure(0.021), "false_lesions": figure(0.123, n=7)}
    evaluation["segmentation"] = {
        "rule": "an image whose label is normal gets no outline",
        "sets": {"busi": outlines},
        "before_classification": {"busi": {"dice_mean": figure(0.833)}},
        "first_look_alone": {"busi": figure(0.777)},
    }
    evaluation["looks"] = {"busi": {"whole": {"accuracy": figure(0.851)}, "close": {"accuracy": figure(0.862)}}}
    zone = {
        name: figure(0.31)
        for name in (
            "rate",
            "rate_malignant",
            "rate_others",
            "accuracy_inside",
            "accuracy_outside",
            "auc_inside",
            "auc_outside",
            "clearly_missed",
            "clearly_false",
        )
    }
    evaluation["uncertain"] = {"rule": "a rule", "low": 0.123, "high": 0.456, "coverage": 0.9, "sets": {"busi": zone}}
    evaluation["calibration"]["shipped"] = {
        "fusion": {"weights": [0.71, 0.42], "bias": [0.1, 0.0, -0.1], "alone": None},
        "prevalence": {"benign": 0.62, "malignant": 0.295, "normal": 0.085},
    }
    return manifest, evaluation


def test_the_card_of_a_two_look_model_states_outline_looks_zone_fusion_and_verdict(two_looks, tmp_path):
    manifest, evaluation = two_looks
    write_card(tmp_path / "card.md", manifest=manifest, evaluation=evaluation)
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    for words in (
        "UNet 3+",
        "0.811 (0.801-0.821), n = 100",
        "0.123 (0.113-0.133), n = 7",
        "0.777",
        "| BUSI | close | 0.862",
        "0.710 and 0.420",
        "from 0.123 to 0.456",
        "29.5 %",
        "Shown to readers: **yes**. Passed for a reason of its own.",
        "refused by their distance from the training images",
    ):
        assert words in card, words
    assert "Segmentation is not part" not in card


def test_the_card_says_whom_the_network_learnt_from(two_looks, tmp_path):
    manifest, evaluation = two_looks
    for name in ("start", "teachers"):
        manifest.pop(name, None)
    manifest["recipe"] |= {"clear": 0, "clear_share": 0.0, "teaching": 0.0}
    write_card(tmp_path / "plain.md", manifest=manifest, evaluation=evaluation)
    plain = (tmp_path / "plain.md").read_text(encoding="utf-8")
    assert "distillation" not in plain and "began as" not in plain and "normal tissue" not in plain
    manifest["recipe"] |= {"clear": 2, "clear_share": 0.25, "teaching": 0.4}
    manifest |= {"start": {"run": "first"}, "teachers": [{"run": "first"}, {"run": "second"}]}
    write_card(tmp_path / "taught.md", manifest=manifest, evaluation=evaluation)
    taught = " ".join((tmp_path / "taught.md").read_text(encoding="utf-8").split())
    assert "Each network began as the one of the run first" in taught
    assert "To a share of 0.4 its targets are what the networks of first and second" in taught
    assert "In 25 % of the views" in taught


def test_the_card_shows_the_example_maps_only_where_they_were_drawn(two_looks, tmp_path):
    manifest, evaluation = two_looks
    write_card(tmp_path / "card.md", manifest=manifest, evaluation=evaluation)
    assert "](example-maps.png)" not in (tmp_path / "card.md").read_text()
    (tmp_path / "example-maps.png").write_bytes(b"a plot")
    write_card(tmp_path / "card.md", manifest=manifest, evaluation=evaluation)
    assert "](example-maps.png)" in (tmp_path / "card.md").read_text()


def test_a_goal_is_reached_or_missed_by_its_own_direction(two_looks):
    _, evaluation = two_looks
    rows = {(row[0], row[1]): row for row in comparison_rows(evaluation)}
    assert rows["BUSI", "mean Dice on lesions"][4:6] == [">= 0.800", "reached"]
    evaluation["segmentation"]["sets"]["busi"]["dice_mean"] = figure(0.79)
    evaluation["cross_validation"]["busi"]["ece"] = figure(0.06)
    rows = {(row[0], row[1]): row for row in comparison_rows(evaluation)}
    assert rows["BUSI", "mean Dice on lesions"][5] == "missed"
    assert rows["BUSI", "expected calibration error, calibrated"][4:6] == ["<= 0.050", "missed"]


def test_a_model_of_contrast_enhanced_images_refuses_mammograms_by_another_name():
    refused = {"refusals": {"other_images": {"mini-mias": figure(1.0, n=129)}}}
    assert [row[1] for row in comparison_rows(refused)] == ["mammograms refused as ultrasound"]
    (row,) = comparison_rows(refused, modality="CESM")
    assert row[:3] == ["mini-MIAS", "ordinary mammograms refused as contrast-enhanced", "129"]
    assert comparison_rows(refused, modality="MG") == []


def test_a_figure_that_was_not_measured_makes_no_row():
    assert comparison_rows({}) == []
    assert found_at({"a": {"b": {"value": None}}}, ("a", "b")) is None
    assert len({(goal.place, goal.title) for goal in GOALS}) == len(GOALS)
