"""Are the images and scores of late like those that the model was developed on? Pure functions, NumPy only.

Two measures for each quantity (score, quality values, novelty), held against a reference that the release writes:

- population stability index (Siddiqi, *Credit Risk Scorecards*, 2006) over the reference's ten equally filled bins,
  ``sum (o - e) ln(o / e)``. Its usual bounds (0.10 watch, 0.25 shifted) ignore that a small sample strays by chance:
  without any shift it is about ``(1 / n + 1 / m)`` times a chi-squared variable with bins - 1 degrees of freedom
  (Yurdakul and Naranjo, *Journal of Risk Model Validation* 14(4), 2020), which gives it a p-value here.
- two-sample Kolmogorov-Smirnov statistic, the largest gap between the two distribution functions, with its asymptotic
  p-value and the small-sample correction of Stephens (*J. Royal Statistical Society B* 32:115-122, 1970).

A quantity counts as moved only when the gap is both large enough to matter and too large for chance after Bonferroni's
correction over all quantities. Below :data:`LEAST_IMAGES` images nothing is concluded. A moved input is a reason to
look, not proof of worse results; an unmoved one is no proof of good ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import Outcome
from ml.metrics import Floats

BINS = 10
LEAST_IMAGES = 50
"""Recent images below which no verdict is given: at 50, a bin of the reference expects five."""

WATCH_INDEX, SHIFTED_INDEX = 0.10, 0.25
WATCH_GAP, SHIFTED_GAP = 0.10, 0.20
SIGNIFICANCE = 0.01
"""Chance of one false alarm in a report over all its quantities, at most."""

TOO_FEW, STABLE, WATCH, SHIFTED = "too few images", "stable", "watch", "shifted"

_GRID = 201
_ORDER = (TOO_FEW, STABLE, WATCH, SHIFTED)


@dataclass(frozen=True, slots=True)
class Drift:
    """One quantity of late against its reference.

    Attributes:
        name: of the quantity, such as ``probability_malignant`` or ``blur``.
        state: ``too few images``, ``stable``, ``watch`` or ``shifted``.
        n, reference_n: recent and reference images.
        median, reference_median: middle values; NaN without recent images.
        stability_index, stability_p: population stability index, and the chance of one as large without a shift.
        gap, gap_p: Kolmogorov-Smirnov statistic 0-1, and the chance of one as large without a shift.
    """

    name: str
    state: str
    n: int
    reference_n: int
    median: float
    reference_median: float
    stability_index: float
    stability_p: float
    gap: float
    gap_p: float

    @property
    def sentence(self) -> str:
        """What was found, for a reader without statistics."""
        called = self.name.replace("_", " ")
        if self.state == TOO_FEW:
            return f"{called}: {self.n} images are too few to compare; {LEAST_IMAGES} are needed."
        if self.state == STABLE:
            return f"{called}: like the reference (median {self.median:.3g}, there {self.reference_median:.3g})."
        where = "higher" if self.median > self.reference_median else "lower"
        if self.median == self.reference_median:
            where = "differently spread"
        strength = "has moved" if self.state == SHIFTED else "may be moving"
        return (
            f"{called} {strength}: {where} than in the reference (median {self.median:.3g}, there "
            f"{self.reference_median:.3g}; stability index {self.stability_index:.2f}, largest gap {self.gap:.0%})."
        )


@dataclass(frozen=True, slots=True)
class DriftReport:
    """All quantities of late against the reference.

    Attributes:
        quantities: one entry each, in the reference's order.
    """

    quantities: tuple[Drift, ...]

    @property
    def state(self) -> str:
        """The worst state of any quantity; ``too few images`` when nothing could be compared."""
        return max((each.state for each in self.quantities), key=_ORDER.index, default=TOO_FEW)

    @property
    def sentence(self) -> str:
        """The verdict and what to do, in plain language."""
        moved = [each.name.replace("_", " ") for each in self.quantities if each.state in (WATCH, SHIFTED)]
        if self.state == SHIFTED:
            return (
                f"The images or scores differ from those the model was developed on: {', '.join(moved)}. Compare a "
                "sample of recent results with the final diagnoses before leaning on the scores, and look for a new "
                "scanner, preset or export."
            )
        if self.state == WATCH:
            return f"Small differences from the reference: {', '.join(moved)}. Look again with more images."
        if self.state == STABLE:
            return "The images and scores are like those the model was developed on."
        return f"Too few images to compare: {LEAST_IMAGES} are needed."

    def as_dict(self) -> dict[str, Any]:
        """JSON form; NaN becomes ``None``."""
        rows = []
        for each in self.quantities:
            row: dict[str, Any] = {"name": each.name, "state": each.state, "sentence": each.sentence}
            for field in ("n", "reference_n", "median", "reference_median"):
                row[field] = _plain(getattr(each, field))
            for field in ("stability_index", "stability_p", "gap", "gap_p"):
                row[field] = _plain(getattr(each, field))
            rows.append(row)
        return {"state": self.state, "sentence": self.sentence, "quantities": rows}


def monitoring_reference(values: Mapping[str, Floats | Sequence[float]], *, bins: int = BINS) -> dict[str, Any]:
    """What later images are compared with, as JSON.

    Args:
        values: quantity to its values on the reference images, best out of fold; no NaN, at least ``bins`` of each.
        bins: equally filled bins of the stability index; ties merge bins.

    Returns:
        by quantity ``n``, ``edges`` (inner edges; a bin holds values above its lower and up to its upper edge),
        ``shares`` (of each bin, summing to 1) and ``quantiles`` (an even grid from minimum to maximum).

    Raises:
        ValueError: too few values, or one that is not a number.
    """
    reference = {}
    for name, given in values.items():
        sample = np.asarray(given, np.float64)
        if len(sample) < bins or not np.isfinite(sample).all():
            raise ValueError(f"{name} needs at least {bins} values, all of them numbers, to serve as a reference")
        edges = np.unique(np.quantile(sample, np.arange(1, bins) / bins, method="inverted_cdf"))
        # An edge at the maximum would leave the bin above it empty in the reference.
        edges = edges[edges < sample.max()] if sample.max() > sample.min() else edges[:1]
        counts = _counts(sample, edges)
        grid = np.quantile(sample, np.linspace(0, 1, _GRID), method="inverted_cdf")
        reference[name] = {
            "n": len(sample),
            "edges": edges.tolist(),
            "shares": (counts / len(sample)).tolist(),
            "quantiles": [float(f"{value:.6g}") for value in grid],
        }
    return reference


def drift_report(reference: Mapping[str, Any], recent: Mapping[str, Floats | Sequence[float]]) -> DriftReport:
    """Compare recent values with the reference.

    Args:
        reference: from :func:`monitoring_reference`.
        recent: quantity to recent values; values that are not numbers are left out, quantities that the reference
            does not know are ignored, and those that are not given count as without images.
    """
    samples = {name: np.asarray(recent.get(name, ()), np.float64) for name in reference}
    samples = {name: sample[np.isfinite(sample)] for name, sample in samples.items()}
    compared = sum(len(sample) >= LEAST_IMAGES for sample in samples.values())
    # Two tests for each quantity.
    level = SIGNIFICANCE / max(1, 2 * compared)
    return DriftReport(tuple(_drift(name, reference[name], samples[name], level) for name in reference))


def values_of(outcome: Outcome) -> dict[str, float]:
    """The quantities of one outcome that are worth watching: the score, and every check's value."""
    values = {check.name: check.value for check in outcome.quality.checks}
    if outcome.prediction is not None:
        values["probability_malignant"] = outcome.prediction.probabilities["malignant"]
        values["confidence"] = outcome.prediction.confidence
    return values


def stability_index(
    expected: NDArray[np.float64], observed: NDArray[np.integer], *, reference_n: int
) -> tuple[float, float]:
    """Population stability index and its p-value.

    Args:
        expected: share of each bin in the reference.
        observed: recent images in each bin.
        reference_n: images of the reference.

    Returns:
        the index, half a recent and half a reference image added to every bin so that an empty one stays finite; the
        chance of at least this index without a shift. (0, 1) for a single bin.
    """
    count, total = len(expected), int(observed.sum())
    if count < 2 or total == 0:
        return 0.0, 1.0
    shares = (observed + 0.5) / (total + 0.5 * count)
    wanted = (expected * reference_n + 0.5) / (reference_n + 0.5 * count)
    index = float(((shares - wanted) * np.log(shares / wanted)).sum())
    return index, chi_squared_tail(index / (1 / total + 1 / reference_n), freedom=count - 1)


def kolmogorov_smirnov(first: Floats, second: Floats) -> tuple[float, float]:
    """Two-sample statistic, and the chance of one as large when both come from the same distribution.

    The p-value is asymptotic; with 50 and more in both samples it is within 0.02 of the exact one, and for values with
    ties it is too large rather than too small.
    """
    one, two = np.sort(np.asarray(first, np.float64)), np.sort(np.asarray(second, np.float64))
    everything = np.concatenate([one, two])
    below_one = np.searchsorted(one, everything, side="right") / len(one)
    below_two = np.searchsorted(two, everything, side="right") / len(two)
    gap = float(np.abs(below_one - below_two).max())
    return gap, kolmogorov_tail(gap, effective=len(one) * len(two) / (len(one) + len(two)))


def kolmogorov_tail(gap: float, *, effective: float) -> float:
    """Chance of a gap of at least ``gap`` at an effective sample size ``n m / (n + m)``."""
    root = math.sqrt(effective)
    scaled = (root + 0.12 + 0.11 / root) * gap
    if scaled < 0.2:
        # Below this the series converges slowly, and the chance is 1 to ten digits.
        return 1.0
    terms = sum((-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101))
    return float(min(1.0, max(0.0, 2 * terms)))


def chi_squared_tail(value: float, *, freedom: int) -> float:
    """Chance that a chi-squared variable reaches ``value``: the regularised upper incomplete gamma function.

    Finite sums for whole and half numbers (Abramowitz and Stegun 26.4.4 and 26.4.5).
    """
    if value <= 0:
        return 1.0
    half = value / 2
    if freedom % 2 == 0:
        tail, term, steps = 0.0, math.exp(-half), range(1, freedom // 2 + 1)
        for step in steps:
            tail += term
            term *= half / step
        return min(1.0, tail)
    tail = math.erfc(math.sqrt(half))
    term = math.exp(-half) * math.sqrt(half) / math.gamma(1.5)
    for step in range(1, (freedom - 1) // 2 + 1):
        tail += term
        term *= half / (step + 0.5)
    return min(1.0, tail)


def _drift(name: str, reference: Mapping[str, Any], sample: NDArray[np.float64], level: float) -> Drift:
    grid = np.asarray(reference["quantiles"])
    middle = float(grid[len(grid) // 2])
    if len(sample) < LEAST_IMAGES:
        median = float(np.median(sample)) if len(sample) else math.nan
        return Drift(
            name, TOO_FEW, len(sample), int(reference["n"]), median, middle, math.nan, math.nan, math.nan, math.nan
        )
    counts = _counts(sample, np.asarray(reference["edges"]))
    index, index_p = stability_index(np.asarray(reference["shares"]), counts, reference_n=int(reference["n"]))
    gap, _ = kolmogorov_smirnov(grid, sample)
    # The grid stands for all reference images, so their number counts for the chance, and the grid's own step is
    # taken off the gap.
    size = int(reference["n"])
    gap_p = kolmogorov_tail(max(0.0, gap - 1 / len(grid)), effective=size * len(sample) / (size + len(sample)))
    sure_index, sure_gap = index_p < level, gap_p < level
    state = STABLE
    if (sure_index and index >= WATCH_INDEX) or (sure_gap and gap >= WATCH_GAP):
        state = WATCH
    if (sure_index and index >= SHIFTED_INDEX) or (sure_gap and gap >= SHIFTED_GAP):
        state = SHIFTED
    return Drift(name, state, len(sample), size, float(np.median(sample)), middle, index, index_p, gap, gap_p)


def _counts(sample: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Values in each bin: up to the first edge, above it up to the second, ..., above the last.

    A constant reference has one edge, its value, and two bins, of which the upper is empty; values below a constant
    are then told by the gap.
    """
    return np.bincount(np.searchsorted(edges, sample, side="left"), minlength=len(edges) + 1)


def _plain(value: float) -> float | int | None:
    if isinstance(value, int):
        return value
    return None if math.isnan(value) else round(value, 5)
