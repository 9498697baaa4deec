"""From the detector's logits to probabilities one may quote. NumPy only.

Platt scaling: Platt, "Probabilistic outputs for support vector machines", 1999, with his smoothed targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEPS = 100
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Platt:
    """``p = 1 / (1 + exp(-(slope * logit + offset)))``, with a slope that is never negative: order is kept."""

    slope: float
    offset: float

    def __call__(self, logits: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Probabilities of logits of any shape."""
        scaled = self.slope * np.asarray(logits, np.float64) + self.offset
        return np.asarray(0.5 * (1 + np.tanh(scaled / 2)))

    def as_dict(self) -> dict[str, float]:
        return {"slope": round(self.slope, 6), "offset": round(self.offset, 6)}

    @classmethod
    def from_mapping(cls, values: Any) -> Platt:
        """A scaling as a manifest states it.

        Raises:
            ValueError: it is not exactly a slope that is not negative and an offset.
        """
        if not isinstance(values, Mapping) or set(values) != {"slope", "offset"}:
            raise ValueError("a scaling must have slope and offset")
        numbers = {}
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
                raise ValueError(f"{name} of a scaling must be a number")
            numbers[name] = float(value)
        if numbers["slope"] < 0:
            raise ValueError("the slope of a scaling must not be negative")
        return cls(**numbers)


def fit_platt(logits: NDArray[np.floating], positive: NDArray[np.bool_]) -> Platt:
    """Fit by Newton's method on the penalised likelihood (a ridge of 1e-3 keeps separable data finite).

    Args:
        logits: (N,).
        positive: (N,) what was true; both must occur for a slope, otherwise the slope is 0.
    """
    values = np.asarray(logits, np.float64)
    positives = int(positive.sum())
    negatives = len(positive) - positives
    targets = np.where(positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    prior = float(targets.mean())
    alone = Platt(0.0, float(np.log(prior / (1 - prior))))
    if not positives or not negatives:
        return alone
    # Newton's method on centred, scaled logits converges from zero.
    centre, scale = float(values.mean()), max(float(values.std()), 1e-9)
    design = np.stack([(values - centre) / scale, np.ones(len(values))], axis=1)
    weights = np.array([0.0, alone.offset])
    penalty = np.diag([_RIDGE, 0.0])
    for _ in range(_STEPS):
        chance = 0.5 * (1 + np.tanh(design @ weights / 2))
        gradient = design.T @ (chance - targets) + penalty @ weights
        curvature = design.T @ (design * (chance * (1 - chance))[:, None]) + penalty + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # A step longer than 2 would leave the region where the quadratic holds.
        weights -= step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    if weights[0] <= 0:
        return alone
    slope = float(weights[0] / scale)
    return Platt(slope, float(weights[1] - slope * centre))


@dataclass(frozen=True, slots=True)
class FilmCalibration:
    """All scalings of a detector.

    Attributes:
        film: strongest spot's logit to the probability that the film shows an abnormality.
        grave: strongest spot's second logit to the probability that an abnormality is malignant.
        mark: a spot's logit to the probability that the spot lies on a lesion.
    """

    film: Platt
    grave: Platt
    mark: Platt

    def probabilities(self, finding: NDArray[np.floating], malignant: NDArray[np.floating]) -> NDArray[np.float64]:
        """Benign, malignant, normal (N, 3) of the films' strongest spots; rows sum to 1."""
        abnormal, grave = self.film(finding), self.grave(malignant)
        return np.stack([abnormal * (1 - grave), abnormal * grave, 1 - abnormal], axis=-1)

    def as_dict(self) -> dict[str, dict[str, float]]:
        return {"film": self.film.as_dict(), "grave": self.grave.as_dict(), "mark": self.mark.as_dict()}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> FilmCalibration:
        """All scalings as a manifest states them.

        Raises:
            ValueError: one is missing or not valid.
        """
        names = ("film", "grave", "mark")
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"the scaling {missing[0]} is missing")
        return cls(**{name: Platt.from_mapping(values[name]) for name in names})
