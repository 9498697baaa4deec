"""Grad-CAM by its definition, with TensorFlow's tape: the yardstick that the shipped closed form is held to.

Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017.
"""

from __future__ import annotations

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


def gradient_maps(tapped: keras.Model, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grad-CAM of every class before the ReLU, one backward pass each.

    Args:
        tapped: from :func:`tapped_model`.
        pixels: float32 (1, S, S, 3) in [-1, 1].

    Returns:
        float32 (h, w, classes).
    """
    with tf.GradientTape(persistent=True) as tape:
        activation, logits = tapped(pixels, training=False)
        scores = [logits[:, label] for label in range(logits.shape[1])]
    maps = []
    for score in scores:
        weights = tf.reduce_mean(tape.gradient(score, activation), axis=(1, 2), keepdims=True)
        maps.append(tf.reduce_sum(weights * activation, axis=-1)[0])
    return np.stack([np.asarray(each) for each in maps], axis=-1)
