"""What an image's own outline says: how sure the network is that there is a lesion, and what the lesion looks like.

Everything here comes out of the two passes that serving takes anyway. The outline is the network's, never the
annotators': that one is a hint, for they knew what they outlined.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.baselines.handcrafted import lesion_features
from ml.looks.reading import Reading, sigmoid
from ml.segment import THRESHOLD, lesion_mask, overlap

EVIDENCE_NAMES = (
    "highest, whole look",
    "logarithm of the lesion's share, whole look",
    "logarithm of the mean, whole look",
    "highest, close look",
    "logarithm of the lesion's share, close look",
    "logarithm of the mean, close look",
    "mean inside the outline",
    "logarithm of the outline's area over the image's",
    "agreement of the outlines with and without the close look",
    "logarithm of the doubtful area over the outline's",
    "side of the square over the image's shorter side",
    "pieces",
)
"""All of the lesion's probability, 0-1."""

_LEAST = 1e-3
"""Added before a logarithm: a share of nothing is a thousandth."""

_DOUBTFUL = (0.1, 0.9)
"""Probabilities between these are the soft border; a sharp outline has little of it."""


def lesion_evidence(reading: Reading) -> NDArray[np.float64]:
    """How much speaks for a lesion: :data:`EVIDENCE_NAMES` of one image."""
    first = reading.first
    whole, close = first.probability, sigmoid(reading.second.mask)
    both = reading.lesion_probability()
    outline = lesion_mask(both) > 0
    area = float(outline.mean())
    soft = float(((both > _DOUBTFUL[0]) & (both < _DOUBTFUL[1])).mean())
    agreement, _ = overlap(outline.astype(np.uint8), lesion_mask(first.lesion_probability()))
    pieces, _ = cv2.connectedComponents((both >= THRESHOLD).astype(np.uint8), connectivity=8)
    logarithms = np.log(
        np.array([(whole >= THRESHOLD).mean(), whole.mean(), (close >= THRESHOLD).mean(), close.mean(), area]) + _LEAST
    )
    return np.array(
        [
            float(whole.max()),
            *logarithms[:2],
            float(close.max()),
            *logarithms[2:4],
            float(both[outline].mean()) if outline.any() else 0.0,
            logarithms[4],
            agreement,
            float(np.log((soft + _LEAST) / (area + _LEAST))),
            first.square.size / min(first.letterbox.height, first.letterbox.width),
            float(pieces - 1),
        ]
    )


def outline_features(grey: NDArray[np.uint8], reading: Reading) -> NDArray[np.float64]:
    """Texture inside the network's own outline and the outline's shape, as the comparison systems measure them inside
    the drawn one: float64 (76,), see :func:`ml.baselines.handcrafted.lesion_features`. Where nothing reaches the
    outline's threshold, what reaches half of the highest probability stands for it."""
    probability = reading.lesion_probability()
    threshold = min(THRESHOLD, float(probability.max()) / 2)
    return lesion_features(grey, lesion_mask(probability, threshold=threshold) > 0)
