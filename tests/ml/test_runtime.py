"""A model is run only when every byte is the released one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ml.contract import LABELS, ModelError
from ml.registry import manifest_seal
from ml.runtime import load, load_folder
from tests.ml.test_registry import rewrite


def refusal(root) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load("us-mobilenetv2", root=root)
    assert caught.value.remedy, "the person who runs the site is told what to do"
    return caught.value


@pytest.fixture
def folder(copied, shipped):
    return copied / shipped.name / shipped.version


def test_an_intact_copy_loads(copied, shipped):
    model = load("us-mobilenetv2", root=copied)
    assert model.identity.sha256 == shipped.sha256
    assert model.identity.modality == "US"


def test_a_missing_model_file_is_missing(copied, folder):
    (folder / "model.tflite").unlink()
    assert refusal(copied).code == "model_missing"


def test_a_model_that_is_not_installed_is_missing(copied):
    with pytest.raises(ModelError) as caught:
        load("us-other", root=copied)
    assert caught.value.code == "model_missing"


def test_a_truncated_model_file_is_altered(copied, folder):
    path = folder / "model.tflite"
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal(copied).code == "model_altered"


@pytest.mark.parametrize("position", [0, 1_000_000, -1])
def test_one_changed_byte_is_altered(copied, folder, position):
    path = folder / "model.tflite"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))
    assert refusal(copied).code == "model_altered"


def test_a_swapped_file_is_altered(copied, folder):
    (folder / "model.tflite").write_bytes((folder / "weights.npz").read_bytes())
    assert refusal(copied).code == "model_altered"


def test_a_threshold_edited_by_hand_is_altered(copied, folder):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["calibration"]["threshold"] = 0.99
    path.write_text(json.dumps(manifest))
    assert refusal(copied).code == "model_altered"


def test_a_manifest_of_another_file_is_altered(copied, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    rewrite(folder, files={**manifest["files"], "model.tflite": "0" * 64})
    assert refusal(copied).code == "model_altered"


@pytest.mark.parametrize(
    "changes",
    [
        {"calibration": {"temperature": 0, "threshold": 0.5, "suspicion_cuts": [0.1] * 9}},
        {"calibration": {"temperature": 1, "threshold": 1.5, "suspicion_cuts": [0.1] * 9}},
        {"calibration": {"temperature": 1, "threshold": 0.5, "suspicion_cuts": [0.5, 0.1]}},
        {"calibration": {"temperature": 1, "threshold": 0.5, "suspicion_cuts": [0.9, 0.8, *[0.95] * 7]}},
        {"calibration": {"temperature": "warm", "threshold": 0.5, "suspicion_cuts": [0.1] * 9}},
        {"calibration": None},
        {"quality_limits": {}},
        {"input": {"side": 192}},
    ],
)
def test_a_sealed_manifest_that_makes_no_sense_is_invalid(copied, folder, changes):
    rewrite(folder, **changes)
    assert refusal(copied).code == "model_invalid"


def test_a_file_with_the_right_digest_that_is_no_graph_is_invalid(copied, folder):
    import hashlib

    (folder / "model.tflite").write_bytes(b"not a graph")
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256(b"not a graph").hexdigest()
    rewrite(folder, files={**manifest["files"], "model.tflite": digest})
    assert refusal(copied).code == "model_invalid"


def test_a_seal_does_not_depend_on_the_order_of_entries(shipped):
    backwards = dict(reversed(list(shipped.manifest.items())))
    assert manifest_seal(backwards) == shipped.manifest["seal"]


def test_a_folder_anywhere_can_be_loaded(folder, shipped):
    assert load_folder(folder).identity.sha256 == shipped.sha256


def judged(model, *logits):
    """The decision when every look of the model gives these logits."""
    return model.predict(*[np.array(logits, np.float32)] * model.passes)


def test_probabilities_sum_to_one_and_the_label_is_the_likeliest(loaded):
    prediction = judged(loaded, 0.2, 6.0, -1.0)
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-12)
    assert prediction.label == "malignant"
    assert prediction.confidence == max(prediction.probabilities.values())
    assert tuple(prediction.probabilities) == LABELS


def test_suspicion_rises_with_the_probability_of_malignancy_and_reaches_both_ends(loaded):
    steps = [judged(loaded, 0, logit, 0).suspicion for logit in np.linspace(-14, 14, 200)]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (1, 10)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_returns_no_number_gives_no_score(loaded, value):
    with pytest.raises(ModelError) as caught:
        judged(loaded, 0, value, 0)
    assert caught.value.code == "model_invalid"
