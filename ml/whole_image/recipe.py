"""The recipe language: one YAML file says everything about how a network of the zoo is trained.

Read strictly: an unknown entry, a wrong type or a value out of range is an error that names the entry and what is
allowed. Loads no framework.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ml.contract import LABELS
from ml.networks.catalogue import ARCHITECTURES

TASKS: Mapping[str, tuple[str, ...]] = {"labels": LABELS, "abnormal": ("normal", "abnormal")}
"""What is told apart: the three labels, or normal against the two others. The names are the classes in order."""


class RecipeError(ValueError):
    """A recipe cannot be used; the message names the entry and what is allowed."""


@dataclass(frozen=True, slots=True)
class Head:
    """Pooling, optional dense layer, dropout, softmax.

    Attributes:
        pooling: ``average`` or ``max``.
        dense: units of the ReLU layer; 0 is none.
        dropout: rate before the logits, 0-1.
    """

    pooling: str = "average"
    dense: int = 0
    dropout: float = 0.3

    def __post_init__(self) -> None:
        _one_of("head.pooling", self.pooling, ("average", "max"))
        _within("head.dense", self.dense, 0, 4096)
        _within("head.dropout", self.dropout, 0, 0.95)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What a random view of an image may change. 0 turns a change off.

    Attributes:
        views: random views made of each image; each epoch shows one of them. 0 shows the image itself.
        zoom: magnification up to 1 + zoom and down to 1 / (1 + zoom).
        stretch: width against height by up to 1 + stretch and down to 1 / (1 + stretch).
        flip: probability of a left-right flip.
        shear: largest shear, degrees.
        rotation: largest rotation, degrees.
        shift: largest shift, share of the side.
        gain: largest relative change of gain; gamma changes as much.
        speckle: largest deviation of multiplicative noise.
        shadow: probability of an acoustic shadow.
        jpeg: probability of a JPEG compression of quality 40-94.
        mixup: parameter of the Beta distribution of mixup (Zhang et al., ICLR 2018), at the input of what is trained.
    """

    views: int = 4
    zoom: float = 0.15
    stretch: float = 0.0
    flip: float = 0.5
    shear: float = 0.0
    rotation: float = 10.0
    shift: float = 0.05
    gain: float = 0.2
    speckle: float = 0.0
    shadow: float = 0.0
    jpeg: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        bounds = {
            "views": 256,
            "zoom": 1,
            "stretch": 1,
            "shear": 45,
            "rotation": 180,
            "shift": 0.5,
            "gain": 0.9,
            "mixup": 10,
        }
        for entry in dataclasses.fields(self):
            _within(f"augmentation.{entry.name}", getattr(self, entry.name), 0, bounds.get(entry.name, 1))


@dataclass(frozen=True, slots=True)
class Training:
    """How the weights are fitted: Adam on categorical cross-entropy.

    Attributes:
        epochs: most passes over the training images.
        show: ``one`` view of each image in each epoch, in turn, or ``all`` of its views, the plain one too.
        batch: images a step.
        learning_rate: peak rate of Adam.
        schedule: ``constant``, or ``cosine`` (linear rise over the first epoch, then half a cosine to 0).
        label_smoothing: share of the target spread over all classes.
        class_weights: ``balanced`` (every class weighs the same) or ``none``.
        validation: share of the training groups set aside for the curve and early stopping; never the reported fold.
        patience: epochs without a lower validation loss after which training stops and the best weights return;
            0 trains all epochs and keeps the last weights.
        least_fall: share of the first epoch's training loss that must be gone after the last epoch. A training that
            fell less learnt nothing, as happens at high rates, and is begun again from the next seed; judged on
            training images alone. 0 keeps every training.
        restarts: how often a training is begun again at most.
    """

    epochs: int = 10
    show: str = "one"
    batch: int = 32
    learning_rate: float = 1e-3
    schedule: str = "constant"
    label_smoothing: float = 0.0
    class_weights: str = "balanced"
    validation: float = 0.15
    patience: int = 0
    least_fall: float = 0.0
    restarts: int = 0

    def __post_init__(self) -> None:
        _within("training.epochs", self.epochs, 1, 10_000)
        _one_of("training.show", self.show, ("one", "all"))
        _within("training.batch", self.batch, 1, 4096)
        _within("training.learning_rate", self.learning_rate, 1e-8, 1)
        _one_of("training.schedule", self.schedule, ("constant", "cosine"))
        _within("training.label_smoothing", self.label_smoothing, 0, 0.5)
        _one_of("training.class_weights", self.class_weights, ("balanced", "none"))
        _within("training.validation", self.validation, 0, 0.5)
        _within("training.patience", self.patience, 0, 10_000)
        _within("training.least_fall", self.least_fall, 0, 0.99)
        _within("training.restarts", self.restarts, 0, 10)
        if bool(self.least_fall) != bool(self.restarts):
            raise RecipeError("training.least_fall and training.restarts belong together: set both, or neither.")
        if self.patience and not self.validation:
            raise RecipeError("training.patience needs training.validation above 0: early stopping must watch images.")


@dataclass(frozen=True, slots=True)
class WholeImageRecipe:
    """The whole recipe.

    Attributes:
        network: name in the catalogue.
        side: side of the letterboxed input, pixels.
        width: width multiplier, for networks that have one.
        task: key of :data:`TASKS`.
        weights: ``none``, ``imagenet`` or the path of headless weights; ``--weights`` replaces it.
        freeze: ``all`` of the base, ``none``, or the last frozen layer (one of the network's cuts).
        batch_norm: ``frozen`` (inference mode; needed with folded weights) or ``train``.
        rates: learning-rate factor by beginning of a layer's name, or ``head``.
        head, augmentation, training: see there.
    """

    network: str
    side: int = 224
    width: float = 1.0
    task: str = "labels"
    weights: str = "none"
    freeze: str = "none"
    batch_norm: str = "frozen"
    rates: Mapping[str, float] = field(default_factory=dict)
    head: Head = field(default_factory=Head)
    augmentation: Augmentation = field(default_factory=Augmentation)
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        _one_of("network", self.network, tuple(ARCHITECTURES))
        architecture = ARCHITECTURES[self.network]
        _within("side", self.side, architecture.smallest_side, 1024)
        if self.side % architecture.step:
            raise RecipeError(f"side must be a multiple of {architecture.step} for {self.network}, not {self.side}.")
        _within("width", self.width, 0.1, 2)
        if self.width != 1 and not architecture.has_width:
            raise RecipeError(f"width must be 1 for {self.network}, not {self.width:g}.")
        _one_of("task", self.task, tuple(TASKS))
        if self.weights == "imagenet" and not architecture.has_imagenet:
            raise RecipeError(f"weights: there are no ImageNet weights of {self.network}. Use none or a path.")
        _one_of("freeze", self.freeze, ("none", "all", *architecture.cuts))
        _one_of("batch_norm", self.batch_norm, ("frozen", "train"))
        for name, factor in self.rates.items():
            _within(f"rates.{name}", factor, 0, 100)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return TASKS[self.task]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> WholeImageRecipe:
        """Build a recipe from nested mappings; what is not named keeps its default.

        Raises:
            RecipeError: an unknown entry, a wrong type or a value out of range.
        """
        return typing.cast(WholeImageRecipe, _read(cls, values, where=""))

    @classmethod
    def from_yaml(cls, path: Path) -> WholeImageRecipe:
        """Read a YAML file; see :meth:`from_mapping`. The error names the file."""
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise RecipeError(f"{path} is not YAML: {str(error).splitlines()[0]}.") from error
        if not isinstance(values, dict):
            raise RecipeError(f"{path} must hold a mapping of recipe entries.")
        try:
            return cls.from_mapping(values)
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from error

    def as_dict(self) -> dict[str, Any]:
        """The recipe as nested plain values; :meth:`from_mapping` reads them back."""
        return {**dataclasses.asdict(self), "rates": dict(self.rates)}


def positive_class(classes: Sequence[str]) -> int:
    """Index of the class that an AUC is about: malignant, or abnormal."""
    return next(index for index, name in enumerate(classes) if name in ("malignant", "abnormal"))


def _read(cls: type, values: object, *, where: str) -> object:
    if not isinstance(values, Mapping):
        raise RecipeError(f"{where.rstrip('.')} must be a mapping of entries, not {values!r}.")
    hints = typing.get_type_hints(cls)
    entries = {entry.name: entry for entry in dataclasses.fields(cls)}
    for name in values:
        if name not in entries:
            raise RecipeError(f"Unknown entry {where}{name!s}. Allowed: {', '.join(sorted(entries))}.")
    required = [
        name
        for name, entry in entries.items()
        if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
    ]
    for name in required:
        if name not in values:
            raise RecipeError(f"The entry {where}{name} is missing.")
    typed = {name: _typed(hints[name], value, where=f"{where}{name}") for name, value in values.items()}
    return cls(**typed)


def _typed(kind: Any, value: object, *, where: str) -> object:
    if dataclasses.is_dataclass(kind):
        return _read(typing.cast(type, kind), value, where=f"{where}.")
    if kind is str:
        if not isinstance(value, str):
            raise RecipeError(f"{where} must be text, not {value!r}.")
        return value
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise RecipeError(f"{where} must be a whole number, not {value!r}.")
        return value
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise RecipeError(f"{where} must be a number, not {value!r}.")
        return float(value)
    if not isinstance(value, Mapping):
        raise RecipeError(f"{where} must be a mapping from names to numbers, not {value!r}.")
    return {str(name): _typed(float, number, where=f"{where}.{name}") for name, number in value.items()}


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RecipeError(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RecipeError(f"{name} must lie between {low:g} and {high:g}, not {value:g}.")
