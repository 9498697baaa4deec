"""The shipped mammogram detector, run as the portal runs it."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from ml.bench import synthetic_image
from ml.contract import LABELS, ImageError, ModelError, OutcomeState
from ml.images import read_image
from ml.mammogram.detector import KIND, PatchDetector, load_detector
from ml.registry import (
    ARTIFACTS,
    InstalledModel,
    altered_files,
    find_model,
    manifest_seal,
    read_manifest,
    verified_bytes,
)
from tests.ml.drawn_mammograms import draw_mammogram

FOLDER = ARTIFACTS / "mg-patches" / "1.0.0"
REPOSITORY = Path(__file__).resolve().parents[2]


def load(installed: InstalledModel) -> PatchDetector:
    return load_detector(installed, verified_bytes(installed, installed.model_path.name), threads=1)


@pytest.fixture(scope="module")
def detector() -> PatchDetector:
    return load(read_manifest(FOLDER))


@pytest.fixture(scope="module")
def outcome(detector):
    return detector.analyse(draw_mammogram(lesion=(250, 110, 35)))


def test_the_artefact_is_whole_and_small():
    installed = read_manifest(FOLDER)
    assert altered_files(installed) == []
    assert installed.manifest["kind"] == KIND
    assert installed.model_path.stat().st_size <= 8_000_000


def test_a_model_trained_on_a_research_set_is_registered_as_research():
    installed = read_manifest(FOLDER)
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert installed.status == "research"
    assert "for research\nalone" in card and "never drives a worklist" in card


def test_an_outcome_holds_probabilities_maps_and_marks(outcome):
    assert outcome.state is OutcomeState.SUCCEEDED
    assert sum(outcome.prediction.probabilities.values()) == pytest.approx(1)
    assert set(outcome.class_maps) == set(LABELS)
    assert outcome.class_maps["normal"].max() == 0
    for label in ("benign", "malignant"):
        found = outcome.class_maps[label]
        assert found.shape == (512, 400) and found.dtype == np.float32
        assert found.min() >= 0 and found.max() == 1


def test_marks_lie_inside_the_image_strongest_first(detector):
    everything = load(read_manifest(FOLDER))
    everything.least_mark = 0.0
    marks = everything.analyse(draw_mammogram(lesion=(250, 110, 35))).marks
    assert 1 <= len(marks) <= 8
    assert [mark.score for mark in marks] == sorted((mark.score for mark in marks), reverse=True)
    for mark in marks:
        assert 0 <= mark.row < 512 and 0 <= mark.column < 400
        assert mark.radius > 0 and 0 <= mark.score <= 1


def test_marks_below_the_manifest_s_limit_are_not_shown(detector, outcome):
    assert all(mark.score >= detector.least_mark for mark in outcome.marks)


def test_outside_the_breast_the_map_is_zero(outcome):
    assert outcome.class_maps["malignant"][:, 300:].max() == 0


def test_the_same_pixels_give_the_same_outcome_to_the_bit(detector, outcome):
    again = load(read_manifest(FOLDER)).analyse(draw_mammogram(lesion=(250, 110, 35)))
    assert again.prediction == outcome.prediction and again.marks == outcome.marks
    assert np.array_equal(again.class_maps["malignant"], outcome.class_maps["malignant"])


def test_an_ultrasound_given_as_a_mammogram_is_refused_with_a_reason(detector):
    refused = detector.analyse(synthetic_image())
    assert refused.state is OutcomeState.REJECTED
    assert refused.prediction is None and refused.class_maps is None and refused.marks == ()
    assert any("mammogram" in reason for reason in refused.reasons)


@pytest.mark.parametrize("image", [np.zeros((500, 400), np.uint8), np.full((500, 400), 255, np.uint8)])
def test_a_blank_image_is_refused(detector, image):
    assert detector.analyse(image).state is OutcomeState.REJECTED


@pytest.mark.parametrize(
    "image", [np.zeros((500, 400)), np.zeros((500, 400, 4), np.uint8), np.zeros((0, 400), np.uint8)]
)
def test_an_array_that_is_no_image_is_an_error(detector, image):
    with pytest.raises(ImageError):
        detector.analyse(image)


def _changed(**changes: object) -> InstalledModel:
    installed = read_manifest(FOLDER)
    manifest = {**installed.manifest, **changes}
    return InstalledModel(
        **{
            **{
                name: getattr(installed, name) for name in ("name", "version", "modality", "status", "sha256", "folder")
            },
            "manifest": MappingProxyType(manifest),
        }
    )


@pytest.mark.parametrize(
    "changes",
    [{"quality_limits": {}}, {"calibration": {}}, {"pectoral_muscle": "maybe"}, {"quality_limits": None}],
)
def test_a_manifest_that_lacks_something_is_refused(changes):
    with pytest.raises(ModelError) as error:
        load_detector(_changed(**changes), b"", threads=1)
    assert error.value.code == "model_invalid"


def test_another_model_s_graph_is_refused():
    other = find_model("us-mobilenetv2", root=ARTIFACTS).model_path
    with pytest.raises(ModelError) as error:
        load_detector(read_manifest(FOLDER), other.read_bytes(), threads=1)
    assert error.value.code == "model_invalid"


def test_bytes_that_are_no_graph_are_refused():
    with pytest.raises(ModelError) as error:
        load_detector(read_manifest(FOLDER), b"no graph", threads=1)
    assert error.value.code == "model_invalid"


def test_serving_a_mammogram_loads_no_training_framework():
    code = (
        "import sys; from ml.mammogram.detector import load_detector; from ml.mammogram.exam import fuse_exam; "
        "print(sorted({'tensorflow', 'keras', 'sklearn', 'matplotlib', 'django'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_number_of_the_card_is_in_the_evaluation():
    evaluation = json.loads((FOLDER / "evaluation.json").read_text(encoding="utf-8"))
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    for source in ("mini-mias", "cdd-cesm-low-energy"):
        figures = evaluation["free_response"][source]["sensitivity_at_false_marks_a_film"]
        assert set(figures) == {"0.25", "0.5", "1", "2", "4"}
        for figure in figures.values():
            assert f"{figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})" in card
    assert set(evaluation["films"]) == {"mini-mias"}, "no AUC of a set without negatives, or of a mix"


@pytest.mark.slow
def test_prediction_by_command_names_the_research_model(tmp_path, shared):
    with (shared / "mini-mias" / "labels.csv").open(newline="", encoding="utf-8") as handle:
        image = shared / "mini-mias" / next(csv.DictReader(handle))["image"]
    command = ["-m", "ml", "predict", "--modality", "mg", "--model", "mg-patches", "--json", "--maps", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command, str(image)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    line = json.loads(done.stdout)
    assert line["state"] == "succeeded" and line["model"]["status"] == "research"
    assert read_image(tmp_path / f"{image.stem}.png").shape[:2] == read_image(image).shape[:2]


def test_an_edited_manifest_is_noticed(tmp_path):
    folder = tmp_path / "mg-patches" / "1.0.0"
    shutil.copytree(FOLDER, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["calibration"]["least_mark"] = 0.0
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    installed = read_manifest(folder)
    assert installed.manifest["seal"] != manifest_seal(installed.manifest)
    assert altered_files(installed) == ["manifest.json was edited after the release"]
