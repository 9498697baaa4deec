"""`python -m ml train`: folds that do not leak, runs that survive a kill."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ml.commands import train as train_command
from ml.data.readers import read_shared
from ml.data.records import FOLDS
from ml.looks.recipe import TwoLookRecipe

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--weights", "none", "--side", "32", "--alpha", "0.35", "--views", "1", "--batch", "8"]


def start(folder, out, *more, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "ml", "train", "--data", str(folder), "--out", str(out), *SMALL, *more],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def rows_of(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.slow
def test_every_image_is_predicted_once_by_the_network_that_never_saw_it(collection, tmp_path, monkeypatch):
    from ml.looks import training

    # Two folds show what five would, in less than half the time.
    monkeypatch.setattr(training, "FOLDS", 2)
    arguments = ["--data", str(collection), "--out", str(tmp_path / "run"), *SMALL, "--epochs", "1", "--folds"]
    assert train_command.run(arguments) == 0
    rows = rows_of(tmp_path / "run" / "out-of-fold.csv")
    measured = {record.key: record for record in read_shared(collection) if record.fold < 2}
    for look in ("whole", "close"):
        assert sorted(row["key"] for row in rows if row["look"] == look) == sorted(measured)
    for row in rows:
        assert row["model"] == f"fold-{measured[row['key']].fold}"
        assert all(np.isfinite(float(row[f"logit_{label}"])) for label in ("benign", "malignant", "normal"))
    for fold in range(2):
        assert len(rows_of(tmp_path / "run" / f"fold-{fold}" / "history.csv")) == 1
        assert (tmp_path / "run" / f"fold-{fold}" / "network.npz").is_file()
    assert (tmp_path / "run" / "learning-curves.png").is_file()


def test_a_fold_and_a_patient_are_never_on_both_sides(collection):
    from ml.runs import fold_split

    records = read_shared(collection)
    for fold in range(FOLDS):
        split = fold_split(records, fold)
        trained = {records[index].group for index in split.train}
        held_out = {records[index].group for index in split.held_out}
        assert held_out
        assert trained & held_out == set()
        assert len(split.train) + len(split.held_out) == len(records)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(collection, tmp_path):
    out = tmp_path / "run"
    more = ("--epochs", "25", "--final")
    process = start(collection, out, *more, start_new_session=True)
    history = out / "final" / "history.csv"
    deadline = time.monotonic() + 240
    while not (history.is_file() and len(rows_of(history)) >= 2):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the run did not reach its second epoch"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = rows_of(history)
    assert len(before) < 25, "the run was meant to be killed half-way"
    refused = start(collection, out, *more)
    _, errors = refused.communicate(timeout=240)
    assert refused.returncode == 1
    assert "--resume" in errors
    again = start(collection, out, *more, "--resume")
    output, errors = again.communicate(timeout=240)
    assert again.returncode == 0, errors
    after = rows_of(history)
    assert after[: len(before)] == before, "finished epochs are kept as they were"
    assert [int(float(row["epoch"])) for row in after] == list(range(1, 26))
    assert "final: epoch 1," not in output, "no finished epoch is trained twice"
    assert (out / "final" / "network.npz").is_file()


@pytest.mark.slow
def test_a_resumed_run_ends_where_an_uninterrupted_one_ends(collection, tmp_path):
    from ml.data.readers import read_collections
    from ml.looks import fitting
    from ml.looks.fitting import fit_two_looks as fit
    from ml.looks.views import build_looks
    from ml.networks.two_looks import build_two_looks
    from ml.runs import Split

    records = read_collections([collection])
    recipe = TwoLookRecipe(side=32, alpha=0.35, views=2, batch=8, epochs=4)
    stem = build_two_looks(weights=None, side=32, alpha=0.35).stem
    cache = build_looks(records, stem=stem, recipe=recipe, weights_digest="random", seed=1, folder=tmp_path / "cache")
    split = Split(name="final", train=np.arange(len(records)), held_out=np.array([], dtype=np.intp))
    options = {"split": split, "cache": cache, "weights": None, "recipe": recipe, "seed": 1}

    whole, full_history = fit(records, folder=tmp_path / "whole", **options)
    expected = whole.full.get_weights()

    class Killed(Exception):
        """Stands for the power cut."""

    save = fitting.save_state

    def cut_after_two(path, trunk, history):
        save(path, trunk, history)
        if len(history) == 2:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml.looks.fitting.save_state", cut_after_two)
        with pytest.raises(Killed):
            fit(records, folder=tmp_path / "parts", **options)
    resumed, history = fit(records, folder=tmp_path / "parts", **options)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    losses = [row["train_loss"] for row in full_history]
    assert [row["train_loss"] for row in history] == pytest.approx(losses, abs=1e-3)
    for found, wanted in zip(resumed.full.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.slow
def test_a_run_of_another_recipe_is_not_mixed_in(collection, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "run.json").write_text(json.dumps({"recipe": TwoLookRecipe().as_dict(), "seed": 20}))
    process = start(collection, out, "--epochs", "1", "--final", "--resume")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "holds a run with another" in errors
    assert "recipe" in errors


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--weights", "nowhere.h5"], "does not exist"),
        (["--weights", "none", "--side", "50"], "multiple of 32"),
        (["--weights", "none", "--epochs", "0"], "at least 1"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(collection, tmp_path, capsys, more, words):
    assert train_command.run(["--data", str(collection), "--out", str(tmp_path / "run"), *more]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_recipe_file_is_read_and_flags_override_it(tmp_path):
    (tmp_path / "recipe.yaml").write_text("epochs: 3\nlearning_rate: 0.001\n")
    recipe = TwoLookRecipe.from_yaml(tmp_path / "recipe.yaml")
    assert (recipe.epochs, recipe.learning_rate, recipe.batch) == (3, 0.001, TwoLookRecipe().batch)


@pytest.mark.parametrize(
    ("content", "words"),
    [("epoch: 3", "Unknown"), ("epochs: many", "number"), ("epochs: 2.5", "whole"), ("- 1", "map")],
)
def test_a_faulty_recipe_file_is_refused(tmp_path, content, words):
    (tmp_path / "recipe.yaml").write_text(content)
    with pytest.raises(ValueError, match=words):
        TwoLookRecipe.from_yaml(tmp_path / "recipe.yaml")
