"""Grad-CAM by its definition, with TensorFlow's tape: the yardstick that the shipped closed form is held to.

Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def tapped_model(full: keras.Model, base: keras.Model) -> keras.Model:
    """A model from (N, S, S, 3) to the last convolution's activation and the logits, over the same weights."""
    image = keras.Input(full.input_shape[1:])
    activation = base(image, training=False)
    logits = full.get_layer("logits")(full.get_layer("embedding")(activation))
    return keras.Model(image, [activation, logits], name="tapped")


def gradient_map(tapped: keras.Model, pixels: NDArray[np.float32], *, label: int) -> NDArray[np.float32]:
    """Grad-CAM of one class before the ReLU.

    Args:
        tapped: from :func:`tapped_model`.
        pixels: float32 (1, S, S, 3) in [-1, 1].
        label: index of the class whose logit is explained.

    Returns:
        float32 (h, w).
    """
    with tf.GradientTape() as tape:
        activation, logits = tapped(pixels, training=False)
        score = logits[:, label]
    weights = tf.reduce_mean(tape.gradient(score, activation), axis=(1, 2), keepdims=True)
    return np.asarray(tf.reduce_sum(weights * activation, axis=-1)[0])


def compiled_gradient_map(tapped: keras.Model, *, label: int) -> Callable[[NDArray[np.float32]], tf.Tensor]:
    """The same as one traced graph, from pixels to the map: the fastest that the tape can be."""

    @tf.function
    def explain(pixels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            activation, logits = tapped(pixels, training=False)
            score = logits[:, label]
        weights = tf.reduce_mean(tape.gradient(score, activation), axis=(1, 2), keepdims=True)
        return tf.reduce_sum(weights * activation, axis=-1)[0]

    return lambda pixels: explain(tf.constant(pixels))
