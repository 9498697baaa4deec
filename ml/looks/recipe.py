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
    """

    epochs: int = 14
    views: int = 9
    batch: int = 16
    learning_rate: float = 4e-4
    width: int = 32
    mask_weight: float = 1.0
    deep_supervision: float = 0.3
