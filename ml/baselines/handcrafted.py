"""Texture, intensity and shape features of the classical papers, from one grey image and, if given, its lesion mask.

GLCM: Haralick, Shanmugam and Dinstein, IEEE Trans. SMC 3(6):610 (1973). LBP: Ojala, Pietikainen and Maenpaa, IEEE
TPAMI 24(7):971 (2002), the uniform, rotation-invariant kind. Shape: the BI-RADS signs as Flores, Pereira and
Infantosi list them, Pattern Recognition 48(4):1125 (2015).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 256
"""Longer side, pixels, at which texture is measured, so that it does not depend on the export's resolution."""

GLCM_LEVELS = 16
GLCM_DISTANCES = (1, 2, 4)
GLCM_DIRECTIONS = ((0, 1), (-1, 1), (-1, 0), (-1, -1))
"""Row and column steps of 0, 45, 90 and 135 degrees."""

LBP_RADII = (1, 2)
LBP_NEIGHBOURS = 8

GLCM_NAMES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "entropy")
INTENSITY_NAMES = ("mean", "deviation", "skewness", "kurtosis", "p5", "p25", "p50", "p75", "p95", "entropy")
SHAPE_NAMES = (
    "area_share",
    "height_over_width",
    "circularity",
    "solidity",
    "extent",
    "eccentricity",
    "upright",
    "slanted",
    "ring_difference",
    "posterior_difference",
)


def whole_image_features(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Intensity, GLCM and LBP of the whole image: uint8 (H, W) to float64 (66,), no mask needed."""
    small = _resized(grey)
    inside = np.ones(small.shape, bool)
    return np.concatenate([intensity(small, inside), glcm(small, inside), lbp(small, inside)])


def lesion_features(grey: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intensity, GLCM and LBP of the lesion, and its shape: float64 (76,).

    The mask is drawn by a radiologist: a hint that no shipped model gets.

    Args:
        grey: uint8 (H, W).
        mask: bool (H, W), at least one pixel.

    Raises:
        ValueError: the mask is empty or of another size.
    """
    if mask.shape != grey.shape:
        raise ValueError(f"The mask has shape {mask.shape}, the image {grey.shape}.")
    if not mask.any():
        raise ValueError("The mask is empty: there is no lesion to measure.")
    small = _resized(grey)
    inside = cv2.resize(mask.astype(np.uint8), small.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    if not inside.any():
        inside = np.ones(small.shape, bool)
    return np.concatenate([intensity(small, inside), glcm(small, inside), lbp(small, inside), shape(small, inside)])


def intensity(grey: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Moments, percentiles and entropy of the grey levels inside: :data:`INTENSITY_NAMES`."""
    values = grey[inside].astype(np.float64)
    mean, deviation = float(values.mean()), float(values.std())
    standard = (values - mean) / max(deviation, 1e-9)
    share = np.bincount(grey[inside], minlength=256) / len(values)
    return np.array(
        [
            mean,
            deviation,
            float((standard**3).mean()),
            float((standard**4).mean()),
            *np.percentile(values, [5, 25, 50, 75, 95]),
            _entropy(share),
        ]
    )


def glcm(grey: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean and range over four directions of six properties, at three distances: float64 (36,)."""
    levels = (grey.astype(np.intp) * GLCM_LEVELS) // 256
    found = []
    for distance in GLCM_DISTANCES:
        each = np.array(
            [
                glcm_properties(cooccurrence(levels, inside, step=(distance * row, distance * column)))
                for row, column in GLCM_DIRECTIONS
            ]
        )
        found += [each.mean(axis=0), np.ptp(each, axis=0)]
    return np.concatenate(found)


def cooccurrence(
    levels: NDArray[np.intp], inside: NDArray[np.bool_], *, step: tuple[int, int], count: int = GLCM_LEVELS
) -> NDArray[np.float64]:
    """Symmetric, normalised co-occurrence of grey levels ``step`` (rows, columns) apart: (count, count), sum 1.

    Only pairs that lie inside with both pixels count; all zeros where there are none.
    """
    height, width = levels.shape
    down, right = step
    first = np.s_[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    second = np.s_[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    if levels[first].size == 0 or levels[first].shape != levels[second].shape:
        return np.zeros((count, count))
    both = inside[first] & inside[second]
    pairs = levels[first][both] * count + levels[second][both]
    counts = np.bincount(pairs, minlength=count**2).reshape(count, count).astype(np.float64)
    counts += counts.T
    return counts / max(counts.sum(), 1.0)


def glcm_properties(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """:data:`GLCM_NAMES` of a normalised co-occurrence matrix; a constant image has correlation 1."""
    row, column = np.indices(matrix.shape)
    apart = np.abs(row - column)
    mean = float((row * matrix).sum())
    variance = float(((row - mean) ** 2 * matrix).sum())
    covariance = float(((row - mean) * (column - mean) * matrix).sum())
    return np.array(
        [
            float((apart**2 * matrix).sum()),
            float((apart * matrix).sum()),
            float((matrix / (1 + apart**2)).sum()),
            float((matrix**2).sum() ** 0.5),
            covariance / variance if variance > 1e-12 else 1.0,
            _entropy(matrix.ravel()),
        ]
    )


def lbp(grey: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Histograms of uniform, rotation-invariant local binary patterns at two radii: float64 (20,)."""
    return np.concatenate([_lbp_histogram(grey.astype(np.float32), inside, radius=radius) for radius in LBP_RADII])


def lbp_codes(values: NDArray[np.float32], *, radius: int) -> NDArray[np.intp]:
    """Pattern of each pixel: neighbours that are at least as bright (0-8) if at most two changes, else 9. (H, W)."""
    height, width = values.shape
    angles = 2 * np.pi * np.arange(LBP_NEIGHBOURS) / LBP_NEIGHBOURS
    padded = np.pad(values, radius + 1, mode="edge")
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + np.float32(radius + 1)
    brighter = np.stack(
        [
            cv2.remap(
                padded,
                columns + np.float32(radius * np.cos(angle)),
                rows - np.float32(radius * np.sin(angle)),
                cv2.INTER_LINEAR,
            )
            # A sampled neighbour differs from an equal one by rounding; half a grey level is no difference.
            >= values - np.float32(0.5)
            for angle in angles
        ]
    )
    changes = (brighter != np.roll(brighter, 1, axis=0)).sum(axis=0)
    return np.where(changes <= 2, brighter.sum(axis=0), LBP_NEIGHBOURS + 1).astype(np.intp)


def shape(grey: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shape of the largest part of a lesion, and how it stands out from its surroundings: :data:`SHAPE_NAMES`."""
    outlines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)
    _, _, width, height = cv2.boundingRect(outline)
    # Pixels, not the polygon through their centres: a lesion one pixel wide has an area.
    area = float(inside.sum())
    perimeter = max(cv2.arcLength(outline, closed=True), 1.0)
    hull = max(cv2.contourArea(cv2.convexHull(outline)), 1.0)
    moments = cv2.moments(inside.astype(np.uint8), binaryImage=True)
    spread = np.array([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]]) / area
    (small, large), axes = np.linalg.eigh(spread)
    along = axes[:, 1]
    ring = cv2.dilate(inside.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    around = grey[ring & ~inside]
    bottom = int(np.flatnonzero(inside.any(axis=1))[-1]) + 1
    columns = np.flatnonzero(inside.any(axis=0))
    below = grey[bottom : bottom + height, columns[0] : columns[-1] + 1]
    mean = float(grey[inside].mean())
    return np.array(
        [
            area / inside.size,
            height / width,
            min(4 * np.pi * area / perimeter**2, 2.0),
            min(cv2.contourArea(outline) / hull, 1.0),
            area / (height * width),
            (1 - small / large) ** 0.5 if large > 1e-9 else 0.0,
            float(along[1] ** 2 - along[0] ** 2),
            float(2 * along[0] * along[1]),
            float(around.mean()) - mean if around.size else 0.0,
            float(below.mean()) - mean if below.size else 0.0,
        ]
    )


def _lbp_histogram(values: NDArray[np.float32], inside: NDArray[np.bool_], *, radius: int) -> NDArray[np.float64]:
    codes = lbp_codes(values, radius=radius)[inside]
    return np.bincount(codes, minlength=LBP_NEIGHBOURS + 2) / len(codes)


def _entropy(share: NDArray[np.float64]) -> float:
    """Shannon entropy, bits."""
    filled = share[share > 0]
    return float(-(filled * np.log2(filled)).sum())


def _resized(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = SIDE / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, size, interpolation=interpolation), np.uint8)
