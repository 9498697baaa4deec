"""Networks that begin as earlier ones and learn from them, and squares of tissue without a lesion."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from ml.commands import train as train_command
from ml.contract import LABELS
from ml.data import augment
from ml.data.readers import read_collections
from ml.data.records import DataError
from ml.looks.recipe import TwoLookRecipe

SMALL = TwoLookRecipe(side=32, alpha=0.35)
NORMAL = LABELS.index("normal")


def test_a_square_without_a_lesion_shows_nothing_of_it(monkeypatch):
    monkeypatch.setattr(augment, "ANNOTATIONS", 0.0)
    lesion = np.zeros((200, 300), np.uint8)
    lesion[60:110, 180:260] = 255
    random = np.random.default_rng(0)
    views = [augment.random_clear_view(lesion, lesion, side=64, random=random) for _ in range(60)]
    found = [view for view in views if view is not None]
    assert len(found) > 40
    # Speckle and JPEG leave a little grey on black; the lesion is white.
    assert np.stack(found).max() < 60


def test_a_lesion_that_leaves_no_room_yields_no_square(ultrasound):
    mask = np.full(ultrasound.shape, 255, np.uint8)
    assert augment.random_clear_view(ultrasound, mask, side=64, random=np.random.default_rng(0)) is None


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"clear": -1, "clear_share": 0.1}, "clear must be at least 0"),
        ({"clear": 2, "clear_share": 1.0}, r"clear_share must lie in \[0, 1\)"),
        ({"clear": 2}, "together"),
        ({"teaching": 1.5}, "teaching must lie in"),
    ],
)
def test_a_recipe_out_of_range_is_refused(entries, words):
    with pytest.raises(ValueError, match=words):
        TwoLookRecipe.from_mapping(entries)


@pytest.fixture
def records(collection):
    return read_collections([collection])


def test_every_mask_of_an_image_is_taught(records, tmp_path):
    from dataclasses import replace

    from PIL import Image

    from ml.looks.views import _looks

    record = records[0]
    corner = np.zeros_like(np.asarray(Image.open(record.mask)))
    corner[:20, :20] = 255
    Image.fromarray(corner).save(tmp_path / "second.png")
    both = replace(record, more_masks=(tmp_path / "second.png",))
    plain = [_looks(each, index=0, recipe=SMALL, seed=1, grid=(32, 32))[1][0] for each in (record, both)]
    assert not plain[0][:8, :8].any()
    assert plain[1][3:6, 3:6].all()
    assert (plain[1] >= plain[0]).all()


@pytest.fixture
def batches(records, tmp_path):
    """Batches of an epoch in which nearly every view gives way to a square without a lesion; and their cache."""
    from ml.looks.fitting import _Batches
    from ml.looks.views import build_looks
    from ml.networks.two_looks import build_two_looks

    recipe = TwoLookRecipe(side=32, alpha=0.35, views=2, batch=8, clear=2, clear_share=0.999, mixup=0.0)
    stem = build_two_looks(weights=None, side=32, alpha=0.35).stem
    cache = build_looks(records, stem=stem, recipe=recipe, weights_digest="random", seed=1, folder=tmp_path / "cache")
    made = _Batches(
        cache=cache,
        images=np.arange(len(records)),
        labels=np.array([record.label_index for record in records]),
        weights=np.ones(len(records), np.float32),
        recipe=recipe,
        seed=1,
        epoch=0,
    )
    return made, cache


def test_a_square_without_a_lesion_is_shown_as_normal_tissue_and_not_taught(batches):
    made, cache = batches
    assert cache.fine.shape[1] == 1 + 2 * 2 + 2
    assert cache.drawn[:, :5].all()
    assert cache.drawn[:, 5:].any(), "the made images leave room beside their lesions"
    for batch in made:
        normal = batch.targets["logits"].argmax(1) == NORMAL
        assert normal.any()
        assert not batch.taught[normal].any()
        assert not batch.targets["mask"][normal].any()


def test_the_teachers_share_of_the_target_leaves_such_squares_alone(batches):
    from ml.looks.fitting import _train_epoch

    made, _ = batches
    seen = []

    class Trunk:
        def reset_metrics(self):
            pass

        def train_on_batch(self, inputs, targets, *, sample_weight, return_dict):
            seen.append(targets["logits"])
            return {"loss": 0.0, "logits_loss": 0.0, "mask_loss": 0.0}

    class Undecided:
        def probabilities(self, inputs):
            return np.full((len(inputs["look"]), 3), 1 / 3, np.float32)

    _train_epoch(Trunk(), made, Undecided(), 0.6)
    for batch, targets in zip(made, seen, strict=True):
        hard = batch.targets["logits"]
        np.testing.assert_array_equal(targets[~batch.taught], hard[~batch.taught])
        np.testing.assert_allclose(targets[batch.taught], 0.4 * hard[batch.taught] + 0.2, atol=1e-6)


def opened(folder, records, **changed):
    from ml.looks.teaching import EarlierRun

    return EarlierRun.open(folder, **{"records": records, "recipe": SMALL, "weights_digest": "random", **changed})


def test_an_earlier_run_of_the_same_images_and_folds_may_serve(two_look_run, records):
    run = opened(two_look_run, records)
    assert isinstance(run.recipe, TwoLookRecipe)
    assert run.identity()["run"] == two_look_run.name


def test_a_run_with_another_fold_of_an_image_may_not_teach(two_look_run, records):
    table = two_look_run / "out-of-fold.csv"
    with table.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row in rows:
        if row["key"] == records[3].key:
            row["fold"] = str((int(row["fold"]) + 1) % 5)
    with table.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(DataError, match=f"split otherwise.*{records[3].key}"):
        opened(two_look_run, records)


def test_a_run_that_is_unfinished_or_of_other_images_or_weights_may_not_serve(two_look_run, records):
    with pytest.raises(DataError, match="other images"):
        opened(two_look_run, records[1:])
    with pytest.raises(DataError, match="other headless weights"):
        opened(two_look_run, records, weights_digest="another")
    with pytest.raises(DataError, match="side or width"):
        opened(two_look_run, records, recipe=TwoLookRecipe(side=64, alpha=0.35))
    (two_look_run / "out-of-fold.csv").unlink()
    with pytest.raises(DataError, match="Finish the training"):
        opened(two_look_run, records)


def test_a_network_begins_as_that_of_its_own_split(two_look_run, records):
    from ml.networks.two_looks import build_two_looks
    from ml.storage import read_arrays

    run = opened(two_look_run, records)
    network = build_two_looks(weights=None, side=32, alpha=0.35)
    run.start(network, split="fold-1")
    stored = read_arrays(two_look_run / "fold-1" / "network.npz")
    for name, weight in zip(sorted(stored), network.full.get_weights(), strict=True):
        np.testing.assert_array_equal(stored[name], weight)
    with pytest.raises(DataError, match="train-clinic"):
        run.start(network, split="train-clinic")
    with pytest.raises(DataError, match="another shape"):
        run.start(build_two_looks(weights=None, side=32, alpha=0.35, width=8), split="fold-1")


def test_teachers_say_the_mean_of_what_their_networks_say_of_the_image(two_look_run, one_look_run, records):
    from ml.export import restore_network, restore_two_looks
    from ml.looks.teaching import Teachers
    from ml.metrics import softmax

    image = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
    two = restore_two_looks(two_look_run / "fold-0" / "network.npz", recipe=SMALL)
    one = restore_network(one_look_run / "fold-0" / "network.npz", recipe=opened(one_look_run, records).recipe)
    # Networks of one study share their frozen part; these were drawn at random, so it is copied.
    one_stem = {weight.path: weight for weight in one.base.weights}
    frozen = {weight.path for layer in two.stem.layers for weight in layer.weights}
    for weight in two.base.weights:
        if weight.path in frozen:
            one_stem[weight.path].assign(weight)
    from ml.runs import save_network

    save_network(one_look_run / "fold-0" / "network.npz", one.full)
    stated = two.full.predict_on_batch(image)
    alone = softmax(np.asarray(one.full.predict_on_batch(image)))
    inputs = {
        "cut": two.stem.predict_on_batch(image)["cut"],
        "look": np.array([[0], [1], [0], [1]], np.float32),
    }
    teachers = Teachers([opened(two_look_run, records), opened(one_look_run, records)], split="fold-0")
    said = teachers.probabilities(inputs)
    whole, close = softmax(np.asarray(stated["whole"])), softmax(np.asarray(stated["close"]))
    np.testing.assert_allclose(said[[0, 2]], ((whole + alone) / 2)[[0, 2]], atol=1e-5)
    np.testing.assert_allclose(said[[1, 3]], close[[1, 3]], atol=1e-5)
    with pytest.raises(DataError, match="No teacher knows the close look"):
        Teachers([opened(one_look_run, records)], split="fold-0")


def arguments(collection, out, *more):
    small = ["--weights", "none", "--side", "32", "--alpha", "0.35", "--views", "1", "--batch", "8", "--epochs", "1"]
    return ["--data", str(collection), "--out", str(out), *small, "--final", *more]


@pytest.mark.slow
def test_a_pupil_is_trained_and_its_record_names_where_it_comes_from(collection, two_look_run, tmp_path, capsys):
    out = tmp_path / "pupil"
    taught = ["--start", str(two_look_run), "--teacher", str(two_look_run), "--teaching", "0.5"]
    assert train_command.run(arguments(collection, out, *taught)) == 0, capsys.readouterr().err
    described = json.loads((out / "run.json").read_text())
    assert described["start"]["run"] == two_look_run.name
    assert [each["run"] for each in described["teachers"]] == [two_look_run.name]
    assert (out / "final" / "network.npz").is_file()
    # Without its teacher it would be another run.
    assert train_command.run(arguments(collection, out, "--start", str(two_look_run), "--resume")) == 1
    assert "another recipe" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--teaching", "0.5"], ["--teacher", "RUN"]])
def test_teachers_and_their_share_are_given_together(collection, two_look_run, tmp_path, capsys, more):
    given = [str(two_look_run) if each == "RUN" else each for each in more]
    assert train_command.run(arguments(collection, tmp_path / "pupil", *given)) == 1
    assert "together" in capsys.readouterr().err
    assert not (tmp_path / "pupil").exists()
