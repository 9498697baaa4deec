"""Figures of merit, and their intervals by bootstrap over groups. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

RESAMPLES = 2000
CALIBRATION_BINS = 15


def softmax(logits: Floats, *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities of logits (N, C), float64; rows sum to 1."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return scaled / scaled.sum(axis=-1, keepdims=True)


def area_under_curve(positive: NDArray[np.bool_], scores: Floats) -> float:
    """Area under the ROC curve by the rank sum, ties counted half. NaN when a class is absent."""
    positive = np.asarray(positive, dtype=bool)
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def roc_curve(positive: NDArray[np.bool_], scores: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False and true positive rates, from (0, 0) to (1, 1)."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    hits = np.asarray(positive, dtype=bool)[order]
    # Only where the score changes is there an operating point.
    ends = np.append(np.flatnonzero(np.diff(np.asarray(scores)[order])), len(order) - 1)
    true = np.cumsum(hits)[ends] / max(hits.sum(), 1)
    false = np.cumsum(~hits)[ends] / max((~hits).sum(), 1)
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])


def confusion_matrix(labels: NDArray[np.intp], predicted: NDArray[np.intp], *, classes: int) -> NDArray[np.int64]:
    """Counts, true label by row, predicted label by column."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def precision_recall_f1(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Per class (C, 3); a figure without a denominator is NaN (no image of the class, or none predicted)."""
    hits = np.diag(matrix).astype(np.float64)
    predicted, present = matrix.sum(axis=0), matrix.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / predicted, hits / present
        f1 = 2 * hits / (predicted + present)
    return np.stack([precision, recall, f1], axis=1)


def sensitivity_specificity(positive: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of positives flagged, share of negatives not flagged; NaN when a class is absent."""
    sensitivity = float(flagged[positive].mean()) if positive.any() else float("nan")
    specificity = float((~flagged[~positive]).mean()) if (~positive).any() else float("nan")
    return sensitivity, specificity


def brier_score(labels: NDArray[np.intp], probabilities: Floats) -> float:
    """Mean squared distance to the one-hot truth, summed over classes (Brier 1950): 0 is perfect, 2 is worst."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


@dataclass(frozen=True, slots=True)
class Reliability:
    """Stated confidence against observed frequency, in equal-width bins.

    Attributes:
        confidence, frequency: mean of each bin (B,), NaN for an empty bin.
        count: images in each bin (B,).
    """

    confidence: NDArray[np.float64]
    frequency: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def expected_error(self) -> float:
        """Expected calibration error (Naeini et al. 2015): mean gap, weighted by the images in the bin."""
        filled = self.count > 0
        gaps = np.abs(self.confidence[filled] - self.frequency[filled])
        return float((gaps * self.count[filled]).sum() / self.count.sum())


def reliability(confidence: Floats, correct: NDArray[np.bool_], *, bins: int = CALIBRATION_BINS) -> Reliability:
    """Bin stated probabilities (N,) in [0, 1] and compare each bin with what happened."""
    place = np.minimum((np.asarray(confidence) * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, weights=confidence, minlength=bins) / count
        frequency = np.bincount(place, weights=np.asarray(correct, float), minlength=bins) / count
    return Reliability(confidence=mean, frequency=frequency, count=count)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its uncertainty.

    Attributes:
        value: the figure on all images.
        low, high: 95 % interval.
        n: images it rests on.
        groups: independent groups (patients, lesions) among them.
    """

    value: float
    low: float
    high: float
    n: int
    groups: int

    def as_dict(self) -> dict[str, float | int | None]:
        """JSON form: NaN becomes ``None``."""
        rounded = (None if np.isnan(x) else round(float(x), 4) for x in (self.value, self.low, self.high))
        value, low, high = rounded
        return {"value": value, "low": low, "high": high, "n": self.n, "groups": self.groups}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedFigure:
    """A number, and its difference to the same number of something else, measured on the same images.

    Attributes:
        n, groups: images and independent groups.
        value, low, high: the number and its 95 % interval.
        difference, difference_low, difference_high: paired: the same images in every bootstrap sample.
    """

    n: int
    groups: int
    value: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float

    @staticmethod
    def numbers(figure: Figure, apart: Figure) -> dict[str, Any]:
        """The attributes, from the number and its difference, both of one :func:`bootstrap`; four decimals."""
        numbers = {
            "value": figure.value,
            "low": figure.low,
            "high": figure.high,
            "difference": apart.value,
            "difference_low": apart.low,
            "difference_high": apart.high,
        }
        return {"n": figure.n, "groups": figure.groups, **{name: round(float(x), 4) for name, x in numbers.items()}}

    def as_dict(self) -> dict[str, Any]:
        """JSON form: what was measured before the numbers."""
        stated = asdict(self)
        numbers = {entry.name for entry in fields(PairedFigure)}
        return {name: stated[name] for name in sorted(stated, key=lambda name: name in numbers)}


def bootstrap(
    measure: Callable[[NDArray[np.intp]], dict[str, float]],
    groups: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Figure]:
    """95 % percentile intervals of several figures, by resampling whole groups with replacement.

    Args:
        measure: from indices (with repeats) to named figures; NaN where a figure is undefined.
        groups: group of each image: images of one patient are not independent, so they are drawn together.
        resamples: number of bootstrap samples.
        seed: of the resampling.
    """
    names, membership = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(membership, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(membership))[:-1])
    random = np.random.default_rng(seed)
    everything = measure(np.arange(len(groups)))
    drawn: dict[str, list[float]] = {name: [] for name in everything}
    for _ in range(resamples):
        picked = random.integers(len(names), size=len(names))
        for name, value in measure(np.concatenate([members[group] for group in picked])).items():
            drawn[name].append(value)
    figures = {}
    for name, value in everything.items():
        samples = np.array(drawn[name])
        samples = samples[~np.isnan(samples)]
        low, high = np.percentile(samples, [2.5, 97.5]) if len(samples) else (np.nan, np.nan)
        figures[name] = Figure(value=value, low=float(low), high=float(high), n=len(groups), groups=len(names))
    return figures
