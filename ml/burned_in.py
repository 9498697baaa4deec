"""Which pixels of an image may leave the house: the tissue, without what the scanner or a person wrote over it.

Names, numbers and dates are burned into ultrasound frames at the borders, and sometimes within. What is drawn is found
as ``ml.preprocess.overlay`` finds it, what is no tissue as ``sector`` and ``mammogram`` do; in doubt a pixel is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.images import to_grey
from ml.preprocess.intensity import BLACK
from ml.preprocess.mammogram import breast_mask
from ml.preprocess.overlay import coloured_pixels, overlay_mask
from ml.preprocess.sector import Box, sector_mask
from ml.quality import stroke_cover

MARGIN = 4
"""Pixels by which what was drawn is widened: letters are smoothed into their surroundings."""

LINE_REACH, LINE_REACH_SHARE = 32, 0.06
"""Pixels, and share of the longer side, within which two drawn spots beside each other are of one line of text."""

LEAST_LIT = 0.5
"""Share of an image that must be lit for "the whole of it is the field of view" to be believed."""

LEAST_KEPT = 0.05
"""Share of the image below which nothing useful is left."""

MOST_DRAWN = 0.001
"""Share of the image that may still look drawn at the second look: single bright spots of tissue do."""

MOST_STROKES = 0.01
"""Share of the kept pixels near which thin strokes are frequent, as the quality gate counts them, at that look."""


class NotCleanable(ValueError):
    """The image cannot be freed of text with confidence; the message says why and names nobody."""


def tissue(image: NDArray[np.uint8], *, modality: str, regions: Sequence[Box] = ()) -> NDArray[np.bool_]:
    """The pixels that may be kept.

    Args:
        image: uint8 (H, W) grey or (H, W, 3) RGB, as it is shown.
        modality: of ``ml.contract.MODALITIES``.
        regions: where the file says that the ultrasound lies (DICOM (0018,6011)); empty: it is found in the pixels.

    Returns:
        bool (H, W).

    Raises:
        NotCleanable: no field of view can be told from its surround, almost nothing would be left, or something
            still looks written at the second look.
    """
    grey = to_grey(image)
    kept = _field_of_view(grey, modality=modality, regions=regions)
    drawn = _whole_lines(overlay_mask(grey, margin=MARGIN))
    if image.ndim == 3:
        colours = coloured_pixels(image).astype(np.uint8)
        drawn |= cv2.dilate(colours, np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)) > 0
    kept &= ~drawn
    if kept.mean() < LEAST_KEPT:
        raise NotCleanable("almost nothing is left when everything outside the field of view is blackened")
    _look_again(grey, kept)
    return kept


def _whole_lines(drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Close the gaps of a line of text: a letter that was not found stands between two that were."""
    reach = max(LINE_REACH, round(max(drawn.shape) * LINE_REACH_SHARE))
    room = np.pad(drawn.astype(np.uint8), reach)
    closed = cv2.morphologyEx(room, cv2.MORPH_CLOSE, np.ones((reach // 4 | 1, reach | 1), np.uint8))
    widened = cv2.dilate(closed, np.ones((3, reach // 2 | 1), np.uint8))
    return widened[reach:-reach, reach:-reach] > 0


def _field_of_view(grey: NDArray[np.uint8], *, modality: str, regions: Sequence[Box]) -> NDArray[np.bool_]:
    if modality != "US":
        breast = breast_mask(grey)
        if not breast.any():
            raise NotCleanable("no breast stands out from the background")
        return breast
    sector = sector_mask(grey)
    if not regions:
        if sector.all() and (grey > BLACK).mean() < LEAST_LIT:
            raise NotCleanable("the field of view cannot be told from its surround")
        return sector
    inside = np.zeros(grey.shape, bool)
    for region in regions:
        inside[region.top : region.bottom, region.left : region.right] = True
    return inside & sector


def _look_again(grey: NDArray[np.uint8], kept: NDArray[np.bool_]) -> None:
    """Search what is kept for writing once more; holes are filled from beside, or their edges would look drawn."""
    filled = np.where(kept, grey, np.uint8(0))
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    box = Box(top=int(rows[0]), left=int(columns[0]), bottom=int(rows[-1]) + 1, right=int(columns[-1]) + 1)
    inner, holes = box.cut(filled), ~box.cut(kept.astype(np.uint8)).astype(bool)
    smooth = np.asarray(
        cv2.inpaint(np.ascontiguousarray(inner), holes.astype(np.uint8), 3, cv2.INPAINT_TELEA), np.uint8
    )
    again = overlay_mask(smooth, margin=0) & ~holes
    if again.mean() > MOST_DRAWN:
        raise NotCleanable(f"at the second look {again.mean():.1%} of the image still looks drawn")
    strokes = stroke_cover(smooth)
    if strokes > MOST_STROKES:
        raise NotCleanable(f"at the second look {strokes:.1%} of the image is covered by strokes as text is")
