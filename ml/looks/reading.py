"""Look at the whole image, find the lesion, look again closely. NumPy and OpenCV only.

Training (out-of-fold figures) and serving share this code; they differ only in what runs the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.images import Letterbox, network_input
from ml.looks.closeup import CloseUp, box_of

WHOLE = slice(0, len(LABELS))
"""Where the whole look's logits and maps lie on the last axis."""

CLOSE = slice(len(LABELS), 2 * len(LABELS))
"""Where the close look's lie."""


@dataclass(frozen=True, slots=True)
class LookForward:
    """What one forward pass yields.

    Attributes:
        logits: float32 (6,): of the whole head, then of the close one; not calibrated.
        maps: float32 (h, w, 6): Grad-CAM before the ReLU for each of the logits.
        embedding: float32 (K,), the pooled last convolution.
        mask: float32 (m, m), logits of the lesion.
    """

    logits: NDArray[np.float32]
    maps: NDArray[np.float32]
    embedding: NDArray[np.float32]
    mask: NDArray[np.float32]


Network = Callable[[NDArray[np.float32]], LookForward]
"""One forward pass of float32 (1, S, S, 3) in [-1, 1]."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """The whole image as the network saw it.

    Attributes:
        letterbox: where the image lies on the canvas.
        forward: what the network said.
        probability: lesion probability on the canvas without its padding, float32 (h, w).
        square: where to look closely.
    """

    letterbox: Letterbox
    forward: LookForward
    probability: NDArray[np.float32]
    square: CloseUp

    def lesion_probability(self) -> NDArray[np.float32]:
        """Probability of each pixel of the image to belong to a lesion: float32 (H, W) in [0, 1]."""
        return _resized(self.probability, width=self.letterbox.width, height=self.letterbox.height)


@dataclass(frozen=True, slots=True)
class Reading:
    """Both looks at one image.

    Attributes:
        first: the whole look.
        second: what the network said of the close look.
    """

    first: FirstLook
    second: LookForward

    @property
    def whole_logits(self) -> NDArray[np.float32]:
        """(3,), by the whole head."""
        return self.first.forward.logits[WHOLE]

    @property
    def close_logits(self) -> NDArray[np.float32]:
        """(3,), by the close head."""
        return self.second.logits[CLOSE]

    def lesion_probability(self) -> NDArray[np.float32]:
        """Probability of each pixel of the image to belong to a lesion: float32 (H, W) in [0, 1].

        Inside the close square the mean of both looks, outside it the whole look alone.
        """
        probability = self.first.lesion_probability()
        self.first.square.paste(sigmoid(self.second.mask), probability)
        return probability

    def class_maps(self, *, weights: tuple[float, float]) -> dict[str, NDArray[np.float32]]:
        """Grad-CAM of the fused score at the image's resolution.

        The fused logit of a class is the weighted sum of both looks' logits, so its Grad-CAM is the weighted sum of
        theirs, each laid where its look saw the image; the ReLU comes after the sum.

        Args:
            weights: of the whole and of the close logits in the fusion.

        Returns:
            for each label float32 (H, W) in [0, 1], divided by its maximum; zeros where nothing is positive.
        """
        letterbox, square = self.first.letterbox, self.first.square
        side = letterbox.side
        whole = _resized(self.first.forward.maps[..., WHOLE] * np.float32(weights[0]), width=side, height=side)
        summed = _resized(letterbox.crop(whole), width=letterbox.width, height=letterbox.height)
        close = _resized(self.second.maps[..., CLOSE] * np.float32(weights[1]), width=square.size, height=square.size)
        rows = slice(max(square.top, 0), min(square.top + square.size, letterbox.height))
        columns = slice(max(square.left, 0), min(square.left + square.size, letterbox.width))
        summed[rows, columns] += close[
            rows.start - square.top : rows.stop - square.top, columns.start - square.left : columns.stop - square.left
        ]
        maps = {}
        for label, plane in zip(LABELS, cv2.split(summed), strict=True):
            positive = np.maximum(plane, np.float32(0))
            highest = cv2.minMaxLoc(positive)[1]
            if highest > 0:
                np.divide(positive, np.float32(highest), out=positive)
            maps[label] = positive
        return maps


def look_first(grey: NDArray[np.uint8], network: Network, *, side: int) -> FirstLook:
    """The whole look at uint8 (H, W)."""
    letterbox = Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=side)
    return first_look(letterbox, network(network_input(letterbox.place(grey))))


def first_look(letterbox: Letterbox, forward: LookForward) -> FirstLook:
    """What follows from a first forward pass: the lesion's probability and where to look closely."""
    canvas = _resized(sigmoid(forward.mask), width=letterbox.side, height=letterbox.side)
    probability = np.ascontiguousarray(letterbox.crop(canvas))
    return FirstLook(
        letterbox=letterbox, forward=forward, probability=probability, square=_square(probability, letterbox)
    )


def look_closely(grey: NDArray[np.uint8], first: FirstLook, network: Network) -> Reading:
    """The close look at the place that the first look found."""
    canvas = first.square.place(grey, side=first.letterbox.side)
    return Reading(first=first, second=network(network_input(canvas)))


def look_twice(grey: NDArray[np.uint8], network: Network, *, side: int) -> Reading:
    """Both looks at uint8 (H, W)."""
    return look_closely(grey, look_first(grey, network, side=side), network)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of each logit, without overflow; float32 of the same shape."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def _resized(values: NDArray[np.float32], *, width: int, height: int) -> NDArray[np.float32]:
    """float32 (h, w[, C]) to float32 (height, width[, C]), linear interpolation."""
    grown = cv2.resize(np.ascontiguousarray(values), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown, np.float32)


def _square(probability: NDArray[np.float32], letterbox: Letterbox) -> CloseUp:
    """The square round the strongest connected region, however faint: a close look is taken at every image."""
    threshold = min(0.5, float(probability.max()) / 2)
    number, components = cv2.connectedComponents((probability >= threshold).astype(np.uint8), connectivity=8)
    strength = np.bincount(components.ravel(), weights=probability.ravel(), minlength=number)
    strength[0] = 0.0
    box = box_of(components == int(strength.argmax()))
    assert box is not None  # The pixel of the highest probability always reaches the threshold.
    rows, columns = letterbox.height / letterbox.inner_height, letterbox.width / letterbox.inner_width
    scaled = (round(box[0] * rows), round(box[1] * columns), round(box[2] * rows), round(box[3] * columns))
    return CloseUp.round_box(scaled, height=letterbox.height, width=letterbox.width)
