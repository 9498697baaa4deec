"""How the two-look network is trained: every number in one place, written beside the weights it produced."""

from __future__ import annotations

from dataclasses import dataclass

from ml.recipe import Recipe


@dataclass(frozen=True, slots=True)
class TwoLookRecipe(Recipe):
    """The training recipe; see :class:`ml.recipe.Recipe` for the entries that both kinds of network share.

    The values were chosen before any result on the reported folds was seen and are the same for every fold.

    Attributes:
        views: augmented views made of each image and look; each epoch shows one of each.
        batch: images per step; each is shown whole and close, so a step sees twice as many views.
        width: channels of each branch of the decoder.
        mask_weight: weight of the finest mask's loss beside the classification's.
        deep_supervision: weight of each coarser mask's loss.
        clear: squares free of lesion that are cut of each image; they are shown as normal tissue.
        clear_share: share of the views of either look that such a square stands in for, where the image has one.
        teaching: share of the target that the teachers give instead of the label; see :mod:`ml.looks.teaching`.
    """

    epochs: int = 14
    views: int = 9
    batch: int = 16
    learning_rate: float = 4e-4
    width: int = 32
    mask_weight: float = 1.0
    deep_supervision: float = 0.3
    clear: int = 0
    clear_share: float = 0.0
    teaching: float = 0.0

    def __post_init__(self) -> None:
        Recipe.__post_init__(self)
        if self.clear < 0:
            raise ValueError(f"clear must be at least 0, not {self.clear}.")
        for name in ("clear_share", "teaching"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), not {getattr(self, name)}.")
        if bool(self.clear) != bool(self.clear_share):
            raise ValueError("clear and clear_share are given together, or neither.")
