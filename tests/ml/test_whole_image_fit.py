"""`python -m ml fit`: leak-safe parts, early stopping on inner images, runs that survive a kill, cached features."""

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

from ml.commands import fit as fit_command
from ml.data.readers import read_collections
from ml.data.records import FOLDS
from ml.whole_image.comparison import as_table, comparison_rows
from ml.whole_image.recipe import WholeImageRecipe

ROOT = Path(__file__).resolve().parents[2]
RECIPE = """
network: plain-cnn
side: 32
width: 0.5
batch_norm: train
head: {dense: 8, dropout: 0.2}
augmentation: {views: 2, gain: 0}
training: {epochs: EPOCHS, batch: 6, learning_rate: 0.003, validation: 0.25, patience: PATIENCE}
"""


@pytest.fixture
def recipe_file(tmp_path):
    def write(*, epochs: int = 2, patience: int = 0, more: str = "") -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE.replace("EPOCHS", str(epochs)).replace("PATIENCE", str(patience)) + more)
        return path

    return write


def rows_of(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.slow
def test_every_image_is_predicted_once_by_a_network_that_never_saw_its_patient(
    collection, tmp_path, recipe_file, monkeypatch
):
    from ml.whole_image import run as running

    # Two folds show what five would, in less than half the time.
    monkeypatch.setattr(running, "FOLDS", 2)
    out = tmp_path / "run"
    arguments = ["--recipe", str(recipe_file()), "--data", str(collection), "--out", str(out), "--folds", "--leaky"]
    assert fit_command.run(arguments) == 0
    rows = rows_of(out / "out-of-fold.csv")
    measured = {record.key: record for record in read_collections([collection]) if record.fold < 2}
    assert sorted(row["key"] for row in rows) == sorted(measured)
    for row in rows:
        assert row["model"] == f"fold-{measured[row['key']].fold}"
        assert all(np.isfinite(float(row[f"logit_{label}"])) for label in ("benign", "malignant", "normal"))
    history = rows_of(out / "fold-0" / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert {"train_loss", "validation_loss", "validation_auc"} < set(history[0])
    assert (out / "learning-curves.png").is_file()
    assert len(rows_of(out / "leaky.csv")) == round(0.2 * 20 * 3)
    compared = comparison_rows([out], resamples=20)
    assert {row["split"] for row in compared} == {"leaky", "leak-safe"}
    assert {"system", "split", "set", "figure", "n", "value", "low", "high", "command"} == set(compared[0])
    assert as_table(compared).count("\n") == 3


def test_no_patient_is_on_both_sides_of_a_fold_nor_of_the_inner_validation(collection):
    from ml.whole_image.fitting import split_off_validation
    from ml.whole_image.run import leak_safe_parts

    records = read_collections([collection])
    groups = [record.leak_group for record in records]
    labels = np.array([record.label_index for record in records])
    for fold, part in enumerate(leak_safe_parts(records)):
        held_out = {groups[index] for index in part.held_out.images}
        assert {records[index].fold for index in part.held_out.images} == {fold}
        learn, watch = split_off_validation(part.train, groups=groups, labels=labels, share=0.3, seed=fold)
        sides = [{groups[index] for index in each.images} for each in (learn, watch)]
        assert sides[1]
        assert not (sides[0] & sides[1] or sides[0] & held_out or sides[1] & held_out)
        assert {labels[index] for index in watch.images} == {0, 1}, "both labels are watched"
    assert fold == FOLDS - 1


def test_the_leaky_split_puts_copies_of_one_image_on_both_sides(collection):
    from ml.whole_image.run import leaky_part

    records = read_collections([collection])
    part = leaky_part(records, WholeImageRecipe(network="plain-cnn"), seed=1)
    assert set(part.train.images) & set(part.held_out.images)
    pairs = [set(zip(each.images.tolist(), each.views.tolist(), strict=True)) for each in (part.train, part.held_out)]
    assert not pairs[0] & pairs[1]
    assert len(pairs[0] | pairs[1]) == len(records) * 5


def test_class_weights_make_every_class_weigh_the_same():
    from ml.whole_image.fitting import class_weights

    labels = np.array([0, 0, 0, 1, 2, 2])
    weights = class_weights(labels, classes=3, rule="balanced")
    assert [weights[labels == label].sum() for label in range(3)] == pytest.approx([2, 2, 2])
    assert class_weights(labels, classes=3, rule="none").tolist() == [1] * 6


@pytest.mark.slow
def test_training_stops_early_on_inner_images_and_returns_the_best_weights(collection, tmp_path, recipe_file):
    from ml.whole_image.fitting import Samples, fit, new_network, predict_logits, split_off_validation
    from ml.whole_image.views import build_views

    records = read_collections([collection])
    recipe = WholeImageRecipe.from_yaml(recipe_file(epochs=40, patience=2))
    groups = [record.leak_group for record in records]
    labels = np.array([record.label_index for record in records])
    network = new_network(recipe, weights="none", seed=5)
    options = {"weights_digest": "none", "seed": 5, "folder": tmp_path / "cache"}
    table = build_views(records, network=network, recipe=recipe, **options)
    samples = Samples(np.arange(len(records)))
    common = {"recipe": recipe, "table": table, "labels": labels, "groups": groups, "samples": samples}
    fitted = fit(name="x", weights="none", seed=5, folder=tmp_path / "x", **common)
    losses = [row["validation_loss"] for row in fitted.history]
    assert len(losses) < 40
    assert fitted.kept_epoch == 1 + int(np.argmin(losses)) == len(losses) - 2
    _, watch = split_off_validation(samples, groups=groups, labels=labels, share=0.25, seed=5)
    logits = predict_logits(fitted.network.trunk, table, watch)
    odds = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = -odds[np.arange(len(watch.images)), labels[watch.images]].mean()
    assert found == pytest.approx(min(losses), abs=1e-3)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(collection, tmp_path, recipe_file):
    out, recipe = tmp_path / "run", recipe_file(epochs=60)

    def start(*more):
        command = [sys.executable, "-m", "ml", "fit", "--recipe", str(recipe), "--data", str(collection)]
        return subprocess.Popen(
            [*command, "--out", str(out), "--final", *more],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    process = start()
    history = out / "final" / "history.csv"
    deadline = time.monotonic() + 240
    while not (history.is_file() and len(rows_of(history)) >= 2):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the run did not reach its second epoch"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = rows_of(history)
    assert len(before) < 60, "the run was meant to be killed half-way"
    again = start("--resume")
    _, errors = again.communicate(timeout=240)
    assert again.returncode == 0, errors
    after = rows_of(history)
    assert after[: len(before)] == before, "finished epochs are kept as they were"
    assert [int(row["epoch"]) for row in after] == list(range(1, 61))
    assert (out / "final" / "network.npz").is_file()


@pytest.mark.slow
def test_a_training_that_learns_nothing_is_begun_again_from_other_seeds_and_only_so_often(
    collection, tmp_path, recipe_file
):
    """A rate of almost nothing leaves the loss where it was, whatever the seed."""
    recipe = recipe_file()
    slow = recipe.read_text().replace("learning_rate: 0.003", "learning_rate: 1.0e-8, least_fall: 0.5, restarts: 2")
    recipe.write_text(slow)
    out = tmp_path / "run"
    arguments = ["--recipe", str(recipe), "--data", str(collection), "--out", str(out), "--final"]
    assert fit_command.run(arguments) == 0
    histories = [rows_of(out / "final" / name) for name in ("failed-1.csv", "failed-2.csv", "history.csv")]
    assert all(len(history) == 2 for history in histories)
    assert len({history[0]["train_loss"] for history in histories}) == 3, "each attempt has a seed of its own"
    assert not (out / "final" / "failed-3.csv").exists()
    assert (out / "final" / "network.npz").is_file()
    kept = (out / "final" / "history.csv").read_text()
    assert fit_command.run([*arguments, "--resume"]) == 0
    assert (out / "final" / "history.csv").read_text() == kept, "a finished run is not begun again"


def test_a_training_has_learnt_when_its_own_loss_fell_by_the_share_asked():
    from ml.whole_image.recipe import Training
    from ml.whole_image.run import has_learnt

    history = [{"train_loss": 1.2, "validation_loss": 0.1}, {"train_loss": 1.0, "validation_loss": 9.0}]
    assert has_learnt(history, Training(least_fall=0.15, restarts=1))
    assert not has_learnt(history, Training(least_fall=0.2, restarts=1))
    assert has_learnt(history, Training())


def test_a_run_of_another_recipe_is_not_mixed_in(collection, tmp_path, recipe_file, capsys):
    out = tmp_path / "run"
    out.mkdir()
    other = {"recipe": WholeImageRecipe(network="plain-cnn").as_dict(), "seed": 20}
    (out / "run.json").write_text(json.dumps(other))
    arguments = ["--recipe", str(recipe_file()), "--data", str(collection), "--out", str(out), "--final"]
    assert fit_command.run(arguments) == 1
    assert "--resume" in capsys.readouterr().err
    assert fit_command.run([*arguments, "--resume"]) == 1
    assert "another kind, recipe" in capsys.readouterr().err


@pytest.mark.slow
def test_an_epoch_from_cached_features_is_at_least_ten_times_faster(collection):
    from ml.whole_image.speed import measure_cache

    recipe = WholeImageRecipe.from_mapping(
        {
            "network": "mobilenetv2",
            "side": 96,
            "freeze": "all",
            "augmentation": {"views": 0},
            "training": {"batch": 20},
        }
    )
    gain = measure_cache(read_collections([collection]), recipe=recipe, weights="none", seed=1)
    assert gain.images == 20
    assert gain.ratio >= 10, f"{gain.recomputed_s:.3f} s against {gain.cached_s:.3f} s"
    assert gain.largest_difference < 1e-3


@pytest.mark.parametrize(
    ("content", "more", "words"),
    [
        ("network: nonet", [], "network must be one of"),
        ("network: plain-cnn", ["--weights", "nowhere.h5"], "does not exist"),
        ("network: plain-cnn", ["--layout", "shared", "--data", "nowhere"], "nowhere"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(collection, tmp_path, capsys, content, more, words):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(content)
    out = tmp_path / "run"
    assert fit_command.run(["--recipe", str(recipe), "--data", str(collection), "--out", str(out), *more]) == 1
    assert words in capsys.readouterr().err
    assert not out.exists()
