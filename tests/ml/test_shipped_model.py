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
from ml.images import read_image
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
    assert len(rows) >= 7
    for row in rows:
        assert " | ".join(row) in page


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


def test_the_model_tells_malignant_from_benign_on_images_it_was_trained_on(shared, loaded):
    records = read_collections([shared / "busi"])[::6]
    outcomes = [analyse(read_image(record.path), loaded) for record in records]
    judged = [(record, each) for record, each in zip(records, outcomes, strict=True) if each.prediction]
    assert all(each.state is OutcomeState.SUCCEEDED for _, each in judged)
    scores = np.array([each.prediction.probabilities["malignant"] for _, each in judged])
    positive = np.array([record.label == "malignant" for record, _ in judged])
    assert area_under_curve(positive, scores) > 0.95
    said = [LABELS.index(each.prediction.label) == record.label_index for record, each in judged]
    assert np.mean(said) > 0.85
