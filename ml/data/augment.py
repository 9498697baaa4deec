"""Random views of one image, as another operator, scanner or export might have produced it.

Augmentation runs per image after the split: no view ever crosses from one fold to another.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.images import Letterbox
from ml.looks.closeup import CloseUp, box_of

OVERSIZE = 1.3
"""Geometric transforms start from a canvas this much larger than the output, so that zooming in loses no detail."""


SHADOWS = 0.15
"""Share of the views with masks that get an acoustic shadow."""

ANNOTATIONS = 0.3
"""Share of the views with masks on which text or calipers are burned in. In BUSI they go with the class; drawn at
random on every class they stop telling anything."""

CLEAR_SIZES = (0.4, 0.9)
"""Smallest and largest side of a square without a lesion, as a share of the image's shorter side."""

CLEAR_MARGIN = 1.1
"""Side of the square that must be free of lesion over the side of the one that is shown: lesions have halos."""

CLEAR_TRIES = 40
"""Random squares that are looked at before an image counts as having no room for one."""


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
    view = _Geometry.draw(side=side, random=random).apply(_margins(grey, random))
    return _as_exported(view, random)


def random_view_with_mask(
    grey: NDArray[np.uint8], mask: NDArray[np.uint8], *, side: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One augmented view as :func:`random_view` makes it, with the lesion mask moved along.

    Args:
        grey: uint8 (H, W).
        mask: uint8 (H, W), 0 or 255.
        side: side of the output, pixels.
        random: source of all randomness.

    Returns:
        the view and its mask, uint8 (side, side) each; the mask has soft edges.
    """
    geometry = _Geometry.draw(side=side, random=random)
    both = _margins(np.dstack([grey, mask]), random)
    view = geometry.apply(np.ascontiguousarray(both[..., 0]))
    moved = geometry.apply(np.ascontiguousarray(both[..., 1]))
    return _as_exported(view, random, shadows=SHADOWS, annotations=ANNOTATIONS), moved


def random_close_view(
    grey: NDArray[np.uint8], mask: NDArray[np.uint8], *, side: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One augmented close look at the lesion, with its mask; where there is no lesion, at a random place.

    The square's centre and size carry the error that an outline found by the first look would have.

    Args, returns: as :func:`random_view_with_mask`.
    """
    height, width = grey.shape
    box = box_of(mask > 0)
    if box is None:
        size = float(random.uniform(0.3, 0.8)) * min(height, width)
        row, column = random.uniform(0.2, 0.8, 2) * (height, width)
        square = CloseUp.centred(row=row, column=column, size=size)
    else:
        exact = CloseUp.round_box(box, height=height, width=width)
        size = exact.size * float(np.exp(random.uniform(-0.3, 0.3)))
        row, column = random.uniform(-0.12, 0.12, 2) * exact.size + exact.size / 2
        square = CloseUp.centred(row=exact.top + row, column=exact.left + column, size=size)
    geometry = _Geometry.draw(side=side, random=random, zoom=1.1, shift=0.02)
    view, moved = geometry.apply(square.cut(grey)), geometry.apply(square.cut(mask))
    return _as_exported(view, random, shadows=SHADOWS, annotations=ANNOTATIONS), moved


def random_clear_view(
    grey: NDArray[np.uint8], mask: NDArray[np.uint8], *, side: int, random: np.random.Generator
) -> NDArray[np.uint8] | None:
    """One augmented square of the image that holds no lesion: tissue as a normal image shows it.

    Of the collections here only one has normal images, and few; without such squares a network can tell the hospital
    instead of the absence of a lesion.

    Args:
        grey: uint8 (H, W).
        mask: uint8 (H, W), 0 or 255.
        side: side of the output, pixels.
        random: source of all randomness.

    Returns:
        uint8 (side, side), or ``None`` where no such square was found.
    """
    height, width = grey.shape
    for _ in range(CLEAR_TRIES):
        size = float(random.uniform(*CLEAR_SIZES)) * min(height, width)
        row, column = (random.uniform(size / 2, length - size / 2) for length in (height, width))
        square = CloseUp.centred(row=row, column=column, size=size)
        wider = CloseUp.centred(row=row, column=column, size=size * CLEAR_MARGIN)
        if not wider.cut(mask).any():
            geometry = _Geometry.draw(side=side, random=random, zoom=1.1, shift=0.02)
            view = geometry.apply(square.cut(grey))
            return _as_exported(view, random, shadows=SHADOWS, annotations=ANNOTATIONS)
    return None


def _as_exported(
    view: NDArray[np.uint8], random: np.random.Generator, *, shadows: float = 0.0, annotations: float = 0.0
) -> NDArray[np.uint8]:
    """Everything but the geometry: shadow, depth gain, gain and gamma, speckle, blur, burned-in marks, JPEG.

    ``shadows`` and ``annotations`` are the shares of the views that get them.
    """
    side = len(view)
    pixels = view.astype(np.float32) / np.float32(255)
    if shadows and random.random() < shadows:
        pixels *= acoustic_shadow(side, random)
    if random.random() < 0.3:
        pixels *= _depth_gain(side, random)
    pixels = change_gain(pixels, random)
    if random.random() < 0.4:
        pixels = add_speckle(pixels, random)
    if random.random() < 0.15:
        blurred = cv2.GaussianBlur(pixels, (0, 0), float(random.uniform(0.4, 1.2)))
        pixels = np.asarray(blurred, np.float32)
    out = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    if annotations and random.random() < annotations:
        draw_annotations(out, random)
    if random.random() < 0.25:
        out = recompress(out, random)
    return out


def _margins(grey: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Cut up to 10 % from each edge, on half of the views."""
    if random.random() < 0.5:
        return grey
    height, width = grey.shape[:2]
    top, bottom = (int(height * share) for share in random.uniform(0, 0.10, 2))
    left, right = (int(width * share) for share in random.uniform(0, 0.10, 2))
    return grey[top : height - bottom, left : width - right]


@dataclass(frozen=True, slots=True)
class _Geometry:
    """Zoom, stretch, rotation, flip and shift of one view, so that image and mask move alike."""

    side: int
    matrix: NDArray[np.float64]

    @classmethod
    def draw(cls, *, side: int, random: np.random.Generator, zoom: float = 1.3, shift: float = 0.08) -> _Geometry:
        large = round(side * OVERSIZE)
        scale = float(np.exp(random.uniform(-np.log(zoom) * 0.62, np.log(zoom)))) * side / large
        stretch = float(np.exp(random.uniform(-0.08, 0.08)))
        angle = np.deg2rad(random.uniform(-10, 10))
        flip = -1.0 if random.random() < 0.5 else 1.0
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = turn @ np.diag([scale * stretch * flip, scale / stretch])
        moved = np.array([side, side]) / 2 + random.uniform(-shift, shift, 2) * side
        return cls(side=side, matrix=np.column_stack([linear, moved - linear @ (np.array([large, large]) / 2)]))

    def apply(self, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        canvas = plain_view(grey, side=round(self.side * OVERSIZE))
        warped = cv2.warpAffine(canvas, self.matrix, (self.side, self.side), flags=cv2.INTER_LINEAR)
        return np.asarray(warped, np.uint8)


def acoustic_shadow(side: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A dark band that begins at some depth and widens downwards, as behind a rib or gas: factors (side, side)."""
    rows = np.arange(side, dtype=np.float32)[:, None]
    columns = np.arange(side, dtype=np.float32)[None, :]
    centre = side * random.uniform(0.1, 0.9) + (rows - side / 2) * random.uniform(-0.2, 0.2)
    width = side * random.uniform(0.02, 0.08) + rows * random.uniform(0.0, 0.08)
    beneath = 1 / (1 + np.exp(-(rows - side * random.uniform(0.1, 0.6)) / (0.03 * side)))
    band = np.exp(-(((columns - centre) / width) ** 2))
    return np.asarray(1 - random.uniform(0.3, 0.8) * beneath * band, np.float32)


def draw_annotations(view: NDArray[np.uint8], random: np.random.Generator) -> None:
    """Burn one to three captions, caliper crosses or dotted distance lines into the view, in place."""
    side = len(view)
    for _ in range(int(random.integers(1, 4))):
        grey = int(random.integers(150, 256))
        start = tuple(int(value) for value in random.integers(0, side, 2))
        kind = int(random.integers(3))
        if kind == 0:
            caption = "".join(random.choice(list("ABDEILMNRT0123456789 .:-+"), int(random.integers(3, 14))))
            cv2.putText(view, caption, start, cv2.FONT_HERSHEY_SIMPLEX, float(random.uniform(0.2, 0.45)), grey, 1)
        elif kind == 1:
            cv2.drawMarker(view, start, grey, cv2.MARKER_CROSS, int(random.integers(4, 10)), 1)
        else:
            end = np.asarray(start) + random.uniform(-0.4, 0.4, 2) * side
            for share in np.linspace(0, 1, int(random.integers(8, 24))):
                column, row = (np.asarray(start) * (1 - share) + end * share).astype(int)
                if 0 <= row < side and 0 <= column < side:
                    view[row, column] = grey


def _depth_gain(side: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A wrong time-gain compensation: brightness that drifts with depth, (side, 1)."""
    return np.linspace(random.uniform(0.7, 1.3), random.uniform(0.7, 1.3), side, dtype=np.float32)[:, None]


def change_gain(
    pixels: NDArray[np.float32], random: np.random.Generator, *, spread: float = 0.25, gamma_spread: float = 0.3
) -> NDArray[np.float32]:
    """Another gain (factor 1 - ``spread`` to 1 + ``spread``) and gamma (exponential of up to ``gamma_spread``)."""
    gamma = np.float32(np.exp(random.uniform(-gamma_spread, gamma_spread)))
    gain = np.float32(random.uniform(1 - spread, 1 + spread))
    return np.power(np.clip(pixels, 0, 1), gamma) * gain


def add_speckle(pixels: NDArray[np.float32], random: np.random.Generator, *, most: float = 0.18) -> NDArray[np.float32]:
    """Multiplicative noise with the grain of a few pixels, deviation up to ``most``; black padding stays black."""
    white = random.standard_normal(pixels.shape, dtype=np.float32)
    noise = np.asarray(cv2.GaussianBlur(white, (0, 0), float(random.uniform(0.3, 1.0))), np.float32)
    noise *= np.float32(random.uniform(most / 6, most)) / max(float(noise.std()), 1e-6)
    return pixels * (1 + noise)


def add_shadow(pixels: NDArray[np.float32], random: np.random.Generator, *, most: float = 0.7) -> NDArray[np.float32]:
    """An acoustic shadow: a band below a random depth, soft at its edges, darker by up to the share ``most``.

    The band is 5-25 % of the width wide and leans by up to 10 degrees, as under a rib or a stone. float32 (H, W).
    """
    height, width = pixels.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    top = float(random.uniform(0.1, 0.6)) * height
    middle = float(random.uniform(0, 1)) * width
    half = float(random.uniform(0.025, 0.125)) * width
    lean = np.tan(np.deg2rad(random.uniform(-10, 10)))
    across = np.abs(columns - middle - lean * (rows - top)) / half
    profile = np.exp(-(across**4)) * np.clip((rows - top) / max(0.05 * height, 1.0), 0, 1)
    return (pixels * (1 - np.float32(random.uniform(0.3 * most, most)) * profile)).astype(np.float32)


def shear_matrix(degrees: float) -> NDArray[np.float64]:
    """The 2 x 2 matrix that moves each row sideways by the tangent of the angle times its height."""
    return np.array([[1.0, np.tan(np.deg2rad(degrees))], [0.0, 1.0]])


def recompress(view: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """The image after JPEG of quality 40-94. uint8 (H, W)."""
    encoded, buffer = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(40, 95))])
    if not encoded:
        raise RuntimeError("OpenCV could not encode a JPEG in memory.")
    return np.asarray(cv2.imdecode(buffer, cv2.IMREAD_GRAYSCALE), np.uint8)
