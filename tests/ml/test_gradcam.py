"""The map that is drawn is Grad-CAM by its definition: held to TensorFlow's gradient tape."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ml.bench import synthetic_image
from ml.contract import LABELS
from ml.images import Letterbox, network_input
from ml.looks.reading import CLOSE, WHOLE, look_twice
from ml.looks.recipe import TwoLookRecipe
from ml.metrics import softmax
from ml.pipeline import analyse
from ml.recipe import Recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def twin(shipped):
    """The shipped network in Keras."""
    from ml.export import restore_two_looks

    recipe = TwoLookRecipe.from_mapping(shipped.manifest["recipe"])
    return restore_two_looks(shipped.folder / "weights.npz", recipe=recipe)


def placed(seed, *, height=460, width=620, side=224):
    image = synthetic_image(height=height, width=width, seed=seed)
    box = Letterbox.fit(height=height, width=width, side=side)
    return box, network_input(box.place(image))


def by_gradient(network, pixels, *, head="logits"):
    """Grad-CAM before the ReLU of each label, (h, w, 3), for one linear head."""
    from ml.gradcam import gradient_map, tapped_model

    tapped = tapped_model(network.full, network.base, head=head)
    return np.stack([gradient_map(tapped, pixels, label=label) for label in range(len(LABELS))], axis=-1)


@pytest.mark.parametrize("seed", range(4))
def test_the_shipped_maps_equal_the_gradient_definition(loaded, twin, seed):
    _, pixels = placed(seed)
    stated = loaded.look(pixels).maps
    for head, own in (("whole_logits", WHOLE), ("close_logits", CLOSE)):
        expected = by_gradient(twin, pixels, head=head)
        assert np.abs(expected).max() > 1e-3, "a flat map would prove nothing"
        np.testing.assert_allclose(stated[..., own], expected, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(460, 620), (333, 500), (500, 333)])
def test_the_maps_drawn_equal_the_gradient_definition_of_the_fused_score(loaded, twin, height, width):
    """Each look's gradient map, weighted as its logits are, laid where the look saw the image; then ReLU and scale."""
    image = synthetic_image(height=height, width=width, seed=1)
    drawn = analyse(image, loaded).class_maps
    reading = look_twice(image, loaded.look, side=loaded.side)
    box, square = reading.first.letterbox, reading.first.square
    whole = by_gradient(twin, network_input(box.place(image)), head="whole_logits")
    close = by_gradient(twin, network_input(square.place(image, side=loaded.side)), head="close_logits")
    for index, label in enumerate(LABELS):
        canvas = cv2.resize(whole[..., index], (loaded.side, loaded.side), interpolation=cv2.INTER_LINEAR)
        expected = cv2.resize(box.crop(canvas), (width, height), interpolation=cv2.INTER_LINEAR)
        expected = expected * loaded.look_weights[0]
        inset = cv2.resize(close[..., index], (square.size, square.size), interpolation=cv2.INTER_LINEAR)
        for row in range(max(square.top, 0), min(square.top + square.size, height)):
            first, last = max(square.left, 0), min(square.left + square.size, width)
            piece = inset[row - square.top, first - square.left : last - square.left]
            expected[row, first:last] += loaded.look_weights[1] * piece
        expected = np.maximum(expected, 0)
        expected = expected / expected.max() if expected.max() > 0 else expected
        np.testing.assert_allclose(drawn[label], expected, atol=5e-4)


def test_the_shipped_graph_says_what_its_keras_twin_says(loaded, twin):
    for seed in range(4):
        _, pixels = placed(seed)
        stated, expected = loaded.look(pixels), twin.full(pixels, training=False)
        for look, own in (("whole", WHOLE), ("close", CLOSE)):
            np.testing.assert_allclose(
                softmax(stated.logits[None, own])[0], softmax(np.asarray(expected[look]))[0], atol=1e-4
            )
        np.testing.assert_allclose(stated.mask, np.asarray(expected["mask"])[0, ..., 0], atol=1e-3)


def test_a_freshly_built_and_exported_network_keeps_the_equality(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    from ml.export import export_graph, store_half_precision
    from ml.networks.mobilenet import build_classifier

    side = 96
    classifier = build_classifier(weights=None, side=side, alpha=0.35)
    # Untrained weights shrink the signal layer by layer: scaled up, the maps are large enough to be compared.
    for layer in classifier.base.layers:
        if layer.name.endswith(("conv", "expand", "project", "depthwise", "Conv1", "Conv_1")):
            layer.set_weights([weight * 2.5 for weight in layer.get_weights()])
    kernel, bias = classifier.head.get_weights()
    classifier.head.set_weights([kernel, bias + np.float32([0.3, -0.2, 0.1])])
    store_half_precision(tmp_path / "weights.npz", classifier)
    export_graph(tmp_path / "model.tflite", classifier)
    _, pixels = placed(2, side=side)
    interpreter = Interpreter(model_path=str(tmp_path / "model.tflite"))
    runner = interpreter.get_signature_runner()
    outputs = runner(image=pixels)
    expected = by_gradient(classifier, pixels)
    assert np.abs(expected).max() > 1e-3
    cells = expected.shape[0] * expected.shape[1]
    np.testing.assert_allclose(outputs["activation_maps"][0] / cells, expected, atol=1e-4)
    np.testing.assert_allclose(outputs["logits"], np.asarray(classifier.full(pixels, training=False)), atol=1e-3)
    # The embedding is the pooled activation: head and embedding together give the logits.
    np.testing.assert_allclose(
        outputs["embedding"] @ classifier.head.get_weights()[0] + classifier.head.get_weights()[1],
        outputs["logits"],
        atol=1e-3,
    )


def test_folding_the_normalisation_changes_no_answer():
    from ml.export import fold_normalisation
    from ml.networks.mobilenet import build_classifier

    classifier = build_classifier(weights=None, side=64, alpha=0.35)
    random = np.random.default_rng(0)
    for layer in classifier.base.layers:
        if type(layer).__name__ == "BatchNormalization":
            gamma, beta, mean, variance = (weight.shape for weight in layer.get_weights())
            layer.set_weights(
                [
                    random.uniform(1, 3, gamma),
                    random.normal(0, 0.2, beta),
                    random.normal(0, 0.2, mean),
                    random.uniform(0.2, 1, variance),
                ]
            )
    _, pixels = placed(5, side=64)
    before = np.asarray(classifier.full(pixels, training=False))
    fold_normalisation(classifier.base)
    assert np.abs(before).max() > 0.05
    np.testing.assert_allclose(np.asarray(classifier.full(pixels, training=False)), before, atol=1e-4)


def test_weights_survive_storing_and_restoring(tmp_path):
    from ml.export import restore_network
    from ml.networks.mobilenet import build_classifier
    from ml.runs import save_network

    recipe = Recipe(side=64, alpha=0.35)
    first = build_classifier(weights=None, side=64, alpha=0.35)
    save_network(tmp_path / "network.npz", first.full)
    second = restore_network(tmp_path / "network.npz", recipe=recipe)
    _, pixels = placed(3, side=64)
    assert np.array_equal(np.asarray(first.full(pixels)), np.asarray(second.full(pixels)))


def test_stem_and_trunk_together_are_the_whole_network():
    from ml.networks.mobilenet import build_classifier

    classifier = build_classifier(weights=None, side=64, alpha=0.35)
    _, pixels = placed(4, side=64)
    whole = np.asarray(classifier.full(pixels, training=False))
    np.testing.assert_allclose(np.asarray(classifier.trunk(classifier.stem(pixels))), whole, atol=1e-5)


def test_normalisation_and_the_first_blocks_stay_frozen():
    from ml.networks.mobilenet import build_classifier

    classifier = build_classifier(weights=None, side=64, alpha=0.35)
    trained = {weight.path for weight in classifier.full.trainable_weights}
    assert not any("gamma" in path or "beta" in path for path in trained)
    assert any("block_6_expand/" in path for path in trained)
    assert any("block_16_" in path for path in trained)
    assert not any("block_5_" in path or "expanded_conv" in path for path in trained)
