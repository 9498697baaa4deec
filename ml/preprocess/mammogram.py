"""Where the breast lies on a mammogram, and where the pectoral muscle.

Written for one view of one breast, film or digital, with a dark background; the chest wall may lie on either side.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Side = Literal["left", "right"]

WORK_SIDE = 256
"""Longer side, pixels, at which masks are found. The outline of a breast needs no more, and it is 16 times faster."""

LEAST_AREA = 0.02
"""Share of the image that must be brighter than the background for it to be called a breast."""

LEAST_RANGE = 16
"""Grey levels between the darkest and the brightest place of a film that shows anything."""

LEAST_EDGE = 5.0
"""Grey levels by which the muscle must be brighter than the breast beside it, on average along its edge."""

STEP_CLIP = 14.0
"""Grey levels at which a step of brightness counts in full."""

LEAST_UNBROKEN = 0.8
"""Share of the muscle's edge along which it must be brighter than the breast beside it."""


def breast_mask(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The breast with the muscle: labels, tags, tape and scratches in the background are left out.

    Threshold above the background's own noise, opening that cuts what merely touches, then the component with most
    light in it; its holes are filled.

    Args:
        grey: uint8 (H, W).

    Returns:
        bool (H, W); all false where nothing stands out from the background.
    """
    small = _shrunk(grey)
    smooth = np.asarray(cv2.GaussianBlur(small, (5, 5), 0), np.uint8)
    if int(smooth.max()) - int(smooth.min()) < LEAST_RANGE:
        return np.zeros(grey.shape, bool)
    level = _background_level(smooth)
    foreground = (smooth > level).astype(np.uint8)
    radius = max(1, round(max(small.shape) * 0.012))
    opened = cv2.morphologyEx(foreground, cv2.MORPH_OPEN, _disc(radius))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return np.zeros(grey.shape, bool)
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)
    best = 1 + int(np.argmax(areas))
    if areas[best - 1] < LEAST_AREA * small.size:
        return np.zeros(grey.shape, bool)
    # Fat at the chest wall is nearly as dark as the background of a digital film: bays in the outline are closed.
    closing = 4 * radius
    room = np.pad((parts == best).astype(np.uint8), closing)
    closed = cv2.morphologyEx(room, cv2.MORPH_CLOSE, _disc(closing))[closing:-closing, closing:-closing]
    return _enlarged(_filled(closed > 0), grey.shape)


def chest_side(breast: NDArray[np.bool_]) -> Side:
    """The side of the image at which the chest wall lies: there the breast ends in a straight, tall edge.

    Args:
        breast: bool (H, W) from :func:`breast_mask`; an empty mask reads ``left``.
    """
    columns = np.flatnonzero(breast.any(axis=0))
    if len(columns) < 2:
        return "left"
    heights = breast.sum(axis=0)[columns[0] : columns[-1] + 1]
    quarter = max(1, len(heights) // 5)
    return "left" if heights[:quarter].sum() >= heights[-quarter:].sum() else "right"


def pectoral_mask(grey: NDArray[np.uint8], breast: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """The pectoral muscle of a mediolateral oblique view: the bright wedge between chest wall and upper edge.

    The muscle's edge is first sought as the straight line with the greatest mean step from bright to dark (as
    Karssemeijer, Phys. Med. Biol. 43(2):365, 1998, does by Hough transform), then let go its own way within a band
    round that line by dynamic programming.

    Args:
        grey: uint8 (H, W).
        breast: its breast mask, where the caller already has it.

    Returns:
        bool (H, W); all false where no edge is clear enough, as on craniocaudal views.
    """
    breast = breast_mask(grey) if breast is None else breast
    empty = np.zeros(grey.shape, bool)
    small = _shrunk(grey)
    inside = cv2.resize(breast.astype(np.uint8), small.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    if inside.sum() < LEAST_AREA * small.size:
        return empty
    right = chest_side(inside) == "right"
    if right:
        small, inside = small[:, ::-1], inside[:, ::-1]
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    bottom, outer = int(rows[-1]) + 1, int(columns[-1]) + 1
    edge = _muscle_edge(small[top:bottom, left:outer], inside[top:bottom, left:outer])
    if edge is None:
        return empty
    found = np.zeros(inside.shape, bool)
    across = np.arange(outer - left)
    found[top : top + len(edge), left:outer] = across[None] < edge[:, None]
    found &= inside
    if right:
        found = found[:, ::-1]
    return _enlarged(found, grey.shape) & breast


def keep_breast(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blacken everything outside the breast: labels, tags, film edges. Unchanged where no breast is found."""
    breast = breast_mask(grey)
    return np.where(breast, grey, np.uint8(0)) if breast.any() else grey


def remove_pectoral(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blacken the pectoral muscle. Unchanged where none is found."""
    return np.where(pectoral_mask(grey), np.uint8(0), grey)


def _muscle_edge(box: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Column of the muscle's edge for each row from the top of the breast's box, chest wall on the left."""
    height, width = box.shape
    if height < 16 or width < 16:
        return None
    step = max(2, round(max(box.shape) * 0.02))
    smooth = cv2.GaussianBlur(box, (0, 0), step / 2).astype(np.float32)
    # Bright on the chest's side, dark on the other: by how much, at each pixel, along the muscle's usual normal.
    edges = _step_down(smooth, step)
    # Towards the skin every breast darkens: that step is none of the muscle's.
    depth = cv2.distanceTransform(np.pad(inside.astype(np.uint8), ((1, 1), (0, 1)), mode="edge"), cv2.DIST_L2, 3)
    edges[depth[1:-1, :-1] < 0.10 * width] = 0
    line = _best_line(edges, inside)
    if line is None:
        return None
    return _followed(edges, line, band=max(3, round(width * 0.06)))


def _step_down(smooth: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Brightness drop across ``step`` pixels in the direction right and down, clipped so no single spot decides."""
    padded = cv2.copyMakeBorder(smooth, step, step, step, step, cv2.BORDER_REPLICATE)
    height, width = smooth.shape
    before = padded[step // 2 : step // 2 + height, :width]
    after = padded[2 * step - step // 2 :, 2 * step :][:height, :width]
    return np.clip(before - after, -STEP_CLIP, STEP_CLIP).astype(np.float32)


def _best_line(edges: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """The straight edge with the greatest mean step: its column for each row until it meets the chest wall."""
    height, width = edges.shape
    top_width = int(np.flatnonzero(inside[: max(1, height // 20)].any(axis=0)).max(initial=0)) + 1
    best, chosen = -np.inf, None
    for reach in np.arange(0.10, 1.0, 0.025) * min(top_width * 1.2, width):
        for depth in np.arange(0.12, 0.78, 0.02) * height:
            # From nearly vertical to 50 degrees off: no muscle lies flatter in an oblique view.
            if not 0.8 * reach <= depth <= 6 * reach:
                continue
            rows = np.arange(int(depth))
            columns = reach * (1 - rows / depth)
            places = columns.astype(int)
            valid = inside[rows, np.minimum(places, width - 1)]
            if valid.sum() < 0.6 * len(rows):
                continue
            values = edges[rows, np.minimum(places, width - 1)][valid]
            if (values > 0.25 * LEAST_EDGE).mean() < LEAST_UNBROKEN:
                continue
            # A long edge is worth more than a short one of the same height.
            score = float(values.mean()) * (len(values) / height) ** 0.25
            if score > best and values.mean() >= LEAST_EDGE:
                best, chosen = score, columns
    return chosen


def _followed(edges: NDArray[np.float32], line: NDArray[np.float64], *, band: int) -> NDArray[np.float64]:
    """The strongest path within ``band`` columns of the line that moves at most one column a row against it."""
    rows = np.arange(len(line))
    offsets = np.arange(-band, band + 1)
    columns = np.clip(np.rint(line[:, None] + offsets).astype(int), 0, edges.shape[1] - 1)
    # A gentle pull to the line, so that the path does not stray where there is no edge.
    gain = edges[rows[:, None], columns] - 4.0 * (offsets / band) ** 2
    total = gain.copy()
    came = np.zeros(gain.shape, int)
    for row in rows[1:]:
        previous = np.pad(total[row - 1], 1, constant_values=-np.inf)
        choices = np.stack([previous[:-2], previous[1:-1], previous[2:]])
        came[row] = choices.argmax(axis=0) - 1
        total[row] += choices.max(axis=0)
    place = int(total[-1].argmax())
    path = np.zeros(len(line))
    for row in rows[::-1]:
        path[row] = line[row] + offsets[place]
        place = min(max(place + came[row, place], 0), len(offsets) - 1)
    return np.maximum(path, 0)


def _background_level(smooth: NDArray[np.uint8]) -> int:
    """Grey level above which a pixel is no background: a sixth of the way from the background to Otsu's threshold."""
    otsu, _ = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark = smooth[smooth <= otsu]
    background = float(np.median(dark)) if dark.size else 0.0
    return int(max(background + (otsu - background) / 6, background + 4))


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without holes."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, thickness=cv2.FILLED)
    return filled > 0


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _shrunk(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image with a longer side of at most ``WORK_SIDE`` pixels, each side at least one."""
    scale = min(1.0, WORK_SIDE / max(grey.shape))
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return grey if scale == 1.0 else np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _enlarged(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask at the image's own size, with a smooth outline."""
    if mask.shape == tuple(shape):
        return mask
    return np.asarray(cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR) > 0.5)
