"""What the scanner wrote over an ultrasound image: text, calipers, measuring lines, depth scales, logos.

Such marks betray how an image was made (a measured lesion carries calipers, a normal breast none), so a network could
read them instead of the tissue. They are found by what tissue cannot do: lateral resolution smears every echo sideways
over several pixels, so a bright stroke that is thin from left to right and straight down is drawn, not received.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WORK_SIDE = 512
"""Longer side, pixels, above which an image is shrunk to look for marks."""

STROKE = 9
"""Width, pixels, that no stroke of a letter or caliper reaches."""

LEAST_STEP, MOST_STEP = 28, 55
"""Grey levels by which a stroke must stand out from both sides: on smooth images, and on speckled ones."""

LONE_STEP = 45
"""The least step of a mark that stands alone: a single digit or caliper is more easily mistaken than a word."""

STEPS_OVER_SPECKLE = 7
"""How many times the image's mean stroke, which is speckle, a drawn one must reach within those bounds."""

LEAST_COLOUR = 48
"""Levels between a pixel's channels from which it is coloured: B-mode ultrasound is grey."""

CALIPER_SIZES = (9, 11, 13, 15, 19)
"""Sides, pixels, of the crosses that are looked for."""

LEAST_LIKENESS = {9: 0.66, 11: 0.64}
"""Correlation with a cross from which a place is a caliper, by the cross's side; 0.62 for the larger ones, which
speckle resembles less."""


def coloured_pixels(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where an RGB image is not grey: coloured markers, logos, Doppler. uint8 (H, W, 3) to bool (H, W)."""
    return (image.max(axis=2).astype(np.int16) - image.min(axis=2)) > LEAST_COLOUR


def overlay_mask(grey: NDArray[np.uint8], *, margin: int = 2) -> NDArray[np.bool_]:
    """Pixels that were drawn over the ultrasound.

    Args:
        grey: uint8 (H, W), a B-mode frame.
        margin: pixels by which what is found is widened, because glyphs are smoothed into their surroundings.

    Returns:
        bool (H, W). Calcifications in one bright spot can be taken for a dot of a measuring line; ``docs/ablations.md``
        gives the failures counted on real images.
    """
    scale = min(1.0, WORK_SIDE / max(grey.shape))
    if scale < 1.0:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        small = grey
    if min(small.shape) < 2 * STROKE:
        return np.zeros(grey.shape, bool)
    strokes = _strokes(small)
    step = float(np.clip(STEPS_OVER_SPECKLE * strokes.mean(), LEAST_STEP, MOST_STEP))
    crosses, centres = _calipers(small, step=max(step, LONE_STEP))
    found = (
        _glyphs(small, strokes, step=max(step, LONE_STEP))
        | _words(strokes, step=step)
        | crosses
        | _measuring_lines(small, centres)
    )
    if margin:
        found = cv2.dilate(found.astype(np.uint8), np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)) > 0
    if scale < 1.0:
        return np.asarray(cv2.resize(found.astype(np.uint8), grey.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0)
    return found


def remove_overlay(
    grey: NDArray[np.uint8], *, margin: int = 2, extra: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Fill what :func:`overlay_mask` finds from its surroundings (Telea, J. Graphics Tools 9(1):23, 2004).

    Args:
        grey: uint8 (H, W).
        margin: as in :func:`overlay_mask`.
        extra: bool (H, W), further pixels to fill, such as :func:`coloured_pixels`.
    """
    found = overlay_mask(grey, margin=margin)
    if extra is not None:
        found = found | extra
    if not found.any() or found.all():
        return grey
    return np.asarray(cv2.inpaint(grey, found.astype(np.uint8), 3, cv2.INPAINT_TELEA), np.uint8)


def _glyphs(grey: NDArray[np.uint8], strokes: NDArray[np.uint8], *, step: float) -> NDArray[np.bool_]:
    """Letters, digits, brackets, logos and the ticks of scales: glyph-sized spots with a drawn stroke."""
    # Speckle that is as sharp everywhere is a property of the scanner, not a mark. Text itself is capped, or a
    # dense line of it would count as such speckle.
    usual = cv2.blur(np.minimum(strokes, np.uint8(step)), (81, 81), borderType=cv2.BORDER_REFLECT).astype(np.float32)
    seeds = (strokes >= step) & (strokes > 5 * usual)
    spots = (cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((13, 13), np.uint8)) >= step) & (grey >= 90)
    _, parts, stats, middles = cv2.connectedComponentsWithStats(spots.astype(np.uint8), connectivity=8)
    seeded = np.bincount(parts[seeds], minlength=len(stats))
    height = np.asarray(stats[:, cv2.CC_STAT_HEIGHT], np.float64)
    width = np.asarray(stats[:, cv2.CC_STAT_WIDTH], np.float64)
    tallest = _tallest(grey)
    sized = (height >= 5) & (height <= tallest) & (width <= 6 * tallest)
    sized[0] = False
    drawn = seeded / np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    # A strand of tissue is long, thin and flat; several letters grown together are long but full of strokes.
    glyph = sized & (seeded >= 3) & (drawn >= np.where(width <= 3 * height, 0.12, 0.18))
    glyph |= _beside(
        glyph, sized & (width <= 2 * height), height=height, width=width, centres=np.asarray(middles, np.float64)
    )
    return glyph[parts]


def _words(strokes: NDArray[np.uint8], *, step: float) -> NDArray[np.bool_]:
    """Rows of strokes side by side: words whose letters have grown together with the tissue behind them."""
    drawn = (strokes >= step).astype(np.uint8)
    rows = cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, np.ones((3, 11), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(rows, connectivity=8)
    pieces, piece_of = cv2.connectedComponents(drawn, connectivity=8)
    first = np.zeros(pieces, np.intp)
    first[piece_of] = parts
    strokes_in = np.bincount(first[1:], minlength=count)
    height, width = stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_WIDTH]
    filled = np.bincount(parts[drawn > 0], minlength=count) / np.maximum(height * width, 1)
    tallest = _tallest(strokes)
    word = (strokes_in >= 4) & (height >= 6) & (height <= tallest) & (width >= 2 * height) & (filled >= 0.2)
    word[0] = False
    return word[parts]


def _beside(
    glyph: NDArray[np.bool_],
    candidate: NDArray[np.bool_],
    *,
    height: NDArray[np.float64],
    width: NDArray[np.float64],
    centres: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Candidates that continue a line of text: as high as a glyph, on its line, less than two letters away."""
    accepted = np.zeros_like(glyph)
    reached = np.flatnonzero(glyph)
    for _ in range(3):
        waiting = np.flatnonzero(candidate & ~glyph & ~accepted)
        if not len(waiting) or not len(reached):
            break
        tall = height[reached][None]
        alike = np.abs(height[waiting][:, None] - tall) <= 0.2 * tall
        level = np.abs(centres[waiting, 1][:, None] - centres[reached, 1][None]) <= 0.2 * tall
        apart = np.abs(centres[waiting, 0][:, None] - centres[reached, 0][None])
        near = apart - width[waiting][:, None] / 2 - width[reached][None] / 2 <= 1.2 * tall
        reached = waiting[(alike & level & near).any(axis=1)]
        accepted[reached] = True
    return accepted


def _tallest(grey: NDArray[np.uint8]) -> int:
    """Height, pixels, above which a spot is no letter."""
    return max(12, round(max(grey.shape) * 0.06))


def _strokes(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How much each pixel belongs to a thin bright stroke, upright or italic, of some length; grey levels."""
    sideways = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((1, STROKE), np.uint8))
    upright = cv2.morphologyEx(sideways, cv2.MORPH_OPEN, np.ones((4, 1), np.uint8))
    return np.asarray(np.maximum(upright, cv2.morphologyEx(sideways, cv2.MORPH_OPEN, _ITALIC)), np.uint8)


def _calipers(grey: NDArray[np.uint8], *, step: float) -> tuple[NDArray[np.bool_], list[tuple[int, int]]]:
    """Upright and diagonal crosses, and both in one: their pixels, and their centres (row, column)."""
    detail = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((STROKE, STROKE), np.uint8))
    found = np.zeros(grey.shape, np.uint8)
    centres: list[tuple[int, int]] = []
    for template in _CROSSES:
        side = len(template)
        if side > min(grey.shape):
            continue
        likeness = cv2.matchTemplate(detail, template, cv2.TM_CCOEFF_NORMED)
        places = np.argwhere(likeness >= LEAST_LIKENESS.get(side, 0.62))
        highest = cv2.dilate(likeness, np.ones((side, side)))
        for top, left in places[likeness[tuple(places.T)] == highest[tuple(places.T)]].tolist():
            if detail[top : top + side, left : left + side][template > 0].mean() < step:
                continue
            found[top : top + side, left : left + side] |= template
            row, column = top + side // 2, left + side // 2
            # One caliper resembles crosses of several sizes; it is one end of a measuring line all the same.
            if all(abs(row - other) + abs(column - another) > 6 for other, another in centres):
                centres.append((row, column))
    return found > 0, centres


def _measuring_lines(grey: NDArray[np.uint8], centres: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """Dotted lines between two calipers: along them the image is brighter than on both sides, dot after dot."""
    detail = np.asarray(cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((5, 5), np.uint8)), np.uint8)
    found = np.zeros(grey.shape, np.uint8)
    for first, (top, left) in enumerate(centres):
        for bottom, right in centres[:first]:
            length = int(np.hypot(bottom - top, right - left))
            if length < 24:
                continue
            along = np.linspace(0.1, 0.9, length)[:, None]
            path = np.array([top, left]) + along * np.array([bottom - top, right - left])
            normal = np.array([right - left, top - bottom]) / length
            aside = np.maximum(_brightest(detail, path - 5 * normal), _brightest(detail, path + 5 * normal))
            # The centres are known to a pixel only, so the line may run a pixel beside the path.
            dotted = max(float((_brightest(detail, path + off * normal) > 12 + aside).mean()) for off in (-1, 0, 1))
            if dotted > 0.5:
                cv2.line(found, (left, top), (right, bottom), 1, 3)
    return found > 0


def _brightest(detail: NDArray[np.uint8], path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Greatest value among three neighbours along a path (N, 2), so that the gaps between dots do not count."""
    places = np.clip(np.rint(path).astype(int), 0, np.array(detail.shape) - 1)
    values = detail[places[:, 0], places[:, 1]].astype(np.float64)
    return np.maximum.reduce([values, np.roll(values, 1), np.roll(values, -1)])


def _crosses() -> tuple[NDArray[np.uint8], ...]:
    templates = []
    for side in CALIPER_SIZES:
        thickness = 1 if side < 13 else 2
        middle = side // 2
        upright = np.zeros((side, side), np.uint8)
        upright[middle : middle + thickness] = 1
        upright[:, middle : middle + thickness] = 1
        diagonal = np.eye(side, dtype=np.uint8)
        diagonal = np.asarray(cv2.dilate(np.maximum(diagonal, diagonal[:, ::-1]), np.ones((1, thickness))), np.uint8)
        star = diagonal.copy()
        star[:, middle : middle + thickness] = 1
        templates += [upright, diagonal, star]
    return tuple(templates)


_CROSSES = _crosses()

_ITALIC = np.array([[0, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]], np.uint8)
"""A stroke of a slanted letter, as in the makers' logos."""
