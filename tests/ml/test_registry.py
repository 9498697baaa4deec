"""Installed models, as the web process sees them: manifests only."""

from __future__ import annotations

import json
import shutil

import pytest

from ml.contract import LABELS, ModelError
from ml.registry import active_model, altered_files, find_model, installed_models, manifest_seal, read_manifest


@pytest.fixture
def folder(copied, shipped):
    """The copy of the shipped model."""
    return copied / shipped.name / shipped.version


def add_version(root, version, *, status="released", name="us-mobilenetv2"):
    """Install a copy of the shipped model under another version, with a valid manifest."""
    source = installed_models(root)[0].folder
    folder = root / name / version
    shutil.copytree(source, folder)
    rewrite(folder, version=version, status=status, name=name)
    return folder


def rewrite(folder, **changes):
    """Change entries of a manifest and seal it again, as a release would."""
    path = folder / "manifest.json"
    manifest = {**json.loads(path.read_text()), **changes}
    manifest = {name: value for name, value in manifest.items() if value is not None}
    manifest["seal"] = manifest_seal(manifest)
    path.write_text(json.dumps(manifest))


def test_the_shipped_model_is_listed_with_its_card_and_evaluation(shipped):
    found = {model.name: model for model in installed_models(shipped.folder.parent.parent)}
    model = found["us-mobilenetv2"]
    assert (model.modality, model.version) == ("US", shipped.version)
    assert model.card_path.is_file()
    assert model.evaluation_path.is_file()
    assert model.model_path.is_file()


def test_versions_are_sorted_by_number_not_by_letter(copied, shipped):
    for version in ("91.2.0", "91.10.0"):
        add_version(copied, version)
    assert [model.version for model in installed_models(copied)] == ["91.10.0", "91.2.0", shipped.version]
    assert find_model("us-mobilenetv2", root=copied).version == "91.10.0"
    assert find_model("us-mobilenetv2", "91.2.0", root=copied).version == "91.2.0"


def test_a_released_model_is_active_before_a_newer_research_one(copied, shipped, folder):
    rewrite(folder, status="released")
    add_version(copied, "92.0.0", status="research")
    assert active_model("US", root=copied).version == shipped.version
    add_version(copied, "91.1.0")
    assert active_model("us", root=copied).version == "91.1.0"


def test_a_modality_without_a_model_is_reported_with_what_is_installed(copied, shipped):
    with pytest.raises(ModelError) as caught:
        active_model("MG", root=copied)
    assert caught.value.code == "model_missing"
    assert f"us-mobilenetv2 {shipped.version}" in caught.value.remedy


def test_the_folder_can_be_named_in_the_environment(copied, monkeypatch):
    add_version(copied, "99.0.0")
    monkeypatch.setenv("MODEL_DIR", str(copied))
    assert find_model("us-mobilenetv2").version == "99.0.0"


def test_a_folder_that_does_not_exist_is_an_error_not_an_empty_list(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="does not exist"):
        installed_models()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Us Model"}, "name"),
        ({"version": "1.0"}, "version"),
        ({"version": "01.0.0"}, "version"),
        ({"modality": "CT"}, "modality"),
        ({"status": "approved"}, "status"),
        ({"labels": ["malignant", "benign", "normal"]}, "labels"),
        ({"labels": None}, "labels"),
        ({"model_file": "other.tflite"}, "model file"),
        ({"files": {"model.tflite": "abc"}}, "SHA-256"),
        ({"files": {"model.tflite": "0" * 64, "../../secret": "0" * 64}}, "plain name"),
        ({"model_file": None}, "model_file"),
    ],
)
def test_a_manifest_that_is_not_valid_is_refused_with_the_reason(copied, folder, changes, words):
    rewrite(folder, **changes)
    with pytest.raises(ModelError, match=words) as caught:
        installed_models(copied)
    assert caught.value.code == "model_invalid"
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00"])
def test_a_manifest_that_is_no_json_object_is_refused(copied, folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        installed_models(copied)
    assert caught.value.code == "model_invalid"


def test_a_folder_without_a_manifest_is_missing(tmp_path):
    with pytest.raises(ModelError) as caught:
        read_manifest(tmp_path)
    assert caught.value.code == "model_missing"


def test_the_labels_are_in_the_order_of_every_probability_vector(shipped):
    assert tuple(shipped.manifest["labels"]) == LABELS


def test_every_changed_file_is_named(copied, folder):
    assert altered_files(find_model("us-mobilenetv2", root=copied)) == []
    (folder / "MODEL_CARD.md").write_text("better numbers")
    (folder / "evaluation.json").unlink()
    findings = altered_files(find_model("us-mobilenetv2", root=copied))
    assert findings == ["MODEL_CARD.md differs from the release", "evaluation.json is missing"]
