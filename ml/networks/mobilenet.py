"""MobileNetV2 (Sandler et al., CVPR 2018) with a linear head on global average pooling.

With such a head the class activation map of Zhou et al. (CVPR 2016) and the Grad-CAM of Selvaraju et al. (ICCV 2017)
are the same map up to the factor 1 / (H W): the gradient of the class score with respect to each cell of the last
convolution is ``w[k, c] / (H W)``. The explained graph therefore yields Grad-CAM in the forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

from ml.contract import LABELS

FROZEN_UNTIL = "block_5_add"
"""Last layer that keeps its ImageNet weights; blocks 6-16 and the last convolution are fine-tuned."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """One network seen from four sides; all share their layers, hence their weights.

    Attributes:
        full: (N, S, S, 3) in [-1, 1] to logits (N, 3), float32.
        stem: (N, S, S, 3) to the frozen features (N, h, w, C).
        trunk: frozen features to logits (N, 3); what is trained.
        base: the headless MobileNetV2.
    """

    full: keras.Model
    stem: keras.Model
    trunk: keras.Model
    base: keras.Model

    @property
    def head(self) -> keras.layers.Dense:
        return self.full.get_layer("logits")


def build_classifier(
    *, weights: Path | str | None, side: int = 224, alpha: float = 1.0, dropout: float = 0.3
) -> Classifier:
    """Build the network.

    Args:
        weights: headless ImageNet weights (``.weights.h5``), or ``None`` for random ones.
        side: side of the input, pixels; a multiple of 32.
        alpha: width multiplier of MobileNetV2.
        dropout: rate before the head, 0-1.

    The ImageNet weights have batch normalisation folded into the convolutions, so the normalisation layers stay
    frozen and run in inference mode also while training.
    """
    base = keras.applications.MobileNetV2(
        input_shape=(side, side, 3), include_top=False, weights=str(weights) if weights else None, alpha=alpha
    )
    frozen = True
    for layer in base.layers:
        layer.trainable = not frozen and not isinstance(layer, keras.layers.BatchNormalization)
        frozen = frozen and layer.name != FROZEN_UNTIL
    cut = base.get_layer(FROZEN_UNTIL).output
    stem = keras.Model(base.input, cut, name="stem")
    upper = keras.Model(cut, base.output, name="upper")
    pool = keras.layers.GlobalAveragePooling2D(name="embedding")
    drop = keras.layers.Dropout(dropout, name="dropout")
    head = keras.layers.Dense(len(LABELS), name="logits", dtype="float32")

    image = keras.Input((side, side, 3), name="image")
    full = keras.Model(image, head(drop(pool(base(image, training=False)))), name="classifier")
    features = keras.Input(cut.shape[1:], name="features")
    trunk = keras.Model(features, head(drop(pool(upper(features, training=False)))), name="trunk")
    return Classifier(full=full, stem=stem, trunk=trunk, base=base)


def explained_graph(classifier: Classifier, *, batch: int | None = None) -> keras.Model:
    """The network that is shipped: one forward pass yields the decision and its explanation.

    Args:
        classifier: gives the weights, which are shared but for the head's.
        batch: fixed batch size, or ``None`` for any.

    Returns:
        a model from (N, S, S, 3) to ``logits`` (N, 3), ``activation_maps`` (N, h, w, 3): the class activation maps
        ``sum_k w[k, c] A_k``, which divided by ``h w`` are Grad-CAM before the ReLU, and ``embedding`` (N, K).
    """
    kernel, bias = classifier.head.get_weights()
    image = keras.Input(classifier.full.input_shape[1:], batch_size=batch, name="image")
    activation = classifier.base(image, training=False)
    # The division by h w is left to the caller: a kernel divided by 49 would be rounded anew in half precision.
    mapper = keras.layers.Conv2D(len(LABELS), 1, use_bias=False, name="mapper", dtype="float32")
    head = keras.layers.Dense(len(LABELS), name="decision", dtype="float32")
    embedding = keras.layers.GlobalAveragePooling2D(name="pooled")(activation)
    outputs = {"logits": head(embedding), "activation_maps": mapper(activation), "embedding": embedding}
    mapper.set_weights([kernel[None, None]])
    head.set_weights([kernel, bias])
    return keras.Model(image, outputs, name="explained")
