"""The network zoo: every network builds, scales its own way, freezes what it is told and learns."""

from __future__ import annotations

import time
import urllib.error
from pathlib import Path

import keras
import numpy as np
import pytest

from ml.networks import zoo
from ml.networks.catalogue import ARCHITECTURES
from ml.networks.rates import DiscriminativeAdam
from ml.networks.zoo import WeightsError, build_network, has_folded_normalisation
from ml.whole_image.recipe import WholeImageRecipe

RECIPES = Path(zoo.__file__).resolve().parents[1] / "recipes"
SIDES = {"inceptionv3": 75}


def toy(count: int, side: int, *, seed: int = 0):
    """Grey canvases whose class is the half that is bright: uint8 (N, S, S) and one-hot (N, 2)."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    canvases = random.integers(0, 60, (count, side, side)).astype(np.uint8)
    for canvas, label in zip(canvases, labels, strict=True):
        half = slice(0, side // 2) if label else slice(side // 2, side)
        canvas[half] += 150
    return canvases, np.eye(2, dtype=np.float32)[labels]


def small(name: str, **options):
    keras.utils.set_random_seed(3)
    width = 0.35 if ARCHITECTURES[name].has_width else 1.0
    return build_network(name, classes=2, side=SIDES.get(name, 32), width=width, dropout=0.0, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_network_learns_a_toy_task_from_random_weights(name):
    began = time.monotonic()
    network = small(name, train_normalisation=True)
    canvases, targets = toy(8, SIDES.get(name, 32))
    pixels = network.scale(canvases)
    # Eagerly: tracing the graph of a deep network takes far longer than a few steps of it.
    network.trunk.compile(
        # Without normalisation VGG16 bears smaller steps only, and needs more of them.
        optimizer=keras.optimizers.Adam(5e-5 if name == "vgg16" else 1e-3),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    losses = []
    for _ in range(10 if name == "vgg16" else 5):
        network.trunk.reset_metrics()
        losses.append(float(network.trunk.train_on_batch(pixels, targets)))
    assert np.isfinite(losses).all()
    recipe = WholeImageRecipe.from_yaml(RECIPES / f"{name}.yaml")
    zoo._freeze(network.base, last=recipe.freeze, train_normalisation=recipe.batch_norm == "train")
    assert len(network.rate_factors(recipe.rates)) > 2, "every rate of the shipped recipe names a trained layer"
    assert min(losses[2:]) < 0.8 * losses[0], f"{name}: {losses} after {time.monotonic() - began:.1f} s"


@pytest.mark.parametrize(
    ("name", "black", "white"),
    [
        ("mobilenetv2", [-1, -1, -1], [1, 1, 1]),
        ("inceptionv3", [-1, -1, -1], [1, 1, 1]),
        ("plain-cnn", [-1, -1, -1], [1, 1, 1]),
        ("vgg16", [-103.939, -116.779, -123.68], [151.061, 138.221, 131.32]),
        ("resnet50", [-103.939, -116.779, -123.68], [151.061, 138.221, 131.32]),
        ("efficientnetb0", [0, 0, 0], [255, 255, 255]),
        (
            "densenet121",
            [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
            [0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225],
        ),
    ],
)
def test_each_network_gets_the_range_its_weights_were_trained_on(name, black, white):
    # Scaling needs the entry of the catalogue alone; building seven networks for it would take half a minute.
    network = zoo.Network(architecture=ARCHITECTURES[name], full=None, base=None, stem=None, trunk=None, head=())
    canvases = np.array([[[0, 255]]], np.uint8)
    scaled = network.scale(canvases)
    assert scaled.shape == (1, 1, 2, 3)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[0, 0, 0], black, atol=1e-4)
    np.testing.assert_allclose(scaled[0, 0, 1], white, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenetv2", "plain-cnn", "vgg16"])
def test_cut_in_two_the_network_says_the_same_as_in_one_piece(name):
    network = small(name, freeze=ARCHITECTURES[name].cuts[1])
    pixels = network.scale(toy(2, 32)[0])
    whole = np.asarray(network.full(pixels, training=False))
    parts = np.asarray(network.trunk(network.stem(pixels, training=False), training=False))
    np.testing.assert_allclose(parts, whole, atol=1e-4)


@pytest.mark.slow
def test_every_cut_of_the_catalogue_is_the_only_way_through_its_network():
    for name, architecture in ARCHITECTURES.items():
        if name in ("inceptionv3", "efficientnetb0", "resnet50"):
            base = small(name).base
            for cut in architecture.cuts:
                # Keras refuses a sub-model whose outputs also depend on something other than its input.
                keras.Model(base.get_layer(cut).output, base.output)


def test_below_the_cut_nothing_is_trained_and_above_it_everything_but_the_normalisation():
    network = small("mobilenetv2", freeze="block_5_add")
    names = {variable.path.split("/")[0] for variable in network.trunk.trainable_variables}
    assert "block_6_expand" in names
    assert "logits" in names
    assert not any(name.startswith(("Conv1", "block_1_", "block_5_")) for name in names)
    assert not any(name.endswith("_BN") for name in names)


def test_frozen_normalisation_keeps_its_statistics_while_the_rest_trains():
    network = small("plain-cnn")
    norm = network.base.get_layer("stage1_norm")
    canvases, targets = toy(4, 32)
    network.trunk.compile(optimizer="adam", loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    network.trunk.train_on_batch(network.scale(canvases), targets)
    np.testing.assert_array_equal(np.asarray(norm.moving_mean), 0)
    np.testing.assert_array_equal(np.asarray(norm.moving_variance), 1)
    assert norm.trainable is False


def test_with_the_whole_base_frozen_only_the_head_trains_and_the_stem_pools():
    network = small("plain-cnn", freeze="all", dense=5)
    assert network.stem.output_shape == (None, 45)
    paths = [variable.path for variable in network.trunk.trainable_variables]
    assert paths == ["dense/kernel", "dense/bias", "logits/kernel", "logits/bias"]


def test_each_part_moves_by_its_own_rate():
    network = small("plain-cnn", train_normalisation=True)
    rates = {"stage": 0.1, "stage4": 0.5, "head": 2.0}
    factors = network.rate_factors(rates)
    rate = 1e-2
    variables = network.trunk.trainable_variables
    before = [np.array(variable) for variable in variables]
    network.trunk.compile(
        optimizer=DiscriminativeAdam(learning_rate=rate, factors=factors, epsilon=1e-12),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    canvases, targets = toy(8, 32)
    network.trunk.train_on_batch(network.scale(canvases), targets)
    seen = set()
    for variable, start, factor in zip(variables, before, factors, strict=True):
        layer = variable.path.split("/")[0]
        expected = 0.5 if layer.startswith("stage4") else 0.1 if layer.startswith("stage") else 2.0
        assert factor == expected
        step = np.abs(np.array(variable) - start)
        moved = step[step > 0]
        if len(moved):
            # Adam's first step is the rate itself, whatever the gradient: only the factor tells the parts apart.
            assert np.median(moved) == pytest.approx(rate * factor, rel=0.02)
            seen.add(expected)
    assert seen == {0.1, 0.5, 2.0}


def test_a_factor_of_zero_holds_a_part_still():
    network = small("plain-cnn", train_normalisation=True)
    kernel = network.base.get_layer("stage1_conv").kernel
    before = np.array(kernel)
    network.trunk.compile(
        optimizer=DiscriminativeAdam(learning_rate=1e-2, factors=network.rate_factors({"stage1": 0.0})),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    canvases, targets = toy(4, 32)
    network.trunk.train_on_batch(network.scale(canvases), targets)
    np.testing.assert_array_equal(np.array(kernel), before)


@pytest.mark.parametrize("rates", [{"block_99": 0.1}, {"stage1": 0.1}])
def test_a_rate_for_a_layer_that_is_not_trained_is_refused(rates):
    network = small("plain-cnn", freeze="stage1_pool")
    with pytest.raises(ValueError, match=next(iter(rates))):
        network.rate_factors(rates)


def test_weights_that_are_not_there_or_of_another_network_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.weights\.h5 does not exist"):
        small("plain-cnn", weights=str(tmp_path / "nowhere.weights.h5"))
    wrong = tmp_path / "wrong.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(wrong)
    with pytest.raises(WeightsError, match="does not hold the headless weights of plain-cnn"):
        small("plain-cnn", weights=str(wrong))


def test_without_a_network_the_download_says_what_to_do(monkeypatch):
    def offline(**options):
        raise Exception("URL fetch failure") from urllib.error.URLError("no route")

    monkeypatch.setitem(zoo._BUILDERS, "vgg16", offline)
    with pytest.raises(WeightsError, match="--weights none"):
        build_network("vgg16", classes=2, side=32, weights="imagenet")


def test_training_a_folded_normalisation_is_refused(tmp_path):
    network = small("plain-cnn")
    path = tmp_path / "folded.weights.h5"
    network.base.save_weights(path)
    assert has_folded_normalisation(network.base)
    with pytest.raises(WeightsError, match="batch_norm to frozen"):
        small("plain-cnn", weights=str(path), train_normalisation=True)


@pytest.mark.slow
def test_the_imagenet_weights_at_hand_are_folded_and_load(shared):
    (path,) = (shared / "weights").glob("*.weights.h5")
    network = build_network("mobilenetv2", classes=3, side=64, weights=str(path), freeze="all")
    assert has_folded_normalisation(network.base)
    assert float(np.asarray(network.base.get_layer("Conv1").kernel).std()) > 0.1
