"""The two-look network: one encoder, two heads, a decoder; its maps are Grad-CAM of both heads."""

from __future__ import annotations

import numpy as np
import pytest

from ml.contract import LABELS

pytestmark = pytest.mark.slow
SIDE = 64


@pytest.fixture(scope="module")
def network():
    import keras

    from ml.networks.two_looks import build_two_looks

    keras.utils.set_random_seed(3)
    built = build_two_looks(weights=None, side=SIDE, alpha=0.35)
    random = np.random.default_rng(1)
    # Fresh networks have no bias and hardly any output: give the layers something to say.
    built.full.set_weights([each + random.normal(0, 0.05, each.shape).astype("float32") for each in
                            built.full.get_weights()])  # fmt: skip
    return built


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(2).uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)


def test_the_trunk_on_cached_features_says_what_the_whole_network_says(network, pixels):
    import keras

    full = network.full(pixels, training=False)
    features = network.stem(pixels, training=False)
    for look, flag in (("whole", 0.0), ("close", 1.0)):
        chosen = keras.ops.full((2, 1), flag, dtype="float32")
        stated = network.trunk({**features, "look": chosen}, training=False)
        np.testing.assert_allclose(stated["logits"], full[look], atol=1e-4)
        np.testing.assert_allclose(stated["mask"], full["mask"], atol=1e-4)


def test_the_frozen_part_is_not_trained_and_the_decoder_is(network):
    trained = {weight.path for weight in network.trunk.trainable_weights}
    assert not any("block_5" in path or "block_2" in path or "_BN" in path for path in trained)
    assert any("block_6" in path for path in trained)
    assert any("node_0" in path for path in trained)
    assert {weight.path for weight in network.trunk.trainable_weights} == trained


def test_the_maps_are_grad_cam_of_each_head(network, pixels):
    import keras
    import tensorflow as tf

    from ml.networks.two_looks import LOOKS, explained_two_looks

    explained = explained_two_looks(network)
    activation = explained.get_layer("mapper").input
    below = keras.Model(explained.input, activation)
    stated = explained(pixels, training=False)
    cells = stated["activation_maps"].shape[1] * stated["activation_maps"].shape[2]
    for position, look in enumerate(LOOKS):
        for index in range(len(LABELS)):
            with tf.GradientTape() as tape:
                values = below(pixels, training=False)
                tape.watch(values)
                score = network.head(look)(tf.reduce_mean(values, axis=(1, 2)))[:, index]
            gradient = tape.gradient(score, values)
            weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
            expected = tf.reduce_sum(weights * values, axis=-1)
            found = np.asarray(stated["activation_maps"])[..., position * len(LABELS) + index] / cells
            np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_mask_loss_prefers_the_right_mask():
    from ml.looks.fitting import MaskLoss

    true = np.zeros((1, 16, 16, 1), np.float32)
    true[0, 4:9, 4:9] = 1
    right, wrong, nothing = 8 * (2 * true - 1), -8 * (2 * true - 1), np.full_like(true, -8)
    losses = [float(MaskLoss()(true, logits)) for logits in (right, nothing, wrong)]
    assert losses == sorted(losses)
    assert losses[0] < 0.05
    assert float(MaskLoss()(np.zeros_like(true), nothing)) < 0.2
