"""`python -m ml predict`, as a script would call it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml import batch
from ml.__main__ import main
from ml.bench import synthetic_image
from ml.commands import predict as predict_command
from ml.contract import Mark, Segmentation, SimilarCase
from ml.images import read_image
from ml.pipeline import analyse
from ml.runtime import LoadedModel

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


LESION = np.zeros((460, 620), np.uint8)
LESION[100:150, 200:280] = 255


@pytest.fixture
def outlining(monkeypatch):
    """A model that outlines: its decisions are the shipped model's, the lesions are made here by file size."""

    def analyse_and_outline(pixels, model):
        outcome = analyse(pixels, model)
        if outcome.prediction is None:
            return outcome
        lesion = Segmentation(mask=LESION, area_share=0.014, area_px=4000, diameter_px=93.5, box=(100, 200, 150, 280))
        return dataclasses.replace(
            outcome,
            prediction=dataclasses.replace(outcome.prediction, uncertain=True),
            segmentation=lesion if pixels.shape == LESION.shape else None,
            marks=(Mark(row=1.5, column=2.5, radius=10, score=0.75),),
            similar=(SimilarCase(case="made/1", source="made", label="benign", similarity=0.9),),
        )

    def load_and_claim(installed, **how_many):
        models = batch.load_workers(installed, **how_many)
        # Only now: a model that outlines is loaded only when its graph has an output for it.
        monkeypatch.setattr(LoadedModel, "outlines", property(lambda self: True))
        return models

    monkeypatch.setattr(batch, "analyse", analyse_and_outline)
    monkeypatch.setattr(predict_command, "load_workers", load_and_claim)


@pytest.fixture
def without_lesion(tmp_path):
    path = tmp_path / "normal.png"
    Image.fromarray(synthetic_image(height=400, width=500)).save(path)
    return path


def test_masks_are_0_or_255_of_the_image_s_size_all_0_without_a_lesion_none_when_refused(
    outlining, good, without_lesion, blank, corrupt, tmp_path
):
    masks = tmp_path / "masks"
    files = [str(path) for path in (good, without_lesion, blank, corrupt)]
    assert main(["predict", "--masks", str(masks), *files]) == 0
    assert sorted(path.name for path in masks.iterdir()) == ["good.png", "normal.png"]
    for name, expected in (("good.png", LESION), ("normal.png", np.zeros((400, 500), np.uint8))):
        with Image.open(masks / name) as image:
            assert (image.format, image.mode) == ("PNG", "L")
            assert np.array_equal(np.asarray(image), expected)


def test_the_line_tells_lesion_marks_similar_cases_and_uncertainty(outlining, good, without_lesion, blank, capsys):
    assert main(["predict", "--json", str(good), str(without_lesion), str(blank)]) == 0
    first, second, refused = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["segmentation"] == {
        "area_share": 0.014,
        "area_px": 4000,
        "diameter_px": 93.5,
        "box": [100, 200, 150, 280],
    }
    assert first["marks"] == [{"row": 1.5, "column": 2.5, "radius": 10, "score": 0.75}]
    assert first["similar"] == [{"case": "made/1", "source": "made", "label": "benign", "similarity": 0.9}]
    assert first["uncertain"] is True
    assert second["segmentation"] is None
    assert (refused["segmentation"], refused["uncertain"]) == (None, None)
    assert refused["marks"] == refused["similar"] == []


def test_a_person_reads_of_the_lesion_and_the_uncertainty(outlining, good, capsys):
    assert main(["predict", str(good)]) == 0
    assert "lesion on 1.4% of the image, 1 marks, uncertain" in capsys.readouterr().out


def test_masks_are_declined_in_plain_words_by_a_model_that_outlines_nothing(good, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(LoadedModel, "outlines", property(lambda self: False))
    with pytest.raises(SystemExit) as caught:
        main(["predict", "--masks", str(tmp_path / "masks"), str(good)])
    assert caught.value.code == 2
    assert "outlines no lesions" in capsys.readouterr().err
    assert not (tmp_path / "masks").exists()


def test_maps_and_masks_do_not_share_a_folder(good, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["predict", "--maps", str(tmp_path / "out"), "--masks", str(tmp_path / "out"), str(good)])
    assert caught.value.code == 2
    assert "folders of their own" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--workers", "--threads"])
def test_less_than_one_worker_is_bad_usage(good, option, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["predict", option, "0", str(good)])
    assert caught.value.code == 2
    assert "at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--maps", "--masks"])
def test_the_images_themselves_are_never_overwritten(outlining, good, option, capsys):
    before = good.read_bytes()
    assert main(["predict", option, str(good.parent), str(good)]) == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert good.read_bytes() == before


def test_a_place_that_cannot_be_written_to_is_said_so(good, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file, not a folder")
    assert main(["predict", "--maps", str(tmp_path / "taken"), str(good)]) == 1
    assert "taken cannot be written" in capsys.readouterr().err


def test_one_worker_and_four_write_the_same_lines_in_the_same_order(good, blank, corrupt, without_lesion, capsys):
    files = [str(path) for path in (good, blank, without_lesion, corrupt) for _ in range(2)]
    assert main(["predict", "--json", "--workers", "1", *files]) == 0
    alone = capsys.readouterr()
    assert main(["predict", "--json", "--workers", "4", *files]) == 0
    assert capsys.readouterr() == alone


def test_an_altered_model_stops_the_command_with_a_remedy(good, copied, shipped):
    path = copied / shipped.name / shipped.version / "model.tflite"
    path.write_bytes(path.read_bytes()[:-1])
    finished = predict("--json", good, MODEL_DIR=str(copied))
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert "not the released one" in finished.stderr
    assert "Restore" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_modality_without_a_model_is_said_so(good, copied, monkeypatch, capsys):
    monkeypatch.setenv("MODEL_DIR", str(copied))
    assert main(["predict", "--modality", "mg", str(good)]) == 1
    assert "No model for modality" in capsys.readouterr().err


def test_an_empty_folder_is_an_error(tmp_path, capsys):
    assert main(["predict", str(tmp_path)]) == 1
    assert "No image files" in capsys.readouterr().err


def test_verify_names_the_file_that_differs_and_the_one_too_many(copied, shipped, capsys):
    assert main(["verify", "--root", str(copied)]) == 0
    assert "intact" in capsys.readouterr().out
    folder = copied / shipped.name / shipped.version
    (folder / "MODEL_CARD.md").write_text("better")
    (folder / "extra.keras").write_bytes(b"anything")
    assert main(["verify", "--root", str(copied)]) == 1
    said = capsys.readouterr().out
    assert "MODEL_CARD.md differs" in said
    assert "extra.keras is not part of the release" in said
