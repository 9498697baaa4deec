"""Random views of one image, as another operator, scanner or export might have produced it.

Augmentation runs per image after the split: no view ever crosses from one fold to another.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.images import Letterbox

OVERSIZE = 1.3
"""Geometric transforms start from a canvas this much larger than the output, so that zooming in loses no detail."""


def plain_view(grey: NDArray[np.uint8], *, side: int) -> NDArray[np.uint8]:
    """The view that inference sees: uint8 (H, W) to uint8 (side, side), letterboxed."""
    return Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=side).place(grey)


def random_view(grey: NDArray[np.uint8], *, side: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """One augmented view.

    In order: crop of the margins (burned-in text and crop size differ by class in BUSI, so neither may be relied
    on), zoom, shift, rotation and left-right flip; depth gain; gain and gamma; speckle; blur; JPEG.

    Args:
        grey: uint8 (H, W).
        side: side of the output, pixels.
        random: source of all randomness.

    Returns:
        uint8 (side, side).
    """
    view = _geometry(_margins(grey, random), side=side, random=random)
    pixels = view.astype(np.float32) / np.float32(255)
    if random.random() < 0.3:
        pixels *= _depth_gain(side, random)
    pixels = _gain(pixels, random)
    if random.random() < 0.4:
        pixels = _speckle(pixels, random)
    if random.random() < 0.15:
        blurred = cv2.GaussianBlur(pixels, (0, 0), float(random.uniform(0.4, 1.2)))
        pixels = np.asarray(blurred, np.float32)
    out = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    if random.random() < 0.25:
        out = _jpeg(out, random)
    return out


def _margins(grey: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Cut up to 10 % from each edge, on half of the views."""
    if random.random() < 0.5:
        return grey
    height, width = grey.shape
    top, bottom = (int(height * share) for share in random.uniform(0, 0.10, 2))
    left, right = (int(width * share) for share in random.uniform(0, 0.10, 2))
    return grey[top : height - bottom, left : width - right]


def _geometry(grey: NDArray[np.uint8], *, side: int, random: np.random.Generator) -> NDArray[np.uint8]:
    large = round(side * OVERSIZE)
    canvas = plain_view(grey, side=large)
    zoom = float(np.exp(random.uniform(np.log(0.85), np.log(1.3)))) * side / large
    stretch = float(np.exp(random.uniform(-0.08, 0.08)))
    angle = np.deg2rad(random.uniform(-10, 10))
    flip = -1.0 if random.random() < 0.5 else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag([zoom * stretch * flip, zoom / stretch])
    shift = random.uniform(-0.08, 0.08, 2) * side
    offset = np.array([side, side]) / 2 + shift - matrix @ (np.array([large, large]) / 2)
    warped = cv2.warpAffine(canvas, np.column_stack([matrix, offset]), (side, side), flags=cv2.INTER_LINEAR)
    return np.asarray(warped, np.uint8)


def _depth_gain(side: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A wrong time-gain compensation: brightness that drifts with depth, (side, 1)."""
    return np.linspace(random.uniform(0.7, 1.3), random.uniform(0.7, 1.3), side, dtype=np.float32)[:, None]


def _gain(pixels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    gamma = np.float32(np.exp(random.uniform(-0.3, 0.3)))
    gain = np.float32(random.uniform(0.75, 1.25))
    return np.power(np.clip(pixels, 0, 1), gamma) * gain


def _speckle(pixels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Multiplicative noise with the grain of a few pixels; black padding stays black."""
    white = random.standard_normal(pixels.shape, dtype=np.float32)
    noise = np.asarray(cv2.GaussianBlur(white, (0, 0), float(random.uniform(0.3, 1.0))), np.float32)
    noise *= np.float32(random.uniform(0.03, 0.18)) / max(float(noise.std()), 1e-6)
    return pixels * (1 + noise)


def _jpeg(view: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    encoded, buffer = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(40, 95))])
    if not encoded:
        raise RuntimeError("OpenCV could not encode a JPEG in memory.")
    return np.asarray(cv2.imdecode(buffer, cv2.IMREAD_GRAYSCALE), np.uint8)
