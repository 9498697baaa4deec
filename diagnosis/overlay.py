"""Draws on an image what a model found.

The activation map: as a see-through layer for the screen, and on top of the image for paper. The outline of the lesion
and the marks: for paper; the screen draws its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_ALPHA = 0.7
"""Opacity of the layer where the map is 1: the tissue below stays readable."""
PNG_COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 1]
MAP_LEVELS = 64
"""Steps of the map. The 7 x 7 grid it comes from carries no more, and the file is a third of the size."""

DARK_LINE, LIGHT_LINE = (0, 0, 0), (255, 227, 127)
"""Blue-green-red. A light line on a dark one shows on white and on black tissue, in colour and in grey."""


def layer(class_map: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the map as a see-through colour layer.

    Args:
        class_map: float (H, W), 0-1.

    Returns:
        uint8 (H, W, 4), blue-green-red-alpha (OpenCV's order), *inferno* colours, which keep their order of
        brightness in print and for colour-blind readers; transparent where the map is 0.
    """
    levels = np.round(np.clip(class_map, 0.0, 1.0) * (MAP_LEVELS - 1)).astype(np.uint8)
    table = np.zeros((1, 256, 4), dtype=np.uint8)
    steps = np.linspace(0, 255, MAP_LEVELS).round().astype(np.uint8)
    table[0, :MAP_LEVELS, :3] = cv2.applyColorMap(steps.reshape(1, -1), cv2.COLORMAP_INFERNO)[0]
    table[0, :MAP_LEVELS, 3] = np.round(steps * MAX_ALPHA)
    return cv2.LUT(cv2.merge([levels] * 4), table).astype(np.uint8, copy=False)


def layer_png(class_map: NDArray[np.float32]) -> bytes:
    """Return :func:`layer` as a PNG file of the map's own size."""
    return _png(layer(class_map))


def composite_png(pixels: NDArray[np.uint8], overlay: NDArray[np.uint8]) -> bytes:
    """Return the image with the layer on it, as an RGB PNG file.

    Args:
        pixels: uint8 (H, W) grey or (H, W, 3) blue-green-red.
        overlay: uint8 (H, W, 4) of the same size, from :func:`layer`.
    """
    base = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels
    alpha = overlay[..., 3:].astype(np.float32) / 255.0
    mixed = base.astype(np.float32) * (1.0 - alpha) + overlay[..., :3].astype(np.float32) * alpha
    return _png(np.round(mixed).astype(np.uint8))


def outlined_png(
    pixels: NDArray[np.uint8],
    *,
    polygons: Sequence[Sequence[Sequence[int]]],
    marks: Sequence[Mapping[str, float]] = (),
) -> bytes:
    """Return the image with outlines and numbered marks on it, as an RGB PNG file.

    Args:
        pixels: uint8 (H, W) grey or (H, W, 3) blue-green-red.
        polygons: closed outlines of ``[x, y]``, see :class:`diagnosis.lesion.Lesion`.
        marks: ``row``, ``column``, ``radius`` in pixels; numbered in their order, from 1.
    """
    drawn = np.array(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels, np.uint8)
    # On paper a line has a width of its own: a quarter of a millimetre where the picture takes 56 mm.
    width = max(1, round(max(drawn.shape[:2]) / 220))
    shapes = [np.asarray(polygon, np.int32).reshape(-1, 1, 2) for polygon in polygons]
    for colour, thickness in ((DARK_LINE, 2 * width), (LIGHT_LINE, width)):
        cv2.polylines(drawn, shapes, isClosed=True, color=colour, thickness=thickness, lineType=cv2.LINE_AA)
        for number, mark in enumerate(marks, start=1):
            centre, radius = (round(mark["column"]), round(mark["row"])), max(1, round(mark["radius"]))
            cv2.circle(drawn, centre, radius, colour, thickness, cv2.LINE_AA)
            beside = (centre[0] + round(0.75 * radius) + width, centre[1] - round(0.75 * radius) - width)
            cv2.putText(
                drawn, str(number), beside, cv2.FONT_HERSHEY_SIMPLEX, 0.55 * width, colour, thickness, cv2.LINE_AA
            )
    return _png(drawn)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", pixels, PNG_COMPRESSION)
    if not done:
        raise RuntimeError("OpenCV could not encode the map as PNG.")
    return data.tobytes()
