"""Random views of one image as a recipe describes them; each view depends on its own random numbers alone."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.data.augment import OVERSIZE, add_shadow, add_speckle, change_gain, plain_view, recompress, shear_matrix
from ml.whole_image.recipe import Augmentation


def augmented_view(
    grey: NDArray[np.uint8], *, side: int, augmentation: Augmentation, random: np.random.Generator
) -> NDArray[np.uint8]:
    """One view: zoom, stretch, flip, shear, rotation and shift in one resampling, then gain, speckle, shadow and JPEG.

    Args:
        grey: uint8 (H, W).
        side: side of the output, pixels.
        augmentation: what may change, and how far.
        random: source of all randomness.

    Returns:
        uint8 (side, side).
    """
    view = _moved(grey, side=side, augmentation=augmentation, random=random)
    pixels = view.astype(np.float32) / np.float32(255)
    if augmentation.gain:
        pixels = change_gain(pixels, random, spread=augmentation.gain, gamma_spread=augmentation.gain)
    if augmentation.speckle:
        pixels = add_speckle(pixels, random, most=augmentation.speckle)
    if random.random() < augmentation.shadow:
        pixels = add_shadow(pixels, random)
    out = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return recompress(out, random) if random.random() < augmentation.jpeg else out


def _moved(
    grey: NDArray[np.uint8], *, side: int, augmentation: Augmentation, random: np.random.Generator
) -> NDArray[np.uint8]:
    large = round(side * OVERSIZE)
    canvas = plain_view(grey, side=large)
    spread = np.log1p(augmentation.zoom)
    zoom = float(np.exp(random.uniform(-spread, spread))) * side / large
    broad = np.log1p(augmentation.stretch) / 2
    stretch = float(np.exp(random.uniform(-broad, broad)))
    angle = np.deg2rad(random.uniform(-augmentation.rotation, augmentation.rotation))
    flip = -1.0 if random.random() < augmentation.flip else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = shear_matrix(float(random.uniform(-augmentation.shear, augmentation.shear)))
    matrix = turn @ shear @ np.diag([zoom * stretch * flip, zoom / stretch])
    shift = random.uniform(-augmentation.shift, augmentation.shift, 2) * side
    # Pixel centres lie at whole numbers here, so the middle of a canvas of n pixels is (n - 1) / 2.
    offset = np.full(2, (side - 1) / 2) + shift - matrix @ np.full(2, (large - 1) / 2)
    warped = cv2.warpAffine(canvas, np.column_stack([matrix, offset]), (side, side), flags=cv2.INTER_LINEAR)
    return np.asarray(warped, np.uint8)
