"""One MobileNetV2 encoder that classifies and outlines: the network behind both looks of the ultrasound model.

The encoder is MobileNetV2 (Sandler et al., CVPR 2018) with a linear head on global average pooling for each look, so
that Grad-CAM comes out of the forward pass (see :mod:`ml.networks.mobilenet`). The decoder is UNet 3+ (Huang et al.,
ICASSP 2020): every node sees every scale, finer ones by max pooling, coarser ones by upsampling, and each node is
supervised. It departs from the paper in two ways, both for a machine of two cores: the branches are projected by
1 x 1 convolutions *before* they are upsampled (which commutes with nearest-neighbour upsampling), and the fusing
convolutions are depthwise separable. The classification-guided module of the paper is the portal's own decision: an
image judged normal gets no outline.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from ml.contract import LABELS
from ml.networks.mobilenet import FROZEN_UNTIL

FINE_LAYER = "block_2_add"
"""A quarter of the side, 24 channels: the finest scale the decoder sees. Frozen, hence cached."""

MIDDLE_LAYER = "block_12_add"
"""A sixteenth of the side, 96 channels."""

DEEP_LAYER = "block_16_project_BN"
"""A thirty-second of the side, 320 channels."""

LOOKS = ("whole", "close")
"""The two looks, in the order of their heads."""


@dataclass(frozen=True, slots=True)
class TwoLookNetwork:
    """One network seen from three sides; all share their layers, hence their weights.

    Attributes:
        full: (N, S, S, 3) in [-1, 1] to a mapping: ``whole`` and ``close``, logits (N, 3) of either head, and
            ``mask``, logits (N, S/4, S/4, 1) of the lesion.
        stem: (N, S, S, 3) to the frozen features: ``fine`` (N, S/4, S/4, 24) and ``cut`` (N, S/8, S/8, 32).
        trunk: ``fine``, ``cut`` and ``look`` (N, 1; 0 for whole, 1 for close) to ``logits`` (N, 3), ``mask``,
            ``mask_8`` and ``mask_16`` (coarser, for the deep supervision); what is trained.
        base: the headless MobileNetV2.
    """

    full: keras.Model
    stem: keras.Model
    trunk: keras.Model
    base: keras.Model

    def head(self, look: str) -> keras.layers.Dense:
        """The linear head of one look: kernel (1280, 3), bias (3,)."""
        return self.full.get_layer(f"{look}_logits")


def build_two_looks(
    *, weights: Path | str | None, side: int = 224, alpha: float = 1.0, dropout: float = 0.3, width: int = 32
) -> TwoLookNetwork:
    """Build the network.

    Args:
        weights: headless ImageNet weights (``.weights.h5``), or ``None`` for random ones.
        side: side of the input, pixels; a multiple of 32.
        alpha: width multiplier of MobileNetV2.
        dropout: rate before the heads, 0-1.
        width: channels of each branch of the decoder; its nodes have twice as many.
    """
    base = keras.applications.MobileNetV2(
        input_shape=(side, side, 3), include_top=False, weights=str(weights) if weights else None, alpha=alpha
    )
    frozen = True
    for layer in base.layers:
        layer.trainable = not frozen and not isinstance(layer, keras.layers.BatchNormalization)
        frozen = frozen and layer.name != FROZEN_UNTIL
    fine, cut = base.get_layer(FINE_LAYER).output, base.get_layer(FROZEN_UNTIL).output
    stem = keras.Model(base.input, {"fine": fine, "cut": cut}, name="stem")
    tapped = [base.get_layer(MIDDLE_LAYER).output, base.get_layer(DEEP_LAYER).output, base.output]
    upper = keras.Model(cut, tapped, name="upper")
    decoder = _decoder([fine.shape, cut.shape, tapped[0].shape, tapped[1].shape], width=width)
    pool = keras.layers.GlobalAveragePooling2D(name="embedding")
    drop = keras.layers.Dropout(dropout, name="dropout")
    heads = {look: keras.layers.Dense(len(LABELS), name=f"{look}_logits", dtype="float32") for look in LOOKS}

    def judge(fine_features: Any, cut_features: Any) -> tuple[dict[str, Any], list[Any]]:
        middle, deep, last = upper(cut_features, training=False)
        pooled = drop(pool(last))
        return {look: heads[look](pooled) for look in LOOKS}, decoder([fine_features, cut_features, middle, deep])

    image = keras.Input((side, side, 3), name="image")
    features = stem(image, training=False)
    logits, masks = judge(features["fine"], features["cut"])
    full = keras.Model(image, {**logits, "mask": masks[0]}, name="two_looks")

    inputs = {
        "fine": keras.Input(fine.shape[1:], name="fine"),
        "cut": keras.Input(cut.shape[1:], name="cut"),
        "look": keras.Input((1,), name="look"),
    }
    logits, masks = judge(inputs["fine"], inputs["cut"])
    chosen = logits["whole"] * (1 - inputs["look"]) + logits["close"] * inputs["look"]
    outputs = {"logits": chosen, "mask": masks[0], "mask_8": masks[1], "mask_16": masks[2]}
    return TwoLookNetwork(full=full, stem=stem, trunk=keras.Model(inputs, outputs, name="trunk"), base=base)


def _decoder(shapes: list[tuple[int | None, ...]], *, width: int) -> keras.Model:
    """UNet 3+ over four scales, finest first; mask logits at the three finer ones, finest first."""
    encoded = [keras.Input(shape[1:], name=f"encoded_{index}") for index, shape in enumerate(shapes)]
    sides = [int(each.shape[1]) for each in encoded]
    nodes: dict[int, Any] = {3: keras.layers.Conv2D(2 * width, 1, activation="relu", name="node_3")(encoded[3])}
    for level in (2, 1, 0):
        branches = []
        for source in range(4):
            # Finer and equal scales come from the encoder, coarser ones from the decoder itself.
            value = encoded[source] if source <= level else nodes[source]
            name = f"branch_{source}_to_{level}"
            if source < level:
                value = keras.layers.MaxPooling2D(sides[source] // sides[level], name=f"{name}_pooled")(value)
            value = keras.layers.Conv2D(width, 1, activation="relu", name=name)(value)
            if source > level:
                factor = sides[level] // sides[source]
                value = keras.layers.UpSampling2D(factor, interpolation="nearest", name=f"{name}_grown")(value)
            branches.append(value)
        joined = keras.layers.Concatenate(name=f"joined_{level}")(branches)
        fused = keras.layers.SeparableConv2D(2 * width, 3, padding="same", activation="relu", name=f"fused_{level}")
        node = keras.layers.SeparableConv2D(2 * width, 3, padding="same", activation="relu", name=f"node_{level}")
        nodes[level] = node(fused(joined))
    masks = [keras.layers.Conv2D(1, 1, name=f"mask_{level}", dtype="float32")(nodes[level]) for level in (0, 1, 2)]
    return keras.Model(encoded, masks, name="decoder")


def explained_two_looks(network: TwoLookNetwork, *, batch: int | None = None) -> keras.Model:
    """The network that is shipped: one forward pass yields all that either look needs.

    Args:
        network: gives the weights, which are shared but for the heads'.
        batch: fixed batch size, or ``None`` for any.

    Returns:
        a model from (N, S, S, 3) to ``logits`` (N, 6): whole, then close; ``activation_maps`` (N, h, w, 6): the class
        activation maps ``sum_k w[k, c] A_k`` of both heads, which divided by ``h w`` are Grad-CAM before the ReLU;
        ``embedding`` (N, K); and ``mask`` (N, S/4, S/4, 1), logits.
    """
    kernels, biases = zip(*(network.head(look).get_weights() for look in LOOKS), strict=True)
    kernel, bias = keras.ops.concatenate(kernels, axis=1), keras.ops.concatenate(biases)
    image = keras.Input(network.full.input_shape[1:], batch_size=batch, name="image")
    features = network.stem(image, training=False)
    middle, deep, last = network.full.get_layer("upper")(features["cut"], training=False)
    decoder = network.full.get_layer("decoder")
    masks = decoder([features["fine"], features["cut"], middle, deep])
    mapper = keras.layers.Conv2D(2 * len(LABELS), 1, use_bias=False, name="mapper", dtype="float32")
    head = keras.layers.Dense(2 * len(LABELS), name="decision", dtype="float32")
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(last)
    outputs = {"logits": head(pooled), "activation_maps": mapper(last), "embedding": pooled, "mask": masks[0]}
    mapper.set_weights([kernel[None, None]])
    head.set_weights([kernel, bias])
    return keras.Model(image, outputs, name="explained")
