"""MobileNetV2 as a fully convolutional detector: one pass over a film scores every patch of it.

A patch classifier that ends in global average pooling and a linear head, slid over a film, computes the linear head on
each cell of the last convolution. Here the head is applied to the cells themselves, at stride 32, and a second linear
head on the last features of stride 16 sharpens the place (Long, Shelhamer and Darrell, CVPR 2015: FCN-16s).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

from ml.mammogram.film import CANVAS
from ml.networks.mobilenet import FROZEN_UNTIL

STEM_STRIDE = 8
"""Image pixels along each side of one cell of the frozen features."""

FINE_LAYER = "block_13_expand_relu"
"""Last features of stride 16."""

OUTPUTS = ("finding", "malignant")
"""Channels of the score map: logit of a lesion here; logit of malignancy given that there is one."""


@dataclass(frozen=True, slots=True)
class Detector:
    """One network seen from three sides; all share their layers, hence their weights.

    Attributes:
        full: (N, H, W, 3) in [-1, 1], sides multiples of 32, to logits (N, H/16, W/16, 2).
        stem: (N, H, W, 3) to the frozen features (N, H/8, W/8, C).
        trunk: frozen features to logits; what is trained.
        base: the headless MobileNetV2.
    """

    full: keras.Model
    stem: keras.Model
    trunk: keras.Model
    base: keras.Model


def build_detector(*, weights: Path | str | None, alpha: float = 1.0, dropout: float = 0.3) -> Detector:
    """Build the network.

    Args:
        weights: headless ImageNet weights (``.weights.h5``), or ``None`` for random ones.
        alpha: width multiplier of MobileNetV2.
        dropout: rate before the head, 0-1.

    Batch normalisation stays frozen in inference mode: it is folded into the ImageNet weights' convolutions.
    """
    base = keras.applications.MobileNetV2(
        input_shape=(None, None, 3), include_top=False, weights=str(weights) if weights else None, alpha=alpha
    )
    frozen = True
    for layer in base.layers:
        layer.trainable = not frozen and not isinstance(layer, keras.layers.BatchNormalization)
        frozen = frozen and layer.name != FROZEN_UNTIL
    cut = base.get_layer(FROZEN_UNTIL).output
    fine = base.get_layer(FINE_LAYER).output
    stem = keras.Model(base.input, cut, name="stem")
    upper = keras.Model(cut, [fine, base.output], name="upper")
    tapped = keras.Model(base.input, [fine, base.output], name="tapped")
    head = _Head(dropout)
    image = keras.Input((None, None, 3), name="image")
    full = keras.Model(image, head(*tapped(image, training=False)), name="detector")
    features = keras.Input((None, None, cut.shape[-1]), name="features")
    trunk = keras.Model(features, head(*upper(features, training=False)), name="trunk")
    return Detector(full=full, stem=stem, trunk=trunk, base=base)


class _Head:
    """The two linear heads; the layers are made once and shared by the models."""

    def __init__(self, dropout: float) -> None:
        self._drop = keras.layers.Dropout(dropout, name="dropout")
        self._coarse = keras.layers.Conv2D(len(OUTPUTS), 1, name="coarse", dtype="float32")
        self._fine = keras.layers.Conv2D(
            len(OUTPUTS), 1, use_bias=False, kernel_initializer="zeros", name="fine", dtype="float32"
        )
        self._enlarge = keras.layers.UpSampling2D(2, interpolation="bilinear", name="enlarge", dtype="float32")
        self._sum = keras.layers.Add(name="scores", dtype="float32")

    def __call__(self, fine: keras.KerasTensor, deep: keras.KerasTensor) -> keras.KerasTensor:
        return self._sum([self._enlarge(self._coarse(self._drop(deep))), self._fine(fine)])


def head_features(detector: Detector) -> keras.Model:
    """From frozen features to what the heads see at stride 16: the last convolution enlarged, and fine features."""
    upper = detector.trunk.get_layer("upper")
    features = keras.Input(detector.trunk.input_shape[1:], name="features")
    fine, deep = upper(features, training=False)
    return keras.Model(features, [detector.full.get_layer("enlarge")(deep), fine], name="head_features")


def shipped_graph(detector: Detector) -> keras.Model:
    """The network that is shipped: float32 (1, 768, 512, 3) to logits (1, 48, 32, 2) and embedding (1, K).

    The embedding is the mean of the last convolution over the canvas.
    """
    image = keras.Input((*CANVAS, 3), batch_size=1, name="image")
    tapped = keras.Model(
        detector.base.input, [detector.base.get_layer(FINE_LAYER).output, detector.base.output], name="shipped_base"
    )
    fine, deep = tapped(image, training=False)
    coarse = detector.full.get_layer("coarse")(deep)
    enlarged = detector.full.get_layer("enlarge")(coarse)
    scores = detector.full.get_layer("scores")([enlarged, detector.full.get_layer("fine")(fine)])
    embedding = keras.layers.GlobalAveragePooling2D(name="pooled")(deep)
    return keras.Model(image, {"scores": scores, "embedding": embedding}, name="shipped")


def cell_loss(focus: float, malignancy: float) -> keras.losses.Loss:
    """Weighted binary cross-entropy over cells, with the focal factor of Lin et al. (ICCV 2017) on the first output.

    ``y_true`` (N, h, w, 4) holds target and weight of each output in turn; ``y_pred`` (N, h, w, 2) holds logits. The
    weights of a batch sum to N for each output that is taught in it, so that a mean over N is a mean over weights.
    """

    def loss(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        ops = keras.ops
        finding, weight, grave, grave_weight = (y_true[..., channel] for channel in range(4))
        cross = ops.binary_crossentropy(finding, y_pred[..., 0], from_logits=True)
        chance = ops.sigmoid(y_pred[..., 0])
        error = finding * (1 - chance) + (1 - finding) * chance
        first = ops.sum(weight * cross * error**focus, axis=(1, 2))
        second = ops.sum(grave_weight * ops.binary_crossentropy(grave, y_pred[..., 1], from_logits=True), axis=(1, 2))
        return first + malignancy * second

    return loss
