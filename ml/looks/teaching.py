"""Distillation: a network learns what an ensemble of earlier ones says of the very views that it is shown.

The teachers see the same view with the same mixup as the pupil, over many epochs (Beyer et al., *Knowledge
distillation: a good teacher is patient and consistent*, CVPR 2022; the idea is Hinton et al., 2015). Each teacher, and
the network that training starts from, is the one of the same split of an earlier run: what teaches the network of a
fold has not seen that fold either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.data.readers import file_digest
from ml.data.records import DataError, ImageRecord
from ml.export import restore_network, restore_two_looks
from ml.logits import LogitTable, require_same_folds
from ml.looks.recipe import TwoLookRecipe
from ml.metrics import softmax
from ml.networks.two_looks import LOOKS, TwoLookNetwork
from ml.recipe import Recipe
from ml.runtime import TWO_LOOKS
from ml.storage import read_arrays, read_json

NETWORK = "network.npz"


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A finished run of the same images and folds, whose networks start or teach others.

    Attributes:
        folder: that ``python -m ml train`` wrote.
        recipe: of the run; a :class:`TwoLookRecipe`, or that of the one-look network of us-mobilenetv2 1.0.0.
        described: its ``run.json``.
    """

    folder: Path
    recipe: Recipe
    described: dict[str, Any]

    @classmethod
    def open(
        cls, folder: Path, *, records: Sequence[ImageRecord], recipe: TwoLookRecipe, weights_digest: str
    ) -> EarlierRun:
        """Read the run and check that it may serve.

        Args:
            folder: of the run.
            records: the images of the new run, in order.
            recipe: of the new run.
            weights_digest: SHA-256 of the headless weights of the new run.

        Raises:
            DataError: the run is unfinished, of other images or folds, or of another frozen part.
        """
        for name in ("run.json", "out-of-fold.csv"):
            if not (folder / name).is_file():
                raise DataError(f"{folder / name} does not exist. Finish the training of the folds first.")
        described = read_json(folder / "run.json")
        if described["images"] != [record.key for record in records]:
            raise DataError(f"{folder} was trained on other images. Pass the same --data in the same order.")
        try:
            require_same_folds(LogitTable.read(folder / "out-of-fold.csv"), records)
        except ValueError as error:
            raise DataError(
                f"{folder} was split otherwise, so its networks may have seen what is held out here. {error}"
            ) from error
        kind = TwoLookRecipe if described.get("kind") == TWO_LOOKS else Recipe
        own = kind.from_mapping(described["recipe"])
        frozen = (own.side, own.alpha, described["weights_sha256"])
        if frozen != (recipe.side, recipe.alpha, weights_digest):
            raise DataError(f"{folder} was trained on other headless weights, side or width. Use the same ones.")
        return cls(folder=folder, recipe=own, described=described)

    def identity(self) -> dict[str, Any]:
        """What identifies the run, for the record of the new one."""
        return {
            "run": self.folder.name,
            "command": self.described["command"],
            "seed": self.described["seed"],
            "recipe": self.described["recipe"],
            "out_of_fold_sha256": file_digest(self.folder / "out-of-fold.csv"),
        }

    def start(self, network: TwoLookNetwork, *, split: str) -> None:
        """Give a new network the weights of this run's network of the same split.

        Raises:
            DataError: this run has no such network, or one of another shape.
        """
        stored = read_arrays(self._network(split))
        values = [stored[name].astype(np.float32) for name in sorted(stored)]
        if [value.shape for value in values] != [tuple(weight.shape) for weight in network.full.weights]:
            raise DataError(f"{self.folder} holds networks of another shape. Start from a two-look run of this width.")
        network.full.set_weights(values)

    def teacher(self, split: str) -> tuple[keras.Model, tuple[str, ...]]:
        """The network of one split as a teacher: from ``cut`` and ``look`` to logits, and the looks it knows."""
        path = self._network(split)
        if isinstance(self.recipe, TwoLookRecipe):
            network = restore_two_looks(path, recipe=self.recipe)
            cut = keras.Input(network.trunk.input["cut"].shape[1:])
            look = keras.Input((1,))
            last = network.full.get_layer("upper")(cut, training=False)[-1]
            pooled = network.full.get_layer("embedding")(last)
            whole, close = (network.head(each)(pooled) for each in LOOKS)
            return keras.Model([cut, look], whole * (1 - look) + close * look), LOOKS
        return restore_network(path, recipe=self.recipe).trunk, LOOKS[:1]

    def _network(self, split: str) -> Path:
        path = self.folder / split / NETWORK
        if not path.is_file():
            raise DataError(f"{path} does not exist. Train {split} of that run first.")
        return path


class Teachers:
    """The mean of what several networks say of a batch of views."""

    def __init__(self, runs: Sequence[EarlierRun], *, split: str) -> None:
        """Restore each run's network of this split.

        Raises:
            DataError: a run has no such network, or no teacher knows the close look.
        """
        self._members = [run.teacher(split) for run in runs]
        for look in LOOKS:
            if not any(look in looks for _, looks in self._members):
                raise DataError(f"No teacher knows the {look} look. Add --teacher with a two-look run.")

    def probabilities(self, inputs: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Mean probabilities of the teachers that know the look, float32 (N, 3).

        Args:
            inputs: a batch as the trunk takes it: ``cut`` (N, h, w, C) and ``look`` (N, 1).
        """
        cut, look = inputs["cut"], inputs["look"]
        total = np.zeros((len(cut), len(LABELS)), np.float32)
        count = np.zeros((len(cut), 1), np.float32)
        for model, looks in self._members:
            known = np.isin(look[:, 0], [LOOKS.index(each) for each in looks])
            if not known.any():
                continue
            fed = [cut[known], look[known]] if len(looks) == len(LOOKS) else cut[known]
            total[known] += softmax(np.asarray(model.predict_on_batch(fed), np.float32))
            count[known] += 1
        return total / count
