"""How the detector is trained: every number in one place, written beside the weights it produced."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DetectorRecipe:
    """The training recipe; fixed before any result on the reported folds was seen, the same for every fold.

    Attributes:
        epochs: number of epochs of fine-tuning; fixed, no early stopping; 0 leaves the probe as it is.
        steps: batches of one epoch.
        views: augmented views made of each film; a batch draws from them at random.
        window: side of a training window, cells of the score map; even.
        lesion_windows, tissue_windows: windows of each collection in a batch, placed on a lesion or on tissue.
        learning_rate: peak of the cosine schedule (Adam with decoupled weight decay).
        warmup: share of all steps in which the rate rises to its peak.
        weight_decay: decoupled weight decay.
        dropout: rate before the head.
        average: momentum of the moving average of the weights that is kept at the end.
        focus: exponent of the focal loss (Lin et al., ICCV 2017): it mines the hard cells among all tissue cells.
        malignancy: weight of the second output's loss.
        shrinkage, malignancy_shrinkage: of the probe's two outputs, see :func:`ml.mammogram.probe.fit_heads`.
    """

    epochs: int = 3
    steps: int = 30
    views: int = 5
    window: int = 16
    lesion_windows: int = 3
    tissue_windows: int = 3
    learning_rate: float = 1e-4
    warmup: float = 0.08
    weight_decay: float = 0.01
    dropout: float = 0.3
    average: float = 0.97
    focus: float = 2.0
    malignancy: float = 0.3
    shrinkage: float = 0.3
    malignancy_shrinkage: float = 0.8

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs must not be negative, not {self.epochs}.")
        for name in ("steps", "views", "lesion_windows", "tissue_windows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.window < 6 or self.window % 2:
            raise ValueError(f"window must be an even number of at least 6 cells, not {self.window}.")
        for name in ("dropout", "average", "warmup", "shrinkage", "malignancy_shrinkage"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), not {getattr(self, name)}.")

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> DetectorRecipe:
        """Build a recipe from named values; the others keep their defaults.

        Raises:
            ValueError: an unknown name, or a value of the wrong type or range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields))
        if unknown:
            raise ValueError(f"Unknown recipe entry {unknown[0]!r}. Known: {', '.join(sorted(fields))}.")
        for name, value in values.items():
            whole = fields[name].type == "int"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise ValueError(f"{name} must be a {'whole ' if whole else ''}number, not {value!r}.")
        return cls(**values)  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, int | float]:
        return dataclasses.asdict(self)
