"""Build any network of the zoo with its head, cut at the frontier between frozen and trained layers.

Keras 3 API only, so that it trains with any backend.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml.networks.catalogue import ARCHITECTURES, Architecture

RANDOM, IMAGENET = "none", "imagenet"
"""What may stand for a weights file: random weights, or those that Keras publishes."""

FREEZE_ALL, FREEZE_NONE = "all", "none"
"""What may stand for the last frozen layer."""

HEAD = "head"
"""Name of the head's layers in a table of rates."""


class WeightsError(Exception):
    """Weights cannot be had or do not belong to the network; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Network:
    """One network seen from four sides; all share their layers, hence their weights.

    Attributes:
        architecture: its entry in the catalogue.
        full: scaled pixels (N, S, S, 3) to logits (N, C), float32.
        base: the network without head: scaled pixels to the last activation (N, h, w, K).
        stem: scaled pixels to the frozen features: (N, h, w, K), or pooled (N, K) when all of the base is frozen;
            ``None`` when nothing is frozen.
        trunk: frozen features (scaled pixels when nothing is frozen) to logits; what is trained.
        head: the head's layers with weights, from the pooled activation to the logits.
    """

    architecture: Architecture
    full: keras.Model
    base: keras.Model
    stem: keras.Model | None
    trunk: keras.Model
    head: tuple[keras.layers.Layer, ...]

    def scale(self, canvases: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Grey canvases as this network's ImageNet weights expect them: uint8 (N, S, S) to float32 (N, S, S, 3)."""
        colour = np.repeat(canvases[..., None], 3, axis=-1).astype(np.float32)
        return np.asarray(_SCALINGS[self.architecture.name](colour), dtype=np.float32)

    def rate_factors(self, rates: Mapping[str, float]) -> list[float]:
        """Learning-rate factor of each trainable variable of the trunk, in their order.

        Args:
            rates: factor by beginning of a layer's name, or :data:`HEAD`; the longest match counts, 1 where none does.

        Raises:
            ValueError: a name matches no layer that is trained.
        """
        factor_of: dict[int, float] = {}
        used: set[str] = set()
        own = {id(layer) for layer in self.head}
        for layer in (*self.base.layers, *self.head):
            name = HEAD if id(layer) in own else layer.name
            matches = [prefix for prefix in rates if name.startswith(prefix) and (prefix == HEAD) == (name == HEAD)]
            chosen = max(matches, key=len) if matches else None
            for variable in layer.trainable_variables:
                factor_of[id(variable)] = rates[chosen] if chosen is not None else 1.0
                used.update(matches)
        unused = sorted(set(rates) - used)
        if unused:
            raise ValueError(
                f"rates: no trained layer of {self.architecture.name} begins with {unused[0]!r}. "
                f"Use {HEAD!r} or the beginning of a layer's name above the frozen part."
            )
        return [factor_of[id(variable)] for variable in self.trunk.trainable_variables]


def build_network(
    name: str,
    *,
    classes: int,
    side: int,
    weights: str = RANDOM,
    width: float = 1.0,
    freeze: str = FREEZE_NONE,
    train_normalisation: bool = False,
    pooling: str = "average",
    dense: int = 0,
    dropout: float = 0.3,
) -> Network:
    """Build a network of the zoo.

    Args:
        name: key of :data:`ml.networks.catalogue.ARCHITECTURES`.
        classes: length of the logits.
        side: side of the input, pixels.
        weights: :data:`RANDOM`, :data:`IMAGENET` (downloaded by Keras), or the path of headless weights.
        width: width multiplier, for MobileNetV2 and the plain CNN.
        freeze: last frozen layer (one of the architecture's cuts), :data:`FREEZE_ALL` or :data:`FREEZE_NONE`.
        train_normalisation: train batch normalisation above the frozen part. Otherwise it stays frozen and runs in
            inference mode, which weights with folded normalisation need.
        pooling: ``average`` or ``max``, over the cells of the last activation.
        dense: units of a ReLU layer between pooling and logits; 0 is none.
        dropout: rate before the logits, 0-1.

    Raises:
        WeightsError: weights that cannot be downloaded, read or trained as asked.
    """
    architecture = ARCHITECTURES[name]
    base = _load_base(architecture, side=side, width=width, weights=weights)
    if train_normalisation and weights != RANDOM and has_folded_normalisation(base):
        raise WeightsError(
            f"These weights of {name} have batch normalisation folded into the convolutions: training it destroys "
            "the features. Set batch_norm to frozen."
        )
    _freeze(base, last=freeze, train_normalisation=train_normalisation)
    pools: dict[str, type[keras.layers.Layer]] = {
        "average": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }
    pool = pools[pooling](name="embedding")
    hidden = [keras.layers.Dense(dense, activation="relu", name="dense")] if dense else []
    drop = keras.layers.Dropout(dropout, name="dropout")
    logits = keras.layers.Dense(classes, name="logits", dtype="float32")

    def decide(pooled: Any) -> Any:
        for layer in hidden:
            pooled = layer(pooled)
        return logits(drop(pooled))

    image = keras.Input((side, side, 3), name="image")
    full = keras.Model(image, decide(pool(base(image))), name="classifier")
    stem, trunk = None, full
    if freeze == FREEZE_ALL:
        stem = keras.Model(base.input, pool(base.output), name="stem")
        features = keras.Input(stem.output_shape[1:], name="features")
        trunk = keras.Model(features, decide(features), name="trunk")
    elif freeze != FREEZE_NONE:
        cut = base.get_layer(freeze).output
        stem = keras.Model(base.input, cut, name="stem")
        upper = keras.Model(cut, base.output, name="upper")
        features = keras.Input(cut.shape[1:], name="features")
        trunk = keras.Model(features, decide(pool(upper(features))), name="trunk")
    return Network(architecture=architecture, full=full, base=base, stem=stem, trunk=trunk, head=(*hidden, logits))


def has_folded_normalisation(base: keras.Model) -> bool:
    """Whether every batch normalisation has mean 0 and variance 1: it was folded, or never saw an image."""
    layers = [layer for layer in base.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return bool(layers) and all(
        np.all(np.asarray(layer.moving_mean) == 0) and np.all(np.asarray(layer.moving_variance) == 1)
        for layer in layers
    )


def _load_base(architecture: Architecture, *, side: int, width: float, weights: str) -> keras.Model:
    options: dict[str, Any] = {"alpha": width} if architecture.name == "mobilenetv2" else {}
    build = _BUILDERS[architecture.name]
    if architecture.name == "plain-cnn":
        base = build((side, side, 3), width)
        if weights != RANDOM:
            _load_file(base, Path(weights), name=architecture.name)
        return base
    options |= {"include_top": False, "input_shape": (side, side, 3)}
    if weights == IMAGENET:
        try:
            return build(weights="imagenet", **options)
        except Exception as error:  # Keras raises the bare class when the address cannot be reached.
            raise WeightsError(
                f"The ImageNet weights of {architecture.name} could not be downloaded ({error}). Fetch them where "
                "there is a network and pass the file with --weights, or train from random weights with "
                f"--weights {RANDOM}."
            ) from error
    base = build(weights=None, **options)
    if weights != RANDOM:
        _load_file(base, Path(weights), name=architecture.name)
    return base


def _load_file(base: keras.Model, path: Path, *, name: str) -> None:
    if not path.is_file():
        raise WeightsError(f"{path} does not exist. Give the headless weights of {name}, {IMAGENET} or {RANDOM}.")
    try:
        with warnings.catch_warnings():
            # Keras only warns when a layer is missing in the file, and leaves it random.
            warnings.simplefilter("error", UserWarning)
            base.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise WeightsError(
            f"{path} does not hold the headless weights of {name} at this width: {str(error).splitlines()[0]}"
        ) from error


def _freeze(base: keras.Model, *, last: str, train_normalisation: bool) -> None:
    frozen = last != FREEZE_NONE
    for layer in base.layers:
        is_normalisation = isinstance(layer, keras.layers.BatchNormalization)
        # In Keras 3 a frozen normalisation also runs in inference mode while the rest trains.
        layer.trainable = not frozen and (train_normalisation or not is_normalisation)
        frozen = frozen and layer.name != last


def _plain_cnn(shape: tuple[int, int, int], width: float) -> keras.Model:
    """Four stages of 3 x 3 convolution, normalisation, ReLU and 2 x 2 pooling, 16 to 128 channels."""
    image = keras.Input(shape)
    x = image
    for stage in range(1, 5):
        channels = max(4, round(8 * 2**stage * width))
        x = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"stage{stage}_conv")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"stage{stage}_norm")(x)
        x = keras.layers.ReLU(name=f"stage{stage}_relu")(x)
        x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    return keras.Model(image, x, name="plain-cnn")


_BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "mobilenetv2": keras.applications.MobileNetV2,
    "vgg16": keras.applications.VGG16,
    "resnet50": keras.applications.ResNet50,
    "inceptionv3": keras.applications.InceptionV3,
    "efficientnetb0": keras.applications.EfficientNetB0,
    "densenet121": keras.applications.DenseNet121,
    "plain-cnn": _plain_cnn,
}

_SCALINGS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "mobilenetv2": keras.applications.mobilenet_v2.preprocess_input,
    "vgg16": keras.applications.vgg16.preprocess_input,
    "resnet50": keras.applications.resnet50.preprocess_input,
    "inceptionv3": keras.applications.inception_v3.preprocess_input,
    "efficientnetb0": keras.applications.efficientnet.preprocess_input,
    "densenet121": keras.applications.densenet.preprocess_input,
    "plain-cnn": keras.applications.mobilenet_v2.preprocess_input,
}
