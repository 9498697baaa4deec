"""From trained weights to the file that is shipped, and back to Keras."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ml.looks.recipe import TwoLookRecipe
from ml.mammogram.network import Detector
from ml.networks.mobilenet import Classifier, build_classifier, explained_graph
from ml.networks.two_looks import TwoLookNetwork, build_two_looks, explained_two_looks
from ml.recipe import Recipe
from ml.storage import read_arrays, write_arrays, write_bytes


def restore_network(path: Path, *, recipe: Recipe) -> Classifier:
    """Rebuild the Keras network from ``network.npz`` or an artefact's ``weights.npz``.

    Raises:
        ValueError: the weights do not fit the recipe's network.
    """
    classifier = build_classifier(weights=None, side=recipe.side, alpha=recipe.alpha, dropout=recipe.dropout)
    stored = read_arrays(path)
    classifier.full.set_weights([stored[name].astype(np.float32) for name in sorted(stored)])
    return classifier


def fold_normalisation(base: keras.Model) -> None:
    """Move every batch normalisation into the convolution before it, in place; the network computes the same.

    What stays is a normalisation that does nothing but add ``beta``. The shipped ImageNet weights come like this
    already, for them nothing changes.
    """
    for layer in base.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        convolution = layer.input._keras_history.operation
        (kernel,) = convolution.get_weights()
        gamma, beta, mean, variance = layer.get_weights()
        scale = gamma / np.sqrt(variance + layer.epsilon)
        # A depthwise kernel (h, w, channels, 1) carries its output channels one axis earlier.
        depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
        convolution.set_weights([kernel * (scale[:, None] if depthwise else scale)])
        neutral = np.full_like(gamma, np.sqrt(1 + layer.epsilon))
        layer.set_weights([neutral, beta - mean * scale, np.zeros_like(mean), np.ones_like(variance)])


def store_half_precision(path: Path, network: Classifier | TwoLookNetwork | Detector) -> None:
    """Round the weights of the network to float16, in place, and store them.

    The graph is exported from the rounded weights, so that the stored Keras twin and the graph are the same network.
    The normalisation is folded before, and its scale, mean and variance stay float32: otherwise the converter would
    fold it after the rounding and round the products a second time.
    """
    fold_normalisation(network.base)
    full = network.full
    exact = ("gamma", "moving_mean", "moving_variance")
    rounded = [
        np.asarray(weight) if weight.name in exact else np.asarray(weight).astype(np.float16) for weight in full.weights
    ]
    if not all(np.isfinite(weight).all() for weight in rounded):
        raise ValueError("A weight is too large for half precision.")
    full.set_weights([weight.astype(np.float32) for weight in rounded])
    write_arrays(path, {f"{number:04d}": weight for number, weight in enumerate(rounded)})


def restore_two_looks(path: Path, *, recipe: TwoLookRecipe) -> TwoLookNetwork:
    """Rebuild the two-look network from a run's ``network.npz`` or an artefact's ``weights.npz``.

    Raises:
        ValueError: the weights do not fit the recipe's network.
    """
    network = build_two_looks(
        weights=None, side=recipe.side, alpha=recipe.alpha, dropout=recipe.dropout, width=recipe.width
    )
    stored = read_arrays(path)
    network.full.set_weights([stored[name].astype(np.float32) for name in sorted(stored)])
    return network


def export_graph(path: Path, network: Classifier | TwoLookNetwork, *, explained: bool = True) -> None:
    """Write a LiteRT graph with float16 weights and float32 arithmetic.

    Args:
        path: the ``.tflite`` file.
        network: a classifier, or the two-look network.
        explained: also yield class activation maps and embedding; without it only what the bare network says.
    """
    if not explained:
        image = keras.Input(network.full.input_shape[1:], batch_size=1)
        model = keras.Model(image, network.full(image, training=False))
    elif isinstance(network, TwoLookNetwork):
        model = explained_two_looks(network, batch=1)
    else:
        model = explained_graph(network, batch=1)
    write_bytes(path, litert_graph(model))


def litert_graph(model: keras.Model) -> bytes:
    """Convert a Keras model of fixed input shape to a LiteRT graph with float16 weights and float32 arithmetic."""
    # Converted from the Keras model: from a concrete function the weights stay variables, which runs ten times slower.
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def bare_graph(network: Classifier | TwoLookNetwork) -> bytes:
    """The network without explanation as a LiteRT graph, for comparison."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bare.tflite"
        export_graph(path, network, explained=False)
        return path.read_bytes()


def probability_gaps(
    first: keras.Model, second: keras.Model, images: Iterable[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """For each image (1, S, S, 3) the largest difference of an uncalibrated probability of two networks, (N,)."""
    gaps = []
    for pixels in images:
        stated = [np.asarray(keras.ops.softmax(network(pixels, training=False))) for network in (first, second)]
        gaps.append(float(np.abs(stated[0] - stated[1]).max()))
    return np.array(gaps)
