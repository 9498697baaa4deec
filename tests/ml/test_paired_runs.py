"""Two runs on the same images: what the later one has over the first, by bootstrap over the same images for both."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from ml.__main__ import main
from ml.data.records import DataError
from ml.mammogram import comparison as detectors
from ml.whole_image.comparison import paired_rows
from ml.whole_image.recipe import WholeImageRecipe
from tests.ml.test_mammogram_training import made_film

LABELS = ("benign", "malignant", "normal")
PATIENTS = 40


def write_run(folder, *, strength: float, seed: int = 0, prefix: str = "image"):
    """Predictions whose logit of the true label is raised by ``strength``; the noise is that of the seed."""
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"recipe": WholeImageRecipe(network="mobilenetv2").as_dict()}))
    random = np.random.default_rng(seed)
    with (folder / "out-of-fold.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        columns = ["key", "source", "label", "group", "fold", "model", *(f"logit_{name}" for name in LABELS)]
        writer.writerow(columns)
        for number in range(2 * PATIENTS):
            label = number // 2 % 3
            logits = random.normal(size=3) + strength * np.eye(3)[label]
            row = [f"{prefix}-{number}", "made", LABELS[label], f"patient-{number // 2}", number % 5, "fold"]
            writer.writerow([*row, *logits])
    return folder


def test_a_run_has_nothing_over_itself(tmp_path):
    run = write_run(tmp_path / "one", strength=1.0)
    rows = paired_rows([run, run], command="compare", resamples=30)
    assert {row["figure"].split(",")[0] for row in rows} == {"accuracy", "auc_malignant", "sensitivity", "specificity"}
    assert all(row["value"] == row["low"] == row["high"] == 0 and row["n"] == 2 * PATIENTS for row in rows)


def test_a_better_run_is_ahead_by_the_difference_of_both_figures_and_more_surely_than_unpaired(tmp_path):
    weak = write_run(tmp_path / "weak", strength=1.0)
    strong = write_run(tmp_path / "strong", strength=1.6)
    (auc,) = (row for row in paired_rows([weak, strong], command="c", resamples=200) if row["figure"].startswith("auc"))
    assert auc["system"] == "strong less weak"
    assert 0 < auc["low"] < auc["value"] < auc["high"]
    unrelated = write_run(tmp_path / "unrelated", strength=1.6, seed=1)
    (apart,) = (
        row for row in paired_rows([weak, unrelated], command="c", resamples=200) if row["figure"].startswith("auc")
    )
    assert apart["high"] - apart["low"] > auc["high"] - auc["low"]


def test_runs_of_other_images_are_not_compared(tmp_path, capsys):
    first, second = write_run(tmp_path / "a", strength=1.0), write_run(tmp_path / "b", strength=1.0, prefix="other")
    with pytest.raises(DataError, match="same images"):
        paired_rows([first, second], command="c", resamples=5)
    assert main(["fit_compare", "--paired", str(first), str(tmp_path / "nothing")]) == 1
    assert "--folds" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["fit_compare", "--paired", str(first)])


def test_the_command_writes_rows_that_the_one_table_reads(tmp_path):
    from ml.results import read_results

    runs = [str(write_run(tmp_path / name, strength=strength)) for name, strength in (("a", 1.0), ("b", 1.2))]
    (tmp_path / "results").mkdir()
    out = tmp_path / "results" / "compared.json"
    assert main(["fit_compare", "--paired", *runs, "--resamples", "20", "--out", str(out)]) == 0
    rows = read_results(out.parent)
    assert len(rows) == 4
    assert all("paired difference" in row.figure and "--paired" in row.command for row in rows)


def test_a_detector_that_finds_one_more_lesion_is_ahead_by_one_more_lesion(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    labels = ["benign", "normal", "malignant", "normal"] * 15
    strength = [float(random.normal(label != "normal", 1.0)) for label in labels]

    def films(*, missed: int):
        made = []
        for number, label in enumerate(labels):
            made.append(made_film(number, label, strength[number], hit=number >= missed))
        return {True: made, False: made}

    found = {"first": films(missed=8), "later": films(missed=0), "same": films(missed=8)}
    monkeypatch.setattr(detectors, "read_run", lambda run, records: found[run.name])
    runs = [tmp_path / name for name in found]
    rows = detectors.paired_rows(runs, [], without_muscle=True, command="compare", resamples=30)
    by_name = {(row.system, row.figure): row for row in rows}
    at_four = "lesions marked at 4 false marks a film, paired difference"
    gained = by_name["later less first", at_four]
    # Four of the first eight films are abnormal: their lesions were missed before.
    assert gained.value == pytest.approx(4 / 30, abs=1e-4)
    assert gained.low >= 0
    assert gained.n == len(labels)
    same = [row for row in rows if row.system == "same less first"]
    assert same and all(row.value == 0 for row in same)
    assert by_name["later less first", "auc_malignant, paired difference"].value == pytest.approx(0, abs=0.2)


def test_of_one_fold_alone_the_raw_scores_are_ranked(tmp_path, monkeypatch):
    """There is no other fold to fit a scaling on, and none is needed: a scaling keeps the order."""
    abnormal = {"strong": 2.0, "weak": -2.0}

    def films(name):
        made = [made_film(10 * number, "benign" if number % 2 else "normal", 0.0) for number in range(10)]
        for number, film in enumerate(made):
            assert film.record.fold == 0
            made[number] = made_film(10 * number, film.record.label, abnormal[name] if number % 2 else 0.0)
        return {True: made, False: made}

    monkeypatch.setattr(detectors, "read_run", lambda run, records: films(run.name))
    runs = [tmp_path / "weak", tmp_path / "strong"]
    rows = detectors.paired_rows(runs, [], without_muscle=True, command="compare", resamples=20)
    found = {row.figure: row.value for row in rows}
    assert found["auc_abnormal, paired difference"] == 1
    assert found["lesions marked at 0.25 false marks a film, paired difference"] == 1
    assert "auc_malignant, paired difference" not in found
    assert {row.set for row in rows} == {"mini-mias, fold 0"}


def test_one_detector_alone_is_not_compared(tmp_path, capsys):
    from tests.ml.drawn_mammograms import write_film_collection

    data = write_film_collection(tmp_path / "mini-mias", pairs=5)
    assert main(["mammogram", "compare", "--data", str(data), "--run", str(tmp_path / "run")]) == 1
    assert "two runs" in capsys.readouterr().err
