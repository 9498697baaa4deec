"""From logits to probabilities one may quote, a threshold, and a suspicion of 1-10. NumPy only.

Temperature scaling: Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.metrics import Floats, softmax

MALIGNANT = LABELS.index("malignant")

SUSPICION_CUTS = (0.02, 0.05, 0.10, 0.20, 0.35, 0.50, 0.65, 0.80, 0.95)
"""Suspicion is 1 plus the number of cuts that the calibrated probability of malignancy reaches.

2, 10, 50 and 95 % are the bounds of BI-RADS 3, 4A, 4B and 4C (ACR BI-RADS Atlas, 5th edition); the others divide
the steps between them. They are fixed, not fitted.
"""

SENSITIVITY_AIM = 0.90
"""The shipped threshold is the highest at which the sensitivity reaches this in every collection."""


def fit_temperature(logits: Floats, labels: NDArray[np.intp], *, weights: Floats | None = None) -> float:
    """The temperature that minimises the negative log-likelihood.

    Args:
        logits: (N, C).
        labels: (N,) indices.
        weights: (N,) weight of each image; equal when ``None``.

    Returns:
        a temperature in [0.1, 10], to a relative 1e-4, by golden-section search (the likelihood is unimodal in T).
    """
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights)
    rows = np.arange(len(labels))

    def loss(logarithm: float) -> float:
        probability = softmax(logits, temperature=float(np.exp(logarithm)))[rows, labels]
        return float(-(weights * np.log(np.maximum(probability, 1e-12))).sum())

    return float(np.exp(_golden_minimum(loss, np.log(0.1), np.log(10.0))))


def fit_threshold(
    probabilities: Floats, labels: NDArray[np.intp], sources: Sequence[str], *, aim: float = SENSITIVITY_AIM
) -> float:
    """The highest threshold on the probability of malignancy whose sensitivity reaches ``aim`` in every source.

    Args:
        probabilities: calibrated (N, C).
        labels: (N,) indices.
        sources: collection of each image.
        aim: sensitivity to reach.

    Returns:
        the threshold; images at or above it count as flagged. 0 when there is no malignant image.
    """
    malignant = labels == MALIGNANT
    names = np.asarray(sources)
    threshold = 1.0
    for source in sorted(set(sources)):
        scores = np.sort(probabilities[malignant & (names == source), MALIGNANT])
        if len(scores):
            missed = int(np.floor((1 - aim) * len(scores) + 1e-9))
            threshold = min(threshold, float(scores[missed]))
    return threshold if malignant.any() else 0.0


def suspicion(probability: float, *, cuts: Sequence[float] = SUSPICION_CUTS) -> int:
    """1-10, monotone in the calibrated probability of malignancy (0-1)."""
    return 1 + sum(probability >= cut for cut in cuts)


def _golden_minimum(function: Callable[[float], float], low: float, high: float, *, width: float = 1e-4) -> float:
    ratio = (np.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > width:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return float((low + high) / 2)
