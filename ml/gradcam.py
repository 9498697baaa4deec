"""Grad-CAM by its definition, with TensorFlow's tape: the yardstick that the shipped closed form is held to.

Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def tapped_model(full: keras.Model, base: keras.Model, *, head: str = "logits") -> keras.Model:
    """A model from (N, S, S, 3) to the last convolution's activation and the logits, over the same weights.

    Args:
        full: the network, with a layer ``embedding`` that pools the base's activation.
        base: its headless part.
        head: name of the linear head; of the two-look network ``whole_logits`` or ``close_logits``.
    """
    image = keras.Input(full.input_shape[1:])
    activation = base(image, training=False)
    logits = full.get_layer(head)(full.get_layer("embedding")(activation))
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


def plus_plus_by_definition(
    activation: NDArray[np.float32], score: Callable[[tf.Tensor], tf.Tensor]
) -> NDArray[np.float32]:
    """Grad-CAM++ (Chattopadhay et al., WACV 2018, equations 5, 10 and 19) with three nested tapes.

    The second and third derivatives of ``exp(score)`` are taken cell by cell from Jacobians, so this is for small
    activations only: the yardstick of :func:`ml.attribution.plus_plus_maps`.

    Args:
        activation: float32 (h, w, K).
        score: from (h, w, K) to the class score before the softmax, a scalar.

    Returns:
        the map after the ReLU, float32 (h, w).
    """
    flat = tf.constant(activation.reshape(-1), dtype=tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(flat)
        with tf.GradientTape() as middle:
            middle.watch(flat)
            with tf.GradientTape() as inner:
                inner.watch(flat)
                value = tf.exp(score(tf.reshape(flat, activation.shape)))
            first = inner.gradient(value, flat)
        second = tf.linalg.diag_part(middle.jacobian(first, flat))
    third = tf.linalg.diag_part(outer.jacobian(second, flat))
    shaped = [np.asarray(each).reshape(activation.shape) for each in (first, second, third)]
    below = 2 * shaped[1] + activation.sum(axis=(0, 1)) * shaped[2]
    shares = np.divide(shaped[1], below, out=np.zeros_like(below), where=below != 0)
    weights = (shares * np.maximum(shaped[0], 0)).sum(axis=(0, 1))
    return np.maximum((activation * weights).sum(axis=-1), 0).astype(np.float32)
