"""Steps that change grey levels and leave the geometry alone: window, contrast, denoising.

Each takes and returns uint8 (H, W). None looks at anything but the one image, so none can leak between folds.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BLACK = 8
"""Grey level at or below which a pixel counts as the black surround of a sector or a breast."""


def window(grey: NDArray[np.uint8], *, low: float = 1.0, high: float = 99.0) -> NDArray[np.uint8]:
    """Stretch linearly between two percentiles of the pixels that are not black.

    The black surround is left out of the percentiles: otherwise its size would set the window. (Percentile windowing
    as in Nyul and Udupa, Magn. Reson. Med. 42(6):1072, 1999, with two landmarks.)

    Args:
        grey: uint8 (H, W).
        low, high: percentiles, 0-100, that become 0 and 255.

    Returns:
        uint8 (H, W); the input where fewer than two grey levels lie between the percentiles.
    """
    inside = grey[grey > BLACK]
    if inside.size == 0:
        return grey
    darkest, brightest = (float(level) for level in np.percentile(inside, [low, high]))
    if brightest - darkest < 2:
        return grey
    levels = np.clip((np.arange(256) - darkest) * (255.0 / (brightest - darkest)), 0, 255)
    # Black stays black whatever the window, so that the surround keeps its meaning for the steps that follow.
    levels[: BLACK + 1] = np.minimum(levels[: BLACK + 1], np.arange(BLACK + 1))
    return np.rint(levels).astype(np.uint8)[grey]


def clahe(grey: NDArray[np.uint8], *, clip: float = 2.0, tiles: int = 8) -> NDArray[np.uint8]:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld, Graphics Gems IV, 1994).

    Args:
        grey: uint8 (H, W).
        clip: limit on the slope of the mapping, times the slope of an even histogram.
        tiles: tiles along each side; an image with fewer pixels than tiles gets one tile per pixel.
    """
    height, width = grey.shape
    grid = (min(tiles, width), min(tiles, height))
    return np.asarray(cv2.createCLAHE(clipLimit=clip, tileGridSize=grid).apply(grey), np.uint8)


def median(grey: NDArray[np.uint8], *, size: int = 5) -> NDArray[np.uint8]:
    """Median of a ``size`` x ``size`` neighbourhood (Tukey 1977), the classical filter against speckle."""
    return np.asarray(cv2.medianBlur(grey, size), np.uint8)


def non_local_means(
    grey: NDArray[np.uint8], *, strength: float = 8.0, template: int = 5, search: int = 11
) -> NDArray[np.uint8]:
    """Non-local means (Buades, Coll and Morel, CVPR 2005).

    Args:
        grey: uint8 (H, W).
        strength: grey levels of difference between two neighbourhoods that halve their weight, about.
        template: side of the neighbourhoods that are compared, pixels.
        search: side of the region searched for like neighbourhoods, pixels. Time grows with its square.
    """
    denoised = cv2.fastNlMeansDenoising(grey, None, h=strength, templateWindowSize=template, searchWindowSize=search)
    return np.asarray(denoised, np.uint8)
