"""The networks of a run's folds, asked only about images that they never saw."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.data.records import FOLDS, DataError, ImageRecord
from ml.evaluate import Calibration, judge_nested
from ml.export import restore_network, restore_two_looks
from ml.images import Letterbox, network_input
from ml.logits import LogitTable
from ml.looks.reading import LookForward, Reading, first_look
from ml.looks.recipe import TwoLookRecipe
from ml.looks.training import NETWORK, run_graph
from ml.networks.two_looks import explained_two_looks
from ml.recipe import Recipe
from ml.runtime import TWO_LOOKS
from ml.storage import read_json

_AT_ONCE = 32
"""Canvases of one forward pass."""


class _Folds(ABC):
    """The networks of a finished run's folds.

    Attributes:
        run: the folder that ``python -m ml train`` wrote.
        described: its ``run.json``.
    """

    def __init__(self, run: Path, records: Sequence[ImageRecord]) -> None:
        """Check that the run is complete and of these records, in this order.

        Raises:
            DataError: it is not.
        """
        self.run = run
        for name in ("run.json", "out-of-fold.csv", *(f"fold-{fold}/{NETWORK}" for fold in range(FOLDS))):
            if not (run / name).is_file():
                raise DataError(f"{run / name} does not exist. Finish the training of the folds first.")
        self.described = read_json(run / "run.json")
        if self.described["images"] != [record.key for record in records]:
            raise DataError(f"{run} was trained on other images. Pass the same --data in the same order.")
        self._graphs: dict[int, keras.Model] = {}
        self._calibrations: dict[int, Calibration] = {}

    @abstractmethod
    def logits(self, fold: int, greys: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Raw logits (N, looks, labels) of images, uint8 (H, W) each, by the network that never saw this fold."""

    def probabilities(self, greys: Sequence[NDArray[np.uint8]], records: Sequence[ImageRecord]) -> NDArray[np.float64]:
        """Calibrated probabilities (N, labels) by each record's fold network, fused as the other folds say.

        Args:
            greys: uint8 (H, W) each: the records' images, or a version of them.
            records: say which fold's network to ask.
        """
        if not self._calibrations:
            _, self._calibrations = judge_nested(LogitTable.read(self.run / "out-of-fold.csv"))
        found = np.zeros((len(greys), len(LABELS)))
        for fold in sorted({record.fold for record in records}):
            own = [place for place, record in enumerate(records) if record.fold == fold]
            found[own] = self._calibrations[fold].probabilities(self.logits(fold, [greys[place] for place in own]))
        return found


class OneLookFolds(_Folds):
    """Networks of one look at the whole image, as us-mobilenetv2 1.0.0 had them: to compare with, not to ship."""

    def logits(self, fold: int, greys: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """See :meth:`_Folds.logits`; one look."""
        recipe = Recipe.from_mapping(self.described["recipe"])
        if fold not in self._graphs:
            self._graphs[fold] = restore_network(self.run / f"fold-{fold}" / NETWORK, recipe=recipe).full
        found = []
        for start in range(0, len(greys), _AT_ONCE):
            canvases = [
                Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=recipe.side).place(grey)
                for grey in greys[start : start + _AT_ONCE]
            ]
            pixels = np.concatenate([network_input(canvas) for canvas in canvases])
            found.append(np.asarray(self._graphs[fold].predict_on_batch(pixels), np.float64))
        return np.concatenate(found)[:, None]


class FoldNetworks(_Folds):
    """Two-look networks. Each is restored when it is first needed and then kept.

    Attributes:
        recipe: of the run.
    """

    def __init__(self, run: Path, records: Sequence[ImageRecord]) -> None:
        """See :class:`_Folds`."""
        super().__init__(run, records)
        self.recipe = TwoLookRecipe.from_mapping(self.described["recipe"])

    def logits(self, fold: int, greys: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """See :meth:`_Folds.logits`; the whole look, then the close one."""
        return np.array([[each.whole_logits, each.close_logits] for each in self.read(fold, greys)], np.float64)

    def forward(self, fold: int, canvases: Sequence[NDArray[np.uint8]]) -> list[LookForward]:
        """What the network that never saw this fold says of canvases, uint8 (S, S) each."""
        if fold not in self._graphs:
            network = restore_two_looks(self.run / f"fold-{fold}" / NETWORK, recipe=self.recipe)
            self._graphs[fold] = explained_two_looks(network)
        found: list[LookForward] = []
        for start in range(0, len(canvases), _AT_ONCE):
            pixels = np.concatenate([network_input(canvas) for canvas in canvases[start : start + _AT_ONCE]])
            found += run_graph(self._graphs[fold], pixels)
        return found

    def read(self, fold: int, greys: Sequence[NDArray[np.uint8]]) -> list[Reading]:
        """Both looks, as served, at images of one fold, uint8 (H, W) each."""
        side = self.recipe.side
        boxes = [Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=side) for grey in greys]
        whole = self.forward(fold, [box.place(grey) for box, grey in zip(boxes, greys, strict=True)])
        firsts = [first_look(box, each) for box, each in zip(boxes, whole, strict=True)]
        squares = [first.square.place(grey, side=side) for first, grey in zip(firsts, greys, strict=True)]
        return [
            Reading(first=first, second=second)
            for first, second in zip(firsts, self.forward(fold, squares), strict=True)
        ]


def open_folds(run: Path, records: Sequence[ImageRecord]) -> FoldNetworks | OneLookFolds:
    """The fold networks of a run, whichever kind they are.

    Raises:
        DataError: the run is unfinished or of other images.
    """
    found = OneLookFolds(run, records)
    return FoldNetworks(run, records) if found.described.get("kind") == TWO_LOOKS else found
