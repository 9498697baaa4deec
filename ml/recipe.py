"""How a network is trained: every number in one place, written beside the weights it produced."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml


@dataclass(frozen=True, slots=True)
class Recipe:
    """The training recipe.

    The values were chosen before any result on the reported folds was seen and are the same for every fold.

    Attributes:
        side: side of the input, pixels.
        alpha: width multiplier of MobileNetV2.
        dropout: rate before the head.
        epochs: passes over the training images; fixed, no early stopping.
        views: augmented views made of each image; each epoch shows one of them.
        batch: images per step.
        learning_rate: peak of the cosine schedule (Adam with decoupled weight decay).
        warmup_epochs: epochs of linear rise to the peak.
        weight_decay: decoupled weight decay.
        label_smoothing: share of the target spread over all labels (Szegedy et al., 2016).
        mixup: parameter of the Beta distribution of mixup, on the frozen features (Verma et al., 2019); 0 is off.
        average: momentum of the moving average of the weights that is kept at the end; 0 is off.
        balance: images weigh (images of their source and label) ** -balance; 0 is none, 1 is full balance.
    """

    side: int = 224
    alpha: float = 1.0
    dropout: float = 0.3
    epochs: int = 24
    views: int = 24
    batch: int = 32
    learning_rate: float = 2e-4
    warmup_epochs: float = 1.0
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    mixup: float = 0.2
    average: float = 0.99
    balance: float = 0.5

    def __post_init__(self) -> None:
        if self.side % 32 or self.side < 32:
            raise ValueError(f"side must be a positive multiple of 32, not {self.side}.")
        for name in ("epochs", "views", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("dropout", "label_smoothing", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), not {getattr(self, name)}.")

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> Self:
        """Build a recipe from named values; the others keep their defaults.

        Raises:
            ValueError: an unknown name, or a value of the wrong type or range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields))
        if unknown:
            raise ValueError(f"Unknown recipe entry {unknown[0]!r}. Known: {', '.join(sorted(fields))}.")
        typed: dict[str, int | float] = {}
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name} must be a number, not {value!r}.")
            whole = fields[name].type == "int"
            if whole and not float(value).is_integer():
                raise ValueError(f"{name} must be a whole number, not {value!r}.")
            typed[name] = int(value) if whole else float(value)
        return cls(**typed)  # type: ignore[arg-type]

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read a YAML mapping such as ``{epochs: 12, learning_rate: 0.0001}``; see :meth:`from_mapping`."""
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        if not isinstance(values, dict):
            raise ValueError(f"{path} must hold a mapping of recipe entries.")
        return cls.from_mapping(values)

    def as_dict(self) -> dict[str, int | float]:
        return dataclasses.asdict(self)
