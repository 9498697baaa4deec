"""From a lesion probability map to an outline with its measures. NumPy and OpenCV only."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.contract import Segmentation

THRESHOLD = 0.5
"""Probability from which a pixel belongs to the lesion; fixed, not fitted."""

KEPT_SHARE = 0.25
"""A component is kept beside the strongest one if its summed probability reaches this share of the strongest's."""


def lesion_mask(probability: NDArray[np.float32], *, threshold: float = THRESHOLD) -> NDArray[np.uint8]:
    """The lesion's pixels: float32 (H, W) in [0, 1] to uint8 (H, W), 0 or 255.

    The connected component with the highest summed probability is the lesion; others are kept only when they are of
    comparable strength, so that specks do not count as lesions. All zeros when no pixel reaches the threshold.
    """
    number, components = cv2.connectedComponents((probability >= threshold).astype(np.uint8), connectivity=8)
    if number <= 1:
        return np.zeros(probability.shape, np.uint8)
    strength = np.bincount(components.ravel(), weights=probability.ravel(), minlength=number)
    strength[0] = 0.0
    kept = (strength >= KEPT_SHARE * strength.max()) & (strength > 0)
    return np.where(kept[components], np.uint8(255), np.uint8(0))


def segmentation(probability: NDArray[np.float32], *, threshold: float = THRESHOLD) -> Segmentation | None:
    """Outline and measure the lesion.

    Args:
        probability: float32 (H, W) in [0, 1] at the image's own resolution.
        threshold: probability from which a pixel belongs to the lesion.

    Returns:
        the lesion, or ``None`` when no pixel reaches the threshold.
    """
    return measured(lesion_mask(probability, threshold=threshold))


def measured(mask: NDArray[np.uint8]) -> Segmentation | None:
    """Measures of a mask, uint8 (H, W), 0 or 255; ``None`` for an empty one."""
    area = int(cv2.countNonZero(mask))
    if not area:
        return None
    left, top, width, height = cv2.boundingRect(mask)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = np.asarray(max(outlines, key=cv2.contourArea), np.int32)
    return Segmentation(
        mask=mask,
        area_share=area / mask.size,
        area_px=area,
        diameter_px=_longest_diameter(largest),
        box=(top, left, top + height, left + width),
    )


def _longest_diameter(outline: NDArray[np.int32]) -> float:
    """Longest distance between the outer edges of two outline pixels: centre to centre plus one pixel."""
    hull = cv2.convexHull(outline)[:, 0, :].astype(np.float64)
    gaps = hull[:, None, :] - hull[None, :, :]
    return float(np.sqrt((gaps**2).sum(axis=2).max())) + 1.0


def overlap(found: NDArray[np.uint8], true: NDArray[np.uint8]) -> tuple[float, float]:
    """Dice and intersection over union of two masks (H, W), set where non-zero; (1, 1) when both are empty."""
    first, second = found > 0, true > 0
    common, either = int((first & second).sum()), int((first | second).sum())
    if not either:
        return 1.0, 1.0
    return 2 * common / (common + either), common / either
