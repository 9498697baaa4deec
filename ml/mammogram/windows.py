"""Batches of windows: which piece of which film is shown, and what each of its cells weighs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ml.data.records import DataError
from ml.mammogram.film import CELL
from ml.mammogram.network import STEM_STRIDE
from ml.mammogram.recipe import DetectorRecipe
from ml.mammogram.targets import Cell
from ml.mammogram.views import PLAIN, FilmViews

RIM = 2
"""Cells along a window's edge that are not taught: there the network sees the window's padding, not tissue."""

_RATIO = CELL // STEM_STRIDE

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


class Windows:
    """Endless random windows of the films that may be trained on.

    Every collection gives the same number of windows on lesions and on tissue to every batch, and in every batch its
    lesion cells together weigh what its tissue cells weigh. So a cell's collection says nothing about its target:
    CDD-CESM shows malignant films only, and a network that could tell the collection would otherwise be paid for it.
    """

    def __init__(
        self, views: FilmViews, *, sources: Sequence[str], films: NDArray[np.intp], recipe: DetectorRecipe
    ) -> None:
        """Collect the films of each kind.

        Args:
            views: of all films.
            sources: collection of each film.
            films: indices of the films that may be trained on.
            recipe: windows of each kind and their side.
        """
        self._views, self._recipe = views, recipe
        self._with_lesion: dict[str, list[NDArray[np.intp]]] = {}
        self._with_tissue: dict[str, NDArray[np.intp]] = {}
        for source in sorted({sources[film] for film in films}):
            own = np.array([film for film in films if sources[film] == source], dtype=np.intp)
            plain = views.targets[own, PLAIN].reshape(len(own), -1)
            by_kind = [own[(plain == kind).any(axis=1)] for kind in (Cell.BENIGN, Cell.MALIGNANT)]
            self._with_lesion[source] = [kind for kind in by_kind if len(kind)]
            self._with_tissue[source] = own[(plain == Cell.TISSUE).any(axis=1)]
            if not len(self._with_tissue[source]):
                raise DataError(f"No film of {source} shows tissue to train on. Check its masks and folds.")
        if not any(self._with_lesion.values()):
            raise DataError("No film shows a lesion to train on. Check the masks and abnormalities.")

    def batches(self, count: int, random: np.random.Generator) -> Iterator[Batch]:
        """``count`` batches: features float32 (N, s, s, C), targets and weights float32 (N, w, w, 4)."""
        for _ in range(count):
            yield self._batch(random)

    def _batch(self, random: np.random.Generator) -> Batch:
        features, truths, sources = [], [], []
        for source, kinds in self._with_lesion.items():
            for number in range(self._recipe.lesion_windows if kinds else 0):
                # Benign and malignant lesions take turns, whatever their numbers.
                film = int(random.choice(kinds[number % len(kinds)]))
                piece, cells = self._window(film, (Cell.BENIGN, Cell.MALIGNANT), random)
                features.append(piece)
                truths.append(cells)
                sources.append(source)
            for _ in range(self._recipe.tissue_windows):
                film = int(random.choice(self._with_tissue[source]))
                piece, cells = self._window(film, (Cell.TISSUE,), random)
                features.append(piece)
                truths.append(cells)
                sources.append(source)
        return np.stack(features), cell_weights(np.stack(truths), sources)

    def _window(
        self, film: int, wanted: Sequence[Cell], random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """A window that holds a cell of a wanted kind off its rim; of another view where this one moved it out."""
        side = self._recipe.window
        for view in (int(random.integers(1, 1 + self._recipe.views)), PLAIN):
            grid = self._views.targets[film, view]
            places = np.argwhere(np.isin(grid, wanted))
            if len(places):
                break
        place = places[random.integers(len(places))]
        corner = place - random.integers(RIM, side - RIM, 2)
        # Windows start at even cells, where a cell of stride 32 starts.
        top, left = (2 * (int(np.clip(at, 0, size - side)) // 2) for at, size in zip(corner, grid.shape, strict=True))
        cells = grid[top : top + side, left : left + side].copy()
        keep = np.zeros(cells.shape, bool)
        keep[
            0 if top == 0 else RIM : side if top + side == grid.shape[0] else side - RIM,
            0 if left == 0 else RIM : side if left + side == grid.shape[1] else side - RIM,
        ] = True
        cells[~keep] = Cell.IGNORED
        rows = slice(top * _RATIO, (top + side) * _RATIO)
        columns = slice(left * _RATIO, (left + side) * _RATIO)
        return np.asarray(self._views.features[film, view, rows, columns], np.float32), cells


def cell_weights(cells: NDArray[np.uint8], sources: Sequence[str]) -> NDArray[np.float32]:
    """Targets and weights of a batch.

    Args:
        cells: :class:`ml.mammogram.targets.Cell`, uint8 (N, h, w).
        sources: collection of each window.

    Returns:
        float32 (N, h, w, 4): target and weight of *finding*, target and weight of *malignant*. The weights of *finding*
        sum to N: half of each collection's share for lesion, split evenly among the windows that show one, half for
        tissue, split evenly among its cells. *Malignant* is taught on lesion cells of collections that hold both
        kinds alone, half for each kind.
    """
    lesion = cells >= Cell.BENIGN
    grave = cells == Cell.MALIGNANT
    weight = np.zeros(cells.shape, np.float32)
    grave_weight = np.zeros(cells.shape, np.float32)
    names = np.asarray(sources)
    share = len(cells) / len(set(sources)) / 2
    for source in sorted(set(sources)):
        own = (names == source)[:, None, None]
        for kind in (lesion & own, (cells == Cell.TISSUE) & own):
            weight[kind] = share * _even(kind)[kind]
        benign, malignant = lesion & ~grave & own, grave & own
        if benign.any() and malignant.any():
            for kind in (benign, malignant):
                grave_weight[kind] = share * _even(kind)[kind]
    return np.stack([lesion, weight, grave, grave_weight], axis=-1).astype(np.float32)


def _even(kind: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights that sum to 1 over the chosen cells and are the same in sum for every window that has any."""
    per_window = kind.sum(axis=(1, 2))
    filled = int((per_window > 0).sum())
    each = np.divide(1.0, per_window * filled, out=np.zeros(len(kind)), where=per_window > 0)
    return np.broadcast_to(each[:, None, None], kind.shape)
