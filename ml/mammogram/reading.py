"""The out-of-fold marks of every film of a run: what all figures are made of."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.calibrate import MALIGNANT
from ml.contract import LABELS
from ml.data.records import FOLDS, ImageRecord
from ml.mammogram.calibration import FilmCalibration, fit_platt
from ml.mammogram.film import CANVAS, CELL
from ml.mammogram.froc import NOTHING, MarkedFilm, lesions_hit
from ml.mammogram.marks import Spot, find_spots, smoothed
from ml.mammogram.refusals import READERS
from ml.mammogram.targets import Cell, TaughtFilm, cell_targets, read_taught_film
from ml.mammogram.training import SCORES_FILE
from ml.storage import read_arrays

FILM_SET = "mini-mias"
"""The collection with normal, benign and malignant films: the only one that image figures and calibration rest on."""

TISSUE_SAMPLES = 20
"""Tissue cells drawn from each film for the patch figure."""


@dataclass(frozen=True, slots=True)
class ReadFilm:
    """One film as a network saw it that was not trained on it.

    Attributes:
        record: where it comes from.
        spots: its strongest places, best first; at least one.
        on: index of the lesion that each spot lies on, or a code of :mod:`ml.mammogram.froc`.
        kinds: the collection's class of each lesion.
        sizes: diameter of a disc of each lesion's area, canvas pixels.
        placed: whether all its findings have a place, so that marks can be counted.
        lesion_patches: smoothed first logit at the centre of each lesion that lies on tissue.
        tissue_patches: the same at random tissue cells.
        cells: smoothed first logit of tissue cells, float32 (T,).
        lesion_cells: whether each of those cells is at least half lesion, bool (T,).
        centre_hit: whether the centre of the breast lies on a lesion.
    """

    record: ImageRecord
    spots: tuple[Spot, ...]
    on: NDArray[np.intp]
    kinds: tuple[str, ...]
    sizes: tuple[float, ...]
    placed: bool
    lesion_patches: NDArray[np.float64]
    tissue_patches: NDArray[np.float64]
    cells: NDArray[np.float32]
    lesion_cells: NDArray[np.bool_]
    centre_hit: bool

    def marked(self, calibration: FilmCalibration) -> MarkedFilm:
        """Its marks with calibrated scores, for a free-response curve."""
        scores = calibration.mark(np.array([spot.finding for spot in self.spots]))
        return MarkedFilm(scores=scores, on=self.on, lesions=len(self.kinds), group=self.record.leak_group)

    def energy_share(self, calibration: FilmCalibration) -> float:
        """Share of the lesion probability over all tissue that lies on lesions, 0-1."""
        chance = calibration.mark(self.cells)
        return float(chance[self.lesion_cells].sum() / chance.sum())


def read_run(run: Path, records: Sequence[ImageRecord]) -> dict[bool, list[ReadFilm]]:
    """Read every film of a finished run.

    Args:
        run: folder with ``fold-<k>/scores.npz``.
        records: the films of the run.

    Returns:
        the films with the pectoral muscle kept (``False``), and with it left out where it is found (``True``).

    Raises:
        ValueError: a film has no scores.
    """
    scores: dict[str, NDArray[np.float32]] = {}
    for fold in range(FOLDS):
        path = run / f"fold-{fold}" / SCORES_FILE
        if path.is_file():
            scores |= read_arrays(path)
    missing = [record.key for record in records if record.key not in scores]
    if missing:
        raise ValueError(
            f"{run} has no scores of {len(missing)} films, such as {missing[0]}. Finish the training first."
        )
    films: dict[bool, list[ReadFilm]] = {False: [], True: []}
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        for number, taught in enumerate(tqdm(pool.map(read_taught_film, records), total=len(records), desc="films")):
            for without_muscle, into in films.items():
                random = np.random.default_rng(number)
                scored = scores[taught.record.key]
                into.append(_read(taught, scored, random, without_muscle=without_muscle))
    return films


def _read(
    taught: TaughtFilm, scores: NDArray[np.float32], random: np.random.Generator, *, without_muscle: bool
) -> ReadFilm:
    tissue = taught.film.tissue(without_muscle=without_muscle)
    if not tissue.any():
        tissue = taught.film.tissue(without_muscle=False)
    smooth = smoothed(scores, tissue)[..., 0]
    spots = find_spots(scores, tissue)
    cells = cell_targets(taught)
    lesion_cells = cells >= Cell.BENIGN
    quiet = smooth[(cells == Cell.TISSUE) & tissue]
    centres = [(min(int(lesion.row / CELL), 47), min(int(lesion.column / CELL), 31)) for lesion in taught.lesions]
    centre = _centre_spot(taught)
    return ReadFilm(
        record=taught.record,
        spots=spots,
        on=lesions_hit(spots, taught.lesions, taught.unclear),
        kinds=tuple(lesion.kind for lesion in taught.lesions),
        sizes=tuple(2 * float(lesion.mask.sum() / np.pi) ** 0.5 for lesion in taught.lesions),
        placed=not taught.unplaced,
        lesion_patches=np.array([smooth[place] for place in centres if tissue[place]], np.float64),
        tissue_patches=random.choice(quiet, min(TISSUE_SAMPLES, len(quiet)), replace=False).astype(np.float64),
        cells=smooth[tissue],
        lesion_cells=lesion_cells[tissue],
        centre_hit=bool((lesions_hit([centre], taught.lesions, taught.unclear) >= 0).any()),
    )


def _centre_spot(taught: TaughtFilm) -> Spot:
    """The centre of the breast, where a guesser would point."""
    area = taught.film.breast & ~taught.film.muscle
    rows, columns = np.nonzero(area if area.any() else np.ones(CANVAS, bool))
    return Spot(row=float(rows.mean()) + 0.5, column=float(columns.mean()) + 0.5, radius=CELL, finding=0, malignant=0)


def fit_calibration(films: Sequence[ReadFilm]) -> FilmCalibration:
    """The scalings that fit these films; those of :data:`FILM_SET` alone are used."""
    own = [film for film in films if film.record.source == FILM_SET]
    finding = np.array([film.spots[0].finding for film in own])
    malignant = np.array([film.spots[0].malignant for film in own])
    labels = np.array([film.record.label_index for film in own])
    abnormal = labels != LABELS.index("normal")
    placed = [film for film in own if film.placed]
    marks = np.array([spot.finding for film in placed for spot in film.spots])
    hits = np.concatenate([film.on for film in placed]) > NOTHING
    return FilmCalibration(
        film=fit_platt(finding, abnormal),
        grave=fit_platt(malignant[abnormal], labels[abnormal] == MALIGNANT),
        mark=fit_platt(marks, hits),
    )


def cross_fitted(films: Sequence[ReadFilm]) -> dict[int, FilmCalibration]:
    """For each fold the scalings that fit the films of the other folds."""
    folds = sorted({film.record.fold for film in films})
    return {fold: fit_calibration([film for film in films if film.record.fold != fold]) for fold in folds}
