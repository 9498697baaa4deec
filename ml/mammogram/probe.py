"""The detector's linear heads fitted on frozen features, before anything is fine-tuned.

A head that starts at random pulls the layers below it about while it settles. One that starts from its own optimum
leaves them what they know (Kumar et al., "Fine-tuning can distort pretrained features and underperform
out-of-distribution", ICLR 2022: linear probing, then fine-tuning). The probe on its own is also the baseline that
fine-tuning has to beat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.data.records import DataError
from ml.mammogram.network import Detector, head_features
from ml.mammogram.targets import Cell
from ml.mammogram.views import FilmViews
from ml.storage import read_arrays, write_arrays

LESION_CELLS, TISSUE_CELLS = 12, 30
"""Cells drawn from each view of a film."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Cells with what the head sees of them.

    Attributes:
        films: index of the film of each cell (R,).
        kinds: :class:`ml.mammogram.targets.Cell` (R,).
        features: float16 (R, D): the last convolution, enlarged, beside the features of stride 16.
    """

    films: NDArray[np.intp]
    kinds: NDArray[np.uint8]
    features: NDArray[np.float16]


def draw_samples(detector: Detector, views: FilmViews, *, chosen: Sequence[int], seed: int, path: Path) -> Samples:
    """Draw cells of every film and carry them up to the head; what ``path`` holds already is read.

    Args:
        detector: with the ImageNet weights that fine-tuning starts from.
        views: of all films.
        chosen: views that are used.
        seed: of the drawing.
        path: where the cells are kept.
    """
    if path.is_file():
        return Samples(**read_arrays(path))
    tapped = head_features(detector)
    films: list[int] = []
    kinds, features = [], []
    for film in tqdm(range(len(views.features)), desc="probe"):
        for view in chosen:
            cells = views.targets[film, view].ravel()
            random = np.random.default_rng([seed, film, view])
            lesion, tissue = np.flatnonzero(cells >= Cell.BENIGN), np.flatnonzero(cells == Cell.TISSUE)
            drawn = np.concatenate(
                [
                    random.choice(lesion, min(LESION_CELLS, len(lesion)), replace=False),
                    random.choice(tissue, min(TISSUE_CELLS, len(tissue)), replace=False),
                ]
            )
            if not len(drawn):
                continue
            frozen = np.asarray(views.features[film, view], np.float32)[None]
            deep, fine = tapped.predict_on_batch(frozen)
            seen = np.concatenate([deep[0], fine[0]], axis=-1).reshape(len(cells), -1)
            films += [film] * len(drawn)
            kinds.append(cells[drawn])
            features.append(seen[drawn].astype(np.float16))
    samples = Samples(np.array(films, np.intp), np.concatenate(kinds), np.concatenate(features))
    write_arrays(path, {"films": samples.films, "kinds": samples.kinds, "features": samples.features})
    return samples


@dataclass(frozen=True, slots=True)
class Moments:
    """First and second moments of the features by fold, collection and kind, from which any split's heads follow.

    Attributes:
        centre: subtracted from all features before anything is summed (D,).
        sums: for (fold, source, kind) the number of films, the sum over films of the mean feature (D,) and of the mean
            outer product (D, D), each film's mean taken over its cells of the kind: a large lesion counts as one.
    """

    centre: NDArray[np.float64]
    sums: Mapping[tuple[int, str, Cell], tuple[int, NDArray[np.float64], NDArray[np.float32]]]

    def of(self, folds: Sequence[int], sources: Sequence[str], kinds: Sequence[Cell]) -> _Class | None:
        """Mean and mean outer product of a class, every collection counting alike; ``None`` where one has none."""
        means, products = [], []
        for source in sources:
            parts = [
                self.sums[fold, source, kind] for fold in folds for kind in kinds if (fold, source, kind) in self.sums
            ]
            films = sum(count for count, _, _ in parts)
            if not films:
                return None
            means.append(np.sum([total for _, total, _ in parts], axis=0) / films)
            products.append(np.sum([outer for _, _, outer in parts], axis=0, dtype=np.float32) / np.float32(films))
        return _Class(np.mean(means, axis=0), np.mean(products, axis=0, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class _Class:
    mean: NDArray[np.float64]
    product: NDArray[np.float64]

    @property
    def covariance(self) -> NDArray[np.float64]:
        return self.product - np.outer(self.mean, self.mean)


def sum_moments(samples: Samples, *, sources: Sequence[str], folds: Sequence[int]) -> Moments:
    """Sum the samples up.

    Args:
        samples: cells of all films.
        sources, folds: of each film.
    """
    centre = np.mean(samples.features[::17].astype(np.float64), axis=0)
    film_sources, film_folds = np.asarray(sources), np.asarray(folds)
    sums = {}
    for fold in sorted(set(folds)):
        for source in sorted(set(sources)):
            inside = (film_folds == fold) & (film_sources == source)
            for kind in (Cell.TISSUE, Cell.BENIGN, Cell.MALIGNANT):
                own = inside[samples.films] & (samples.kinds == kind)
                if not own.any():
                    continue
                cells = (samples.features[own].astype(np.float64) - centre).astype(np.float32)
                _, place, counts = np.unique(samples.films[own], return_inverse=True, return_counts=True)
                # Scaled by the root of its weight, a cell's outer product carries the weight itself.
                weight = (1.0 / counts)[place].astype(np.float32)
                total = (weight @ cells).astype(np.float64)
                cells *= np.sqrt(weight)[:, None]
                sums[fold, source, kind] = (len(counts), total, cells.T @ cells)
    return Moments(centre=centre, sums=sums)


def fit_heads(
    detector: Detector, moments: Moments, *, folds: Sequence[int], shrinkage: float, malignancy_shrinkage: float
) -> None:
    """Fit both outputs of the head by regularised discriminant analysis and put them into the network.

    Friedman, "Regularized discriminant analysis", JASA 84:165 (1989), shrunken towards the features' own variances,
    with equal priors. What tells the collections apart is variance within the classes, so the direction avoids it.

    Args:
        detector: its head is replaced in place.
        moments: of all films.
        folds: those that may be fitted on.
        shrinkage, malignancy_shrinkage: share of the diagonal in the covariance, 0-1, for lesion against tissue and for
            malignant against benign; the latter is fitted on the collections that show both kinds.

    Raises:
        DataError: no collection has lesions and tissue.
    """
    sources = sorted({source for _, source, _ in moments.sums})
    taught = [source for source in sources if moments.of(folds, [source], (Cell.BENIGN, Cell.MALIGNANT))]
    both = [
        source
        for source in sources
        if all(moments.of(folds, [source], (kind,)) for kind in (Cell.BENIGN, Cell.MALIGNANT))
    ]
    lesion = moments.of(folds, taught, (Cell.BENIGN, Cell.MALIGNANT)) if taught else None
    tissue = moments.of(folds, taught, (Cell.TISSUE,)) if taught else None
    if lesion is None or tissue is None:
        raise DataError("No collection shows lesions and tissue to train on. Check the masks and abnormalities.")
    kernel = np.zeros((len(moments.centre), 2))
    bias = np.zeros(2)
    kernel[:, 0], bias[0] = _discriminant(lesion, tissue, shrinkage)
    malignant = moments.of(folds, both, (Cell.MALIGNANT,)) if both else None
    benign = moments.of(folds, both, (Cell.BENIGN,)) if both else None
    if malignant is not None and benign is not None:
        kernel[:, 1], bias[1] = _discriminant(malignant, benign, malignancy_shrinkage)
    bias -= moments.centre @ kernel
    coarse, fine = detector.full.get_layer("coarse"), detector.full.get_layer("fine")
    deep = coarse.get_weights()[0].shape[2]
    coarse.set_weights([kernel[None, None, :deep].astype(np.float32), bias.astype(np.float32)])
    fine.set_weights([kernel[None, None, deep:].astype(np.float32)])


def _discriminant(first: _Class, second: _Class, shrinkage: float) -> tuple[NDArray[np.float64], float]:
    """Direction (D,) and offset whose sum is the log-odds of the first class under equal priors."""
    within = (first.covariance + second.covariance) / 2
    spread = np.diag(within).copy()
    # A feature that never varies tells nothing; without a floor its row would be singular.
    floor = max(float(spread.max()), 1e-12) * 1e-6
    within *= 1 - shrinkage
    within[np.diag_indices_from(within)] = np.maximum(spread, floor)
    direction = np.asarray(np.linalg.solve(within, first.mean - second.mean), np.float64)
    return direction, float(-direction @ (first.mean + second.mean) / 2)
