"""How far an image lies from known ones in a network's embedding: the published measures that the gate is held against.

NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Distance = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""From embeddings (N, K) to their distances (N,)."""

_NEIGHBOURS = 10
_AXES = 64


def mahalanobis(known: NDArray[np.float32]) -> Distance:
    """Distance from the mean of known embeddings (M, K) along the leading axes (Lee et al. 2018, one Gaussian)."""
    mean = known.mean(axis=0)
    variances, vectors = np.linalg.eigh(np.cov(known - mean, rowvar=False))
    axes = vectors[:, -_AXES:] / np.sqrt(np.maximum(variances[-_AXES:], 1e-12))
    return lambda embeddings: np.asarray((((embeddings - mean) @ axes) ** 2).sum(axis=1))


def neighbour_distance(known: NDArray[np.float32]) -> Distance:
    """Cosine distance to the 10th nearest of known embeddings (M, K) (Sun et al. 2022)."""
    unit = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-12)

    def measure(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        directions = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
        rank = min(_NEIGHBOURS, len(unit)) - 1
        return np.asarray(np.partition(1 - directions @ unit.T, rank, axis=1)[:, rank], np.float64)

    return measure


DISTANCES: Mapping[str, Callable[[NDArray[np.float32]], Distance]] = MappingProxyType(
    {"Mahalanobis distance": mahalanobis, "distance to the 10th neighbour": neighbour_distance}
)
"""The measures by title; each takes the known embeddings first."""
