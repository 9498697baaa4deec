"""From a mammogram to the canvas that the detector sees, and back. NumPy and OpenCV only.

The same code prepares films for training and for serving. Geometry: pixel centres lie at half-integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.preprocess.mammogram import breast_mask, pectoral_mask

CANVAS = (768, 512)
"""Rows and columns of the canvas, pixels."""

CELL = 16
"""Canvas pixels along each side of one cell of the score map."""

GRID = (CANVAS[0] // CELL, CANVAS[1] // CELL)
"""Rows and columns of the score map."""

_WINDOW = (1.0, 99.5)
"""Percentiles of the breast's grey levels that become black and white."""

_LEAST_LEVELS = 8.0
"""Grey levels that must lie between the two percentiles before they are stretched."""


@dataclass(frozen=True, slots=True)
class Film:
    """One mammogram on the detector's canvas.

    A mammogram's file names no scale here, so its longer side stands for the detector's height: it is scaled to 768
    pixels, which is 0.27 mm a pixel for mini-MIAS and about 0.3 mm for a 24 cm detector. A breast that would not fit
    the canvas so is scaled down until it does.

    Attributes:
        canvas: uint8 ``CANVAS``; the breast, windowed between the 1st and the 99.5th percentile of its own grey
            levels, on black.
        breast: bool ``CANVAS``, with the muscle.
        muscle: bool ``CANVAS``, the pectoral muscle as far as it was found.
        height, width: of the image, pixels.
        top, left: first row and column of the image that lie on the canvas.
        row_scale, column_scale: canvas pixels per image pixel.
        row_offset, column_offset: canvas row and column at which ``top`` and ``left`` lie.
        highlight: 99th percentile of the breast's grey levels in the image, 0-255.
        white: share of the breast at or above grey 250 in the image.
    """

    canvas: NDArray[np.uint8]
    breast: NDArray[np.bool_]
    muscle: NDArray[np.bool_]
    height: int
    width: int
    top: int
    left: int
    row_scale: float
    column_scale: float
    row_offset: int
    column_offset: int
    highlight: float
    white: float

    @classmethod
    def prepare(cls, grey: NDArray[np.uint8]) -> Film | None:
        """Place a mammogram on the canvas.

        Args:
            grey: uint8 (H, W).

        Returns:
            the film; ``None`` where no breast stands out from the background.
        """
        breast = breast_mask(grey)
        if not breast.any():
            return None
        rows, columns = np.flatnonzero(breast.any(axis=1)), np.flatnonzero(breast.any(axis=0))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        left, right = int(columns[0]), int(columns[-1]) + 1
        scale = min(CANVAS[0] / max(grey.shape), CANVAS[0] / (bottom - top), CANVAS[1] / (right - left))
        inner_height = min(CANVAS[0], max(1, round((bottom - top) * scale)))
        inner_width = min(CANVAS[1], max(1, round((right - left) * scale)))
        inside = grey[breast]
        film = cls(
            canvas=np.zeros(CANVAS, np.uint8),
            breast=np.zeros(CANVAS, bool),
            muscle=np.zeros(CANVAS, bool),
            height=grey.shape[0],
            width=grey.shape[1],
            top=top,
            left=left,
            row_scale=inner_height / (bottom - top),
            column_scale=inner_width / (right - left),
            row_offset=(CANVAS[0] - inner_height) // 2,
            column_offset=(CANVAS[1] - inner_width) // 2,
            highlight=float(np.percentile(inside, 99)),
            white=float((inside >= 250).mean()),
        )
        box = (slice(top, bottom), slice(left, right))
        inner = (
            slice(film.row_offset, film.row_offset + inner_height),
            slice(film.column_offset, film.column_offset + inner_width),
        )
        size = (inner_width, inner_height)
        area = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        film.canvas[inner] = cv2.resize(_windowed(grey[box], breast[box]), size, interpolation=area)
        film.breast[inner] = _resized_mask(breast[box], size)
        film.muscle[inner] = _resized_mask(pectoral_mask(grey, breast)[box], size)
        film.canvas[~film.breast] = 0
        return film

    def place(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw something of the image's size, such as a lesion mask of 0 and 255, on a canvas: nearest, uint8."""
        found = np.zeros(CANVAS, np.uint8)
        inner_height = CANVAS[0] - 2 * self.row_offset
        inner_width = CANVAS[1] - 2 * self.column_offset
        rows = (np.arange(inner_height) + 0.5) / self.row_scale + self.top
        columns = (np.arange(inner_width) + 0.5) / self.column_scale + self.left
        rows = np.minimum(rows.astype(int), self.height - 1)
        columns = np.minimum(columns.astype(int), self.width - 1)
        # An odd remainder leaves one row or column more at the end, where the formula already runs past the breast.
        found[
            self.row_offset : self.row_offset + inner_height, self.column_offset : self.column_offset + inner_width
        ] = values[rows[:, None], columns[None]]
        return found

    def to_canvas(self, row: float, column: float) -> tuple[float, float]:
        """A point of the image, in pixels with centres at half-integers, on the canvas."""
        return (
            (row - self.top) * self.row_scale + self.row_offset,
            (column - self.left) * self.column_scale + self.column_offset,
        )

    def to_image(self, row: float, column: float) -> tuple[float, float]:
        """A point of the canvas in the image; the inverse of :meth:`to_canvas`."""
        return (
            (row - self.row_offset) / self.row_scale + self.top,
            (column - self.column_offset) / self.column_scale + self.left,
        )

    def restore(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """A map on the canvas, float32 ``CANVAS``, at the image's size, (H, W); zero off the canvas."""
        # Output pixel centre (x + 0.5) of the image lies at canvas coordinate to_canvas(x + 0.5) - 0.5.
        row_start, column_start = self.to_canvas(0.5, 0.5)
        matrix = np.array(
            [[self.column_scale, 0, column_start - 0.5], [0, self.row_scale, row_start - 0.5]], dtype=np.float64
        )
        return np.asarray(
            cv2.warpAffine(values, matrix, (self.width, self.height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP),
            np.float32,
        )

    def tissue(self, *, without_muscle: bool) -> NDArray[np.bool_]:
        """Cells of the score map, bool ``GRID``, at least half of which are breast (and not muscle)."""
        area = self.breast & ~self.muscle if without_muscle else self.breast
        return np.asarray(cell_share(area) >= 0.5)


def cell_share(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Share of each cell that a canvas mask covers: bool ``CANVAS`` to float32 ``GRID``."""
    cells = mask.reshape(GRID[0], CELL, GRID[1], CELL)
    return np.asarray(cells.mean(axis=(1, 3), dtype=np.float32))


def _windowed(grey: NDArray[np.uint8], breast: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Stretch between two percentiles of the breast's grey levels; what lies outside the breast is black."""
    low, high = (float(level) for level in np.percentile(grey[breast], _WINDOW))
    if high - low < _LEAST_LEVELS:
        low, high = 0.0, 255.0
    # The darkest tissue stays just above the black of the background.
    levels = np.clip((np.arange(256) - low) * (247.0 / (high - low)) + 8, 8, 255)
    return np.where(breast, np.rint(levels).astype(np.uint8)[grey], np.uint8(0))


def _resized_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)
