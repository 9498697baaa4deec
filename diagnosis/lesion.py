"""The outlined lesion as it is stored: its mask as a file, its measurements, and its outline for the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.contract import Segmentation

OUTLINE_TOLERANCE_PX = 0.75
"""How far the drawn outline may lie from the mask's edge: less than a pixel, with a tenth of the points."""
MOST_PARTS = 20
MOST_POINTS = 2_000
"""Parts of a mask, and points of their outlines together, that are kept for drawing. The mask has them all."""
PNG_COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 6]


@dataclass(frozen=True, slots=True)
class Lesion:
    """What is kept of a :class:`ml.contract.Segmentation`.

    Attributes:
        mask_png: one-channel PNG of the image's size, 0 or 255.
        measures: JSON values: ``area_share`` (0-1), ``area_px``, ``area_mm2`` or ``None``, ``longest_diameter_px``,
            ``longest_diameter_mm`` or ``None``, ``box`` ``[top, left, bottom, right]`` in pixels (bottom and right
            exclusive), and ``outline``: closed polygons of ``[x, y]`` in pixels, for drawing.
    """

    mask_png: bytes
    measures: dict[str, Any]


def kept(found: Segmentation, *, row_spacing_mm: float | None, column_spacing_mm: float | None) -> Lesion:
    """Turn a segmentation into what is stored.

    Args:
        found: from the pipeline.
        row_spacing_mm: distance of two rows, DICOM PS3.3 10.7.1.3; ``None`` where the file does not tell.
        column_spacing_mm: distance of two columns.

    Returns:
        millimetres only where both spacings are known: a measure that was not made is ``None``, never guessed.
    """
    done, png = cv2.imencode(".png", found.mask, PNG_COMPRESSION)
    if not done:
        raise RuntimeError("OpenCV could not encode the mask as PNG.")
    contours = _contours(found.mask)
    area_mm2 = diameter_mm = None
    if row_spacing_mm and column_spacing_mm:
        area_mm2 = round(found.area_px * row_spacing_mm * column_spacing_mm, 1)
        spacing = np.array([column_spacing_mm, row_spacing_mm])
        diameter_mm = round(longest_distance(contours[0].reshape(-1, 2) * spacing), 1)
    return Lesion(
        mask_png=png.tobytes(),
        measures={
            "area_share": round(float(found.area_share), 4),
            "area_px": int(found.area_px),
            "area_mm2": area_mm2,
            "longest_diameter_px": round(float(found.diameter_px), 1),
            "longest_diameter_mm": diameter_mm,
            "box": [int(edge) for edge in found.box],
            "outline": _simplified(contours),
        },
    )


def longest_distance(points: NDArray[np.float64]) -> float:
    """Longest distance between two of the points, (N, 2) of x and y in one unit; 0 for a single point."""
    hull = cv2.convexHull(points.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    return float(np.sqrt(((hull[:, None] - hull[None]) ** 2).sum(axis=2).max()))


def _contours(mask: NDArray[np.uint8]) -> list[NDArray[np.int32]]:
    """Outer edges of the mask's parts, each (N, 1, 2) of x and y; the largest part first."""
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return sorted((np.asarray(contour, np.int32) for contour in found), key=cv2.contourArea, reverse=True)


def _simplified(contours: list[NDArray[np.int32]]) -> list[list[list[int]]]:
    polygons: list[list[list[int]]] = [
        cv2.approxPolyDP(contour, OUTLINE_TOLERANCE_PX, closed=True).reshape(-1, 2).astype(int).tolist()
        for contour in contours[:MOST_PARTS]
    ]
    # The largest part is drawn whatever its edge; the others while there is room.
    drawn, points = polygons[:1], len(polygons[0])
    for polygon in polygons[1:]:
        points += len(polygon)
        if points > MOST_POINTS:
            break
        drawn.append(polygon)
    return drawn
