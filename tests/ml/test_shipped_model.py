"""The model that ships: small, intact, documented by its own numbers, sane on real images."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from ml.card import comparison_rows, figure_text
from ml.contract import LABELS, OutcomeState
from ml.data.readers import read_collections
from ml.evaluate import calibrate, cross_validation
from ml.images import read_image
from ml.logits import LogitTable, require_same_folds
from ml.metrics import area_under_curve
from ml.pipeline import analyse
from ml.registry import altered_files

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def evaluation(shipped):
    return json.loads(shipped.evaluation_path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def card(shipped):
    return shipped.card_path.read_text(encoding="utf-8")


def test_every_file_matches_its_digest(shipped):
    assert altered_files(shipped) == []


def test_the_graph_and_the_folder_stay_small(shipped):
    assert shipped.model_path.stat().st_size <= 8 * MEGABYTE
    assert sum(path.stat().st_size for path in shipped.folder.iterdir()) <= 15 * MEGABYTE


def test_every_file_in_the_folder_is_in_the_manifest(shipped):
    names = {path.name for path in shipped.folder.iterdir()} - {"manifest.json"}
    assert names == set(shipped.manifest["files"])


def test_the_evaluation_is_of_this_very_graph(shipped, evaluation):
    assert evaluation["model"]["sha256"] == shipped.sha256


def test_every_figure_of_the_evaluation_has_its_n_and_interval(evaluation):
    for figures in evaluation["cross_validation"].values():
        for name in ("accuracy", "auc_malignant", "sensitivity", "specificity", "brier", "ece"):
            figure = figures[name]
            assert figure["n"] > 0
            assert figure["low"] <= figure["value"] <= figure["high"] or name == "ece"


def test_the_card_states_the_evaluation_s_figures_and_the_goals_that_were_missed(card, evaluation):
    for figures in evaluation["cross_validation"].values():
        for name in ("accuracy", "auc_malignant", "sensitivity", "specificity", "macro_f1", "brier", "ece"):
            assert figure_text(figures[name]) in card
    for row in comparison_rows(evaluation):
        assert " | ".join(row) in card


def test_the_page_on_models_states_the_same_figures_as_the_evaluation(evaluation):
    page = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = comparison_rows(evaluation)
    assert len(rows) >= 9
    for row in rows:
        assert " | ".join(row) in page


@pytest.fixture(scope="module")
def out_of_fold(shipped):
    """The shipped recipe's predictions of images that their network never saw."""
    if "out-of-fold.csv" not in shipped.manifest["files"]:
        pytest.skip(f"{shipped.name} {shipped.version} came without its out-of-fold predictions")
    return LogitTable.read(shipped.folder / "out-of-fold.csv")


def test_every_figure_of_the_evaluation_comes_out_of_the_predictions_beside_it(out_of_fold, evaluation):
    again, _ = cross_validation(out_of_fold, resamples=2, looks=False)
    for source, figures in evaluation["cross_validation"].items():
        for name, figure in figures.items():
            if isinstance(figure, dict) and "value" in figure:
                assert again["cross_validation"][source][name]["value"] == figure["value"], (source, name)
                assert again["cross_validation"][source][name]["n"] == figure["n"]
    for name in ("shipped", "nested", "suspicion_by_set"):
        assert again["calibration"][name] == evaluation["calibration"][name]


def test_the_manifest_s_calibration_is_fitted_on_the_predictions_beside_it(out_of_fold, shipped):
    assert calibrate(out_of_fold).as_dict() == shipped.manifest["calibration"]


def test_the_predictions_are_those_of_the_shared_folds(out_of_fold, shared):
    records = read_collections([shared / source for source in sorted(set(out_of_fold.sources))])
    require_same_folds(out_of_fold, records)
    assert len(out_of_fold.keys) == len(records)


def test_the_calibration_error_stays_below_its_goal(out_of_fold, evaluation):
    for source, figures in evaluation["cross_validation"].items():
        assert figures["ece"]["value"] <= 0.05, source


def test_uncertain_answers_are_worse_than_the_others_and_the_promise_is_kept(out_of_fold, evaluation):
    for source, figures in evaluation["uncertain"]["sets"].items():
        assert figures["accuracy_outside"]["value"] > figures["accuracy_inside"]["value"], source
        assert figures["clearly_missed"]["low"] <= 0.10, source
        assert figures["clearly_false"]["low"] <= 0.10, source


def test_the_bands_hold_every_image_once(evaluation):
    for source, steps in evaluation["calibration"].get("suspicion_by_set", {}).items():
        assert sum(step["n"] for step in steps) == evaluation["cross_validation"][source]["accuracy"]["n"]
        assert sum(step["share_of_cancers"] for step in steps) == pytest.approx(1, abs=1e-3)
        assert [step["suspicion"] for step in steps] == list(range(1, 11))


@pytest.mark.slow
def test_maps_are_shown_only_as_the_checks_allow(shipped, evaluation):
    from ml.explanations import explanation_entry

    if "explanation" not in shipped.manifest:
        pytest.skip(f"{shipped.name} {shipped.version} was released before maps were judged")
    assert explanation_entry(evaluation["explanations"]) == shipped.manifest["explanation"]


@pytest.mark.parametrize(
    "words",
    [
        "Not for",
        "Training data",
        "licence",
        "Protocol",
        "Subgroups",
        "Limitations",
        "threshold",
        "SHA-256",
        "reliability.png",
    ],
)
def test_the_card_has_the_section(card, words):
    assert words in card


def test_the_card_names_the_digest_of_the_graph_and_no_private_path(card, shipped):
    assert shipped.sha256 in card
    assert not re.search(r"/(work|home|tmp|root)/", card + json.dumps(dict(shipped.manifest)))


def test_suspicion_rises_with_the_share_of_malignant_images(evaluation):
    steps = [row for row in evaluation["calibration"]["suspicion"] if row["n"] >= 50]
    shares = [row["malignant"] / row["n"] for row in steps]
    assert len(shares) >= 3
    assert shares[0] < 0.1 < shares[-1]
    assert np.corrcoef([row["suspicion"] for row in steps], shares)[0, 1] > 0.9


def test_graph_and_keras_twin_agree_on_the_images_of_the_release(evaluation):
    assert evaluation["parity"]["images"] >= 100
    assert evaluation["parity"]["graph_against_keras_twin"] <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("source", ["busi", "busbra"])
def test_the_shipped_graph_is_at_least_as_good_on_the_shared_images_as_its_folds_were(
    shared, loaded, evaluation, source
):
    """The graph was trained on these images, so it may only be better than the lower bounds of unseen ones."""
    records = read_collections([shared / source])[::8]
    outcomes = [analyse(read_image(record.path), loaded) for record in records]
    judged = [(record, each) for record, each in zip(records, outcomes, strict=True) if each.prediction]
    refused = sum(each.state is OutcomeState.REJECTED for each in outcomes)
    assert refused <= 0.05 * len(records)
    scores = np.array([each.prediction.probabilities["malignant"] for _, each in judged])
    positive = np.array([record.label == "malignant" for record, _ in judged])
    figures = evaluation["cross_validation"][source]
    assert area_under_curve(positive, scores) >= figures["auc_malignant"]["low"]
    said = [LABELS.index(each.prediction.label) == record.label_index for record, each in judged]
    assert np.mean(said) >= figures["accuracy"]["low"]
