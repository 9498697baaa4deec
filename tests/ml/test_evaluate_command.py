"""`python -m ml evaluate`: an installed model against labels."""

from __future__ import annotations

import csv
import json

import pytest

from ml.__main__ import main
from ml.images import read_image
from ml.pipeline import analyse


def evaluate(folder, out, *more):
    labels = str(folder / "labels.csv")
    return main(["evaluate", "--labels", labels, "--root", str(folder), "--out", str(out), "--resamples", "50", *more])


def test_the_figures_and_plots_are_written(collection, tmp_path, loaded):
    assert evaluate(collection, tmp_path / "out") == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    with (collection / "labels.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    said = [analyse(read_image(collection / row["image"]), loaded).prediction for row in rows]
    right = [prediction.label == row["label"] for prediction, row in zip(said, rows, strict=True)]
    assert metrics["judged"] == metrics["images"] == 20
    assert metrics["accuracy"]["value"] == pytest.approx(sum(right) / 20, abs=1e-4)
    assert sum(map(sum, metrics["confusion_matrix"]["counts"])) == 20
    flagged = [each.probabilities["malignant"] >= loaded.threshold for each in said]
    of_malignant = [flag for flag, row in zip(flagged, rows, strict=True) if row["label"] == "malignant"]
    assert metrics["sensitivity"]["value"] == pytest.approx(sum(of_malignant) / 10, abs=1e-4)
    for name in ("roc.png", "reliability.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


def test_an_unreadable_image_is_counted_as_refused_and_named(collection, tmp_path):
    (collection / "images" / "p00l.png").write_bytes(b"broken")
    assert evaluate(collection, tmp_path / "out") == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["judged"] == 19
    assert [each["image"] for each in metrics["refused"]] == ["images/p00l.png"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("image,truth\na.png,benign\n", "lacks the column label"),
        ("image,label\n", "no images"),
        ("image,label\na.png,cyst\n", "line 2"),
    ],
)
def test_a_faulty_table_is_refused(tmp_path, capsys, content, words):
    (tmp_path / "labels.csv").write_text(content)
    assert evaluate(tmp_path, tmp_path / "out") == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
