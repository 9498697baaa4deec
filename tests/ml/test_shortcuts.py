"""Shortcut tests find a shortcut where there is one, and none where there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ml.__main__ import main
from ml.bench import synthetic_image
from ml.data.records import FOLDS, ImageRecord
from ml.results import Commands
from ml.shortcuts import hospital_figures, marks_figures, marks_only, masked_figures, paired_figures
from ml.side_results import shortcut_table


def made_records(count: int, *, source: str, device: str = "") -> list[ImageRecord]:
    return [
        ImageRecord(
            source=source,
            path=Path(f"{number}.png"),
            label=("benign", "malignant")[number % 2],
            group=str(number),
            fold=number // 2 % FOLDS,
            attributes={"device": device or ("A", "B")[number % 2 == number % 3]},
        )
        for number in range(count)
    ]


def test_a_hospital_that_shows_in_the_embedding_is_guessed():
    records = [*made_records(60, source="north"), *made_records(40, source="south")]
    random = np.random.default_rng(0)
    blind = random.normal(size=(100, 5)).astype(np.float32)
    telling = blind + (np.arange(100) >= 60)[:, None].astype(np.float32) * 4
    hospital = hospital_figures(telling, records, resamples=50)["hospital"]
    assert hospital["accuracy"]["value"] > 0.97
    assert hospital["accuracy"]["n"] == 100 and hospital["largest_share"] == 0.6
    assert hospital["counts"] == {"north": 60, "south": 40}
    assert hospital_figures(blind, records, resamples=50)["hospital"]["balanced_accuracy"]["value"] < 0.65


def test_a_question_with_one_answer_is_left_out():
    records = made_records(30, source="north", device="only one")
    assert hospital_figures(np.zeros((30, 3), np.float32), records, resamples=5) == {}


@pytest.fixture
def marked(tmp_path) -> list[ImageRecord]:
    """Speckle; the malignant ones carry a burned-in word and nothing else tells them apart."""
    records = []
    for number in range(40):
        image = synthetic_image(height=200, width=260, seed=number)
        image = np.minimum(cv2.GaussianBlur(image, (0, 0), sigmaX=4, sigmaY=1.2), 150)
        label = ("benign", "malignant")[number % 2]
        if label == "malignant":
            cv2.putText(image, "MASS 12H", (100, 170), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 2)
        path = tmp_path / f"{number}.png"
        Image.fromarray(image).save(path)
        records.append(
            ImageRecord(source="clinic", path=path, label=label, group=str(number), fold=number // 2 % FOLDS)
        )
    return records


def test_a_model_that_reads_the_marks_is_caught(marked):
    def predict(images, records):
        malignant = np.array([float((image >= 200).mean() > 0.004) for image in images])
        return np.stack([1 - malignant, malignant, np.zeros(len(images))], axis=1)

    found = masked_figures(predict, marked, resamples=50)["clinic"]
    assert found["plain"]["auc_malignant"]["value"] == 1
    assert found["masked"]["auc_malignant"]["value"] < 0.65
    assert found["difference"]["auc_malignant"]["high"] < -0.2
    assert found["marked"] >= 20 and 0 < found["covered"] < 0.1


def test_a_model_that_reads_the_tissue_is_cleared(marked):
    truth = {record.key: record.label_index for record in marked}

    def predict(images, records):
        return np.eye(3)[[truth[record.key] for record in records]]

    found = masked_figures(predict, marked, resamples=20)["clinic"]
    assert found["difference"]["accuracy"] == {"value": 0, "low": 0, "high": 0, "n": 40, "groups": 40}
    assert found["same_label"] == 1


def test_marks_alone_give_the_answer_away_where_only_cancers_carry_them(marked):
    found = marks_figures(marks_only(marked), marked, resamples=50)
    assert found["clinic"]["value"] > 0.95
    labels = [("benign", "malignant")[place // 2 % 2] for place in range(len(marked))]
    shuffled = [
        replace(record, label=label, fold=place % FOLDS)
        for place, (record, label) in enumerate(zip(marked, labels, strict=True))
    ]
    assert marks_figures(marks_only(shuffled), shuffled, resamples=20)["clinic"]["value"] < 0.75


def test_paired_figures_compare_the_same_images():
    records = made_records(20, source="north")
    right = np.eye(3)[[record.label_index for record in records]]
    wrong = right[:, [1, 0, 2]]
    found = paired_figures(right, wrong, records, resamples=20)["north"]
    assert found["plain"]["accuracy"]["value"] == 1 and found["masked"]["accuracy"]["value"] == 0
    assert found["difference"]["accuracy"]["value"] == -1 and found["same_label"] == 0


def test_the_command_questions_the_installed_model(collection, tmp_path, capsys):
    out = tmp_path / "shortcuts.json"
    arguments = ["shortcuts", "--data", str(collection), "--out", str(out), "--resamples", "5", "--marks"]
    assert main(arguments) == 0
    report = json.loads(out.read_text())
    assert report["model"].startswith("us-mobilenetv2 ") and "origin" in report and "marks_only" in report
    assert main([*arguments, "--model", "no-such-model"]) == 1
    assert "no-such-model" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_masks_the_marks_for_the_fold_networks(two_look_run, one_look_run, collection, tmp_path, capsys):
    out = tmp_path / "shortcuts.json"
    arguments = ["shortcuts", "--data", str(collection), "--out", str(out), "--resamples", "5"]
    beside = ["--beside", f"one look={one_look_run}", "--beside", f"itself={two_look_run}"]
    assert main([*arguments, "--run", str(two_look_run), *beside]) == 0
    report = json.loads(out.read_text())
    masked = report["masked"]["clinic"]
    assert report["masked_beside"]["itself"]["clinic"] == masked
    assert report["masked_beside"]["one look"]["clinic"]["plain"]["accuracy"]["n"] == 20
    table = shortcut_table(tmp_path, Commands())
    assert "| fold networks of one look on clinic, text and calipers masked: accuracy | 20 |" in table
    assert masked["plain"]["accuracy"]["n"] == masked["masked"]["auc_malignant"]["n"] == 20
    assert 0 <= masked["covered"] < 0.1
    assert main([*arguments, "--run", str(tmp_path / "no-run")]) == 1
    assert "Finish the training of the folds first" in capsys.readouterr().err
