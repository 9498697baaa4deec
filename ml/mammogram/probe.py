"""The detector's linear heads fitted on frozen features, before anything is fine-tuned.

A head that starts at random pulls the layers below it about while it settles. One that starts from its own optimum
leaves them what they know (Kumar et al., "Fine-tuning can distort pretrained features and underperform
out-of-distribution", ICLR 2022: linear probing, then fine-tuning). The probe on its own is also the baseline that
fine-tuning has to beat.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from ml.mammogram.network import Detector, head_features
from ml.mammogram.targets import Cell
from ml.mammogram.views import FilmViews
from ml.mammogram.windows import cell_weights
from ml.storage import read_arrays, write_arrays

LESION_CELLS, TISSUE_CELLS = 12, 30
"""Cells drawn from each view of a film."""

_ROUNDS = 150


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


def fit_heads(
    detector: Detector,
    samples: Samples,
    *,
    sources: Sequence[str],
    films: NDArray[np.intp],
    penalty: float,
    malignancy_penalty: float,
) -> None:
    """Fit both outputs of the head by penalised logistic regression and put them into the network.

    Args:
        detector: its head is replaced in place.
        samples: cells of all films.
        sources: collection of each film.
        films: indices of the films that may be fitted on.
        penalty, malignancy_penalty: weight of half the squared norm, on standardised features and a mean loss, for
            lesion against tissue and for malignant against benign.
    """
    own = np.isin(samples.films, films)
    seen = samples.features[own].astype(np.float32)
    mean, spread = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-3)
    seen -= mean
    seen /= spread
    kinds, rows = samples.kinds[own], samples.films[own]
    weights = _weights(kinds, rows, sources)
    kernel = np.zeros((seen.shape[1], 2))
    bias = np.zeros(2)
    for output, truth, share, strength in (
        (0, kinds >= Cell.BENIGN, weights[:, 0], penalty),
        (1, kinds == Cell.MALIGNANT, weights[:, 1], malignancy_penalty),
    ):
        used = share > 0
        if len(np.unique(truth[used])) < 2:
            continue
        model = LogisticRegression(C=1 / strength, max_iter=_ROUNDS, tol=1e-4)
        with warnings.catch_warnings():
            # The fit is stopped early on purpose: further rounds change the order of no two patches.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(seen[used], truth[used], sample_weight=share[used] / share[used].sum())
        kernel[:, output] = model.coef_[0] / spread
        bias[output] = float(model.intercept_[0]) - float(mean @ kernel[:, output])
    coarse, fine = detector.full.get_layer("coarse"), detector.full.get_layer("fine")
    deep = coarse.get_weights()[0].shape[2]
    coarse.set_weights([kernel[None, None, :deep].astype(np.float32), bias.astype(np.float32)])
    fine.set_weights([kernel[None, None, deep:].astype(np.float32)])


def _weights(kinds: NDArray[np.uint8], films: NDArray[np.intp], sources: Sequence[str]) -> NDArray[np.float64]:
    """Weights of both outputs (R, 2), by the rule of :func:`ml.mammogram.windows.cell_weights`, films as windows."""
    names, place = np.unique(films, return_inverse=True)
    order = np.argsort(place, kind="stable")
    counts = np.bincount(place)
    column = np.arange(len(films)) - np.repeat(np.cumsum(counts) - counts, counts)
    cells = np.full((len(names), 1, int(counts.max())), Cell.IGNORED, np.uint8)
    cells[place[order], 0, column] = kinds[order]
    taught = cell_weights(cells, [sources[film] for film in names])
    weights = np.zeros((len(films), 2))
    weights[order] = taught[place[order], 0, column][:, [1, 3]]
    return weights
