"""The contrast-enhanced mammogram model that ships: intact, small, honest about itself, sane on real images."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from ml.commands import predict as predict_command
from ml.contract import LABELS, OutcomeState
from ml.data.pixels import read_pixels
from ml.data.readers import read_collections
from ml.markdown import figure_text
from ml.metrics import area_under_curve
from ml.pipeline import analyse
from ml.registry import ARTIFACTS, altered_files, read_manifest
from ml.runtime import load_installed
from ml.whole_image.recipe import WholeImageRecipe

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def model():
    return read_manifest(ARTIFACTS / "cesm-mobilenetv2" / "1.1.0")


@pytest.fixture(scope="module")
def evaluation(model):
    return json.loads(model.evaluation_path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def figures(evaluation):
    return evaluation["cross_validation"]["cdd-cesm"]


def test_every_file_matches_its_digest_and_none_is_unlisted(model):
    assert altered_files(model) == []
    assert {path.name for path in model.folder.iterdir()} - {"manifest.json"} == set(model.manifest["files"])


def test_the_graph_and_the_folder_stay_small(model):
    assert model.model_path.stat().st_size <= 8 * MEGABYTE
    assert sum(path.stat().st_size for path in model.folder.iterdir()) <= 9 * MEGABYTE


def test_the_recipe_in_the_repository_is_the_one_it_was_trained_by(model):
    recipe = WholeImageRecipe.from_yaml(ARTIFACTS.parent / "recipes" / "cesm-mobilenetv2.yaml")
    assert WholeImageRecipe.from_mapping(model.manifest["recipe"]) == recipe


def test_a_model_is_research_where_its_auc_may_lie_below_070(model, figures):
    assert model.modality == "CESM"
    assert model.status == "research" or figures["auc_malignant"]["low"] >= 0.70


def test_every_figure_has_its_n_and_interval_and_stands_in_the_card(model, evaluation, figures):
    card = model.card_path.read_text(encoding="utf-8")
    for name in ("accuracy", "auc_malignant", "sensitivity", "specificity", "macro_f1", "brier", "ece"):
        assert figures[name]["n"] == 801
        assert figures[name]["low"] <= figures[name]["value"] <= figures[name]["high"] or name == "ece"
        assert figure_text(figures[name]) in card
    for found in evaluation["sensitivity_on_roc"]["cdd-cesm"].values():
        assert figure_text(found) in card
    assert model.sha256 in card
    assert not re.search(r"/(work|home|tmp|root)/", card + json.dumps(dict(model.manifest)) + json.dumps(evaluation))


def test_the_figures_are_of_this_very_graph_which_equals_its_keras_twin(model, evaluation):
    assert evaluation["model"]["sha256"] == model.sha256
    assert evaluation["parity"]["images"] >= 100
    assert evaluation["parity"]["graph_against_keras_twin"] <= 1e-4


def test_at_most_two_in_a_hundred_good_images_are_refused(evaluation):
    assert evaluation["refusals"]["false_refusals"]["cdd-cesm"]["value"] <= 0.02


def test_predict_knows_the_modality(model, tmp_path, capsys, shared):
    path = read_collections([shared / "cdd-cesm"])[0].path
    assert predict_command.run(["--modality", "cesm", "--json", str(path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["model"]["name"] == "cesm-mobilenetv2"
    assert found["state"] == "succeeded"
    assert sum(found["probabilities"].values()) == pytest.approx(1)


def test_it_tells_malignant_from_the_rest_on_images_it_was_trained_on(shared, model):
    loaded = load_installed(model)
    records = read_collections([shared / "cdd-cesm"])[::10]
    outcomes = [analyse(read_pixels(record.path), loaded) for record in records]
    judged = [(record, each) for record, each in zip(records, outcomes, strict=True) if each.prediction]
    assert len(judged) >= 0.95 * len(records)
    assert all(each.state is OutcomeState.SUCCEEDED for _, each in judged)
    scores = np.array([each.prediction.probabilities["malignant"] for _, each in judged])
    positive = np.array([record.label == "malignant" for record, _ in judged])
    assert area_under_curve(positive, scores) > 0.8
    assert {each.prediction.label for _, each in judged} <= set(LABELS)
