"""Where the ultrasound lies on a screen: the field of view without menus, scales and black surround."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.preprocess.intensity import BLACK

WORK_SIDE = 256
"""Longer side, pixels, at which the sector is found."""

LEAST_SHARE = 0.10
"""Share of the image below which a bright region is no sector, and the whole image is taken."""

LEAST_LINE = 0.10
"""Share of a row or column of the sector that must be lit for it to lie inside the box."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of an image, pixels; bottom and right are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    def cut(self, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixels inside, a view: uint8 (bottom - top, right - left)."""
        return grey[self.top : self.bottom, self.left : self.right]


def sector_mask(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The field of view: the largest textured region, with its shadows filled in.

    Args:
        grey: uint8 (H, W), a frame or a whole screen.

    Returns:
        bool (H, W); all true where no region covers ``LEAST_SHARE`` of the image, so that nothing is lost.
    """
    scale = min(1.0, WORK_SIDE / max(grey.shape))
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8) if scale < 1.0 else grey
    # A median removes text and thin frames of menus but keeps speckle's mean.
    lit = (cv2.medianBlur(np.ascontiguousarray(small), 5) > BLACK).astype(np.uint8)
    lit = np.asarray(cv2.morphologyEx(lit, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(lit, connectivity=4)
    if count < 2:
        return np.ones(grey.shape, bool)
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    outlines, _ = cv2.findContours((parts == best).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(lit.shape, np.uint8)
    # A sector is convex but for acoustic shadows at its lower edge: the hull gives those back.
    cv2.fillConvexPoly(filled, cv2.convexHull(np.concatenate(outlines)), 1)
    if filled.mean() < LEAST_SHARE:
        return np.ones(grey.shape, bool)
    return np.asarray(cv2.resize(filled, grey.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0)


def sector_box(grey: NDArray[np.uint8]) -> Box:
    """The box round the field of view; rows and columns of which little is lit are left out.

    Args:
        grey: uint8 (H, W).

    Returns:
        a box of at least one pixel; the whole image where no sector is found.
    """
    mask = sector_mask(grey)
    box = _bounds(mask)
    inside = box.cut(np.where(mask, grey, np.uint8(0))) > BLACK
    rows = np.flatnonzero(inside.mean(axis=1) >= LEAST_LINE)
    columns = np.flatnonzero(inside.mean(axis=0) >= LEAST_LINE)
    if not len(rows) or not len(columns):
        return box
    return Box(
        top=box.top + int(rows[0]),
        left=box.left + int(columns[0]),
        bottom=box.top + int(rows[-1]) + 1,
        right=box.left + int(columns[-1]) + 1,
    )


def keep_sector(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blacken everything outside the field of view."""
    return np.where(sector_mask(grey), grey, np.uint8(0))


def _bounds(mask: NDArray[np.bool_]) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(top=int(rows[0]), left=int(columns[0]), bottom=int(rows[-1]) + 1, right=int(columns[-1]) + 1)
