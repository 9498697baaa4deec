"""Where the second look is taken: a square of the image round the lesion. NumPy and OpenCV only.

Training cuts its squares round the lesion masks, with a random error; serving cuts them round the lesion that the
first look outlined.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.images import Pixel

MARGIN = 1.6
"""Side of the square over the longer side of the lesion's box: the tissue round a lesion (halo, shadow) tells too."""

LEAST_SHARE = 0.25
"""Smallest side of the square, as a share of the image's shorter side: speckle enlarged further shows nothing new."""

UNGUIDED_SHARE = 0.5
"""Side of the square where no lesion was found, as a share of the image's shorter side."""


@dataclass(frozen=True, slots=True)
class CloseUp:
    """A square of the image; it may reach beyond the image, where it is black.

    Attributes:
        top, left: first row and column, pixels of the image; may be negative.
        size: side of the square, pixels of the image, at least 1.
    """

    top: int
    left: int
    size: int

    @classmethod
    def centred(cls, *, row: float, column: float, size: float) -> CloseUp:
        whole = max(1, round(size))
        return cls(top=round(row - whole / 2), left=round(column - whole / 2), size=whole)

    @classmethod
    def round_box(cls, box: tuple[int, int, int, int], *, height: int, width: int, margin: float = MARGIN) -> CloseUp:
        """The square round a lesion's box (top, left, bottom, right; exclusive ends) in a height x width image."""
        top, left, bottom, right = box
        size = max(margin * max(bottom - top, right - left), LEAST_SHARE * min(height, width))
        return cls.centred(row=(top + bottom) / 2, column=(left + right) / 2, size=min(size, max(height, width)))

    def cut(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        """The square's pixels: (H, W) to (size, size), zeros outside the image."""
        height, width = image.shape
        out = np.zeros((self.size, self.size), image.dtype)
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.size, height), min(self.left + self.size, width)
        if bottom > top and right > left:
            out[top - self.top : bottom - self.top, left - self.left : right - self.left] = image[
                top:bottom, left:right
            ]
        return out

    def place(self, grey: NDArray[np.uint8], *, side: int) -> NDArray[np.uint8]:
        """The square on the network's canvas: uint8 (H, W) to uint8 (side, side)."""
        shrinks = self.size > side
        resized = cv2.resize(
            self.cut(grey), (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        return np.asarray(resized, np.uint8)

    def paste(self, values: NDArray[np.float32], onto: NDArray[np.float32]) -> None:
        """Average a map of the square, float32 (s, s), into a map of the image, float32 (H, W), in place."""
        height, width = onto.shape
        grown = cv2.resize(values, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.size, height), min(self.left + self.size, width)
        if bottom <= top or right <= left:
            return
        inner = grown[top - self.top : bottom - self.top, left - self.left : right - self.left]
        onto[top:bottom, left:right] = (onto[top:bottom, left:right] + inner) / 2


def box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) of the set pixels, exclusive ends; ``None`` for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
