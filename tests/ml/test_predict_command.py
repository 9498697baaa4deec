"""`python -m ml predict`, as a script would call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.__main__ import main
from ml.bench import synthetic_image
from ml.images import read_image
from ml.pipeline import analyse

ROOT = Path(__file__).resolve().parents[2]
FIELDS = {"file", "state", "label", "confidence", "probabilities", "suspicion", "quality", "reasons"}


def predict(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "ml", "predict", "--modality", "us", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.png"
    Image.fromarray(synthetic_image()).save(path)
    return path


@pytest.fixture
def corrupt(tmp_path):
    path = tmp_path / "corrupt.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n rubbish")
    return path


@pytest.fixture
def blank(tmp_path):
    path = tmp_path / "blank.png"
    Image.fromarray(np.zeros((300, 400), np.uint8)).save(path)
    return path


def test_a_batch_gives_one_json_object_a_line_and_goes_on_after_a_corrupt_file(good, corrupt, blank):
    finished = predict("--json", good, corrupt, blank, good)
    assert finished.returncode == 0
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [Path(line["file"]).name for line in lines] == ["good.png", "corrupt.png", "blank.png", "good.png"]
    assert [line["state"] for line in lines] == ["succeeded", "rejected", "rejected", "succeeded"]
    assert all(set(line) >= FIELDS for line in lines)
    assert "corrupt.png" in finished.stderr
    assert "1 of 4 files could not be read" in finished.stderr
    for line in lines[1:3]:
        assert line["label"] is line["confidence"] is line["probabilities"] is line["suspicion"] is None
        assert line["reasons"]


def test_the_line_says_what_the_library_says(good, loaded, capsys):
    assert main(["predict", "--json", str(good)]) == 0
    line = json.loads(capsys.readouterr().out)
    expected = analyse(read_image(good), loaded).prediction
    assert line["label"] == expected.label
    assert line["confidence"] == expected.confidence
    assert line["probabilities"] == dict(expected.probabilities)
    assert line["suspicion"] == expected.suspicion
    assert line["quality"]["passed"] is True


def test_maps_have_the_image_s_size_and_are_the_malignant_map(good, blank, tmp_path, loaded):
    assert main(["predict", "--maps", str(tmp_path / "maps"), str(good), str(blank)]) == 0
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["good.png"]
    with Image.open(tmp_path / "maps" / "good.png") as image:
        assert image.mode == "L"
        drawn = np.asarray(image)
    expected = analyse(read_image(good), loaded).class_maps["malignant"]
    assert drawn.shape == expected.shape
    np.testing.assert_allclose(drawn / 255, expected, atol=0.5 / 255 + 1e-6)


def test_a_folder_stands_for_its_images_in_order(tmp_path, capsys):
    folder = tmp_path / "scans"
    (folder / "inner").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "inner/c.PNG"):
        Image.fromarray(synthetic_image()).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    assert main(["predict", "--json", str(folder)]) == 0
    names = [Path(json.loads(line)["file"]).name for line in capsys.readouterr().out.splitlines()]
    assert names == ["a.jpg", "b.png", "c.PNG"]


def test_without_json_a_person_reads_a_sentence(good, blank, capsys):
    assert main(["predict", str(good), str(blank)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "malignant" in first
    assert "of 10" in first
    assert "rejected" in second
    assert "blank" in second


def test_masks_are_declined_in_plain_words(good, tmp_path):
    finished = predict("--masks", tmp_path / "masks", good)
    assert finished.returncode == 2
    assert "outlines no lesions" in finished.stderr
    assert not (tmp_path / "masks").exists()


def test_two_files_of_one_name_do_not_overwrite_each_other_s_map(good, tmp_path, capsys):
    other = tmp_path / "other" / "good.png"
    other.parent.mkdir()
    Image.fromarray(synthetic_image(seed=9)).save(other)
    assert main(["predict", "--maps", str(tmp_path / "maps"), str(good), str(other)]) == 1
    assert "overwrite" in capsys.readouterr().err


def test_an_altered_model_stops_the_command_with_a_remedy(good, copied):
    path = copied / "us-mobilenetv2" / "1.0.0" / "model.tflite"
    path.write_bytes(path.read_bytes()[:-1])
    finished = predict("--json", good, MODEL_DIR=str(copied))
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert "not the released one" in finished.stderr
    assert "Restore" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_modality_without_a_model_is_said_so(good, capsys):
    assert main(["predict", "--modality", "mg", str(good)]) == 1
    assert "No model for modality" in capsys.readouterr().err


def test_an_empty_folder_is_an_error(tmp_path, capsys):
    assert main(["predict", str(tmp_path)]) == 1
    assert "No image files" in capsys.readouterr().err


def test_verify_names_the_file_that_differs(copied, capsys):
    assert main(["verify", "--root", str(copied)]) == 0
    assert "intact" in capsys.readouterr().out
    (copied / "us-mobilenetv2" / "1.0.0" / "MODEL_CARD.md").write_text("better")
    assert main(["verify", "--root", str(copied)]) == 1
    assert "MODEL_CARD.md differs" in capsys.readouterr().out
