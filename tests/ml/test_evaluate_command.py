"""`python -m ml evaluate`: an installed model against labels."""

from __future__ import annotations

import csv
import json

import pytest

from ml.__main__ import main
from ml.images import read_image
from ml.pipeline import analyse
from tests.ml.conftest import make_collection


@pytest.fixture
def collection(tmp_path):
    """Twenty labelled images, two of each of ten patients, large enough for the gates."""
    return make_collection(tmp_path / "clinic", patients=10, size=200)


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
        (b"image,truth\na.png,benign\n", "lacks the column label"),
        (b"image,label\n", "no images"),
        (b"", "empty"),
        (b"image,label\na.png,cyst\n", "line 2"),
        (b"image,label\na.png,Benign\nb.png,\n", "line 3"),
        (b"image,label\na.png,benign\na.png,benign\n", "already listed in line 2"),
        (b"image,label\na.png,benign\na.png,malignant\n", "already listed in line 2 as benign"),
        (b"image,label\na.png\n", "line 2"),
        (b"image,label\na.png,benign,more\n", "line 2"),
        (b"image,label\n../../etc/passwd,benign\n", "not a path inside"),
        (b"image,label\n,benign\n", "not a path inside"),
        (b"image,label\n\xff\xfe,benign\n", "not UTF-8"),
        (b"image,label\na\0.png,benign\n", "zero byte"),
        (b'image,label\n"a.png,benign\n', "line 2"),
        (b"\x89PNG\r\n\x1a\n\0\0", "UTF-8"),
    ],
)
def test_a_faulty_table_is_refused_with_its_name_and_line_and_nothing_is_measured(tmp_path, capsys, content, words):
    (tmp_path / "labels.csv").write_bytes(content)
    assert evaluate(tmp_path, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert words in said
    assert "labels.csv" in said
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_not_there_is_named(tmp_path, capsys):
    assert evaluate(tmp_path, tmp_path / "out") == 1
    assert "labels.csv" in capsys.readouterr().err


def test_every_faulty_line_is_named_at_once_up_to_ten(tmp_path, capsys):
    rows = "".join(f"{number}.png,cyst\n" for number in range(14))
    (tmp_path / "labels.csv").write_text(f"image,label\n{rows}")
    assert evaluate(tmp_path, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "line 11:" in said
    assert "line 12:" not in said
    assert "and 4 more lines" in said


def test_a_table_as_a_spreadsheet_saves_it_is_read(collection, tmp_path):
    text = (collection / "labels.csv").read_text(encoding="utf-8").replace(",", ";").replace("\n", "\r\n")
    (collection / "labels.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert evaluate(collection, tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["judged"] == 20


def test_a_missing_and_a_broken_image_are_listed_at_the_end_and_the_rest_is_measured(collection, tmp_path, capsys):
    (collection / "images" / "p00l.png").unlink()
    (collection / "images" / "p01l.png").write_bytes(b"broken")
    assert evaluate(collection, tmp_path / "out") == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["images"], metrics["judged"]) == (20, 18)
    assert [each["image"] for each in metrics["unreadable"]] == ["images/p00l.png", "images/p01l.png"]
    said = capsys.readouterr().err
    assert "2 of 20 images could not be read:" in said
    assert "p00l.png does not exist" in said
    assert "p01l.png is not a readable image" in said


def test_without_a_single_image_that_can_be_judged_it_fails(collection, tmp_path, capsys):
    for path in (collection / "images").iterdir():
        path.write_bytes(b"broken")
    assert evaluate(collection, tmp_path / "out") == 1
    assert "No image could be judged" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["judged"] == 0


def test_the_figures_do_not_depend_on_the_number_of_workers(collection, tmp_path):
    for workers in ("1", "3"):
        assert evaluate(collection, tmp_path / workers, "--workers", workers) == 0
    assert (tmp_path / "1" / "metrics.json").read_text() == (tmp_path / "3" / "metrics.json").read_text()


def test_a_place_that_cannot_be_written_to_is_said_so(collection, tmp_path, capsys):
    (tmp_path / "out").write_text("a file, not a folder")
    assert evaluate(collection, tmp_path / "out") == 1
    assert "cannot be written" in capsys.readouterr().err
