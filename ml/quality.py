"""Is this image fit to be judged? Measured before the network runs; an image that fails gets no score at all.

All but size, shape and colour are measured on the network's own canvas, so that a figure does not depend on the
export's resolution. The limits lie outside the range of all 2,108 images of BUSI and BUS-BRA that the model was
developed on; ``python -m ml gates`` counts false refusals, ``docs/refusals.md`` lists them. Whether the image is of
the right kind at all is judged after the forward pass, by ``ml.novelty``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.contract import Quality, QualityCheck

ADDED = frozenset({"most_flow", "shortest_crop", "least_range", "most_text"})
"""Limits that manifests of before ultrasound model 2.0.0 do not state."""

_GREY_LEVELS = np.arange(256, dtype=np.float64)
_COLOURED = 48
_FLOW = 50
_STROKE = 60
_STROKE_REACH = 15
_STROKE_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Limits of an image that is judged. In brackets: the range over BUSI and BUS-BRA (n = 2,108).

    Attributes:
        shortest_side: pixels [190-512].
        longest_aspect: longer side over shorter side [1.0-2.1].
        least_contrast: standard deviation of grey levels, 0-128 [15-74]; below it the image is blank.
        least_highlight: 99th percentile of grey, 0-255 [77-255]; below it the image is too dark.
        most_black: share of pixels at or below grey 8 [0-0.62].
        most_white: share of pixels at or above grey 247 [0-0.13].
        least_detail: standard deviation that a Gaussian of 1 px removes, as a share of the contrast [0.070-0.42];
            a blur of sigma 4 px on the original lies at 0.012-0.070, median 0.029.
        most_detail: the same, upper limit; uncorrelated noise lies above 0.5.
        most_colour: share of pixels whose channels differ by more than 48 levels [0]: photographs, elastography.
        most_flow: share of strongly red or blue pixels [0]: colour Doppler; a marker or logo stays below.
        shortest_crop: pixels of the shorter side [190-512]; below it the image is a cut-out, not a frame.
        least_range: grey levels between the 5th and the 95th percentile [45-219]; below it the image is washed out.
        most_text: share of the image near strokes that stand 60 levels out from their surroundings [0-0.09].

    The last four came after the first release: a manifest that does not state one gets its default here.
    """

    shortest_side: int = 96
    longest_aspect: float = 3.0
    least_contrast: float = 8.0
    least_highlight: float = 50.0
    most_black: float = 0.85
    most_white: float = 0.25
    least_detail: float = 0.065
    most_detail: float = 0.48
    most_colour: float = 0.10
    most_flow: float = 0.01
    shortest_crop: int = 144
    least_range: float = 30.0
    most_text: float = 0.15

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> QualityLimits:
        """Limits as a manifest states them.

        Raises:
            ValueError: a limit is missing (those of :data:`ADDED` may be), unknown or no number.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not names - ADDED <= set(values) <= names:
            raise ValueError(f"quality limits must be exactly: {', '.join(sorted(names))}")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"quality limit {name} must be a number")
        return cls(**values)  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, float]:
        return dataclasses.asdict(self)


def check_shape(height: int, width: int, *, limits: QualityLimits) -> tuple[QualityCheck, ...]:
    """The checks that need no pixels: ``size`` and ``crop`` (pixels of the shorter side) and ``aspect``."""
    shorter, longer = min(height, width), max(height, width)
    aspect = longer / shorter
    return (
        _at_least(
            "size",
            shorter,
            limits.shortest_side,
            f"The image is only {width} x {height} pixels. Export the whole frame at its original resolution.",
            unit=" px",
        ),
        _at_least(
            "crop",
            shorter,
            limits.shortest_crop,
            f"The image is a cut-out of {width} x {height} pixels. Send the whole frame, not the lesion alone.",
            unit=" px",
        ),
        _at_most(
            "aspect",
            aspect,
            limits.longest_aspect,
            "The image is a narrow strip. Send the whole ultrasound frame, not a cut-out or a text bar.",
        ),
    )


def check_colour(image: NDArray[np.uint8], *, limits: QualityLimits) -> tuple[QualityCheck, ...]:
    """The checks ``colour`` and ``doppler``: shares of coloured and of strongly red or blue pixels.

    Args:
        image: uint8 (H, W[, 3]).
        limits: what is accepted.
    """
    share = flow = 0.0
    if image.ndim == 3:
        # A tenth of the rows and columns tells the share well enough and costs a hundredth.
        step = max(1, min(image.shape[:2]) // 200)
        red, green, blue = (image[::step, ::step, channel].astype(np.int16) for channel in range(3))
        highest = np.maximum(np.maximum(red, green), blue)
        share = float((highest - np.minimum(np.minimum(red, green), blue) > _COLOURED).mean())
        if share:
            flowing = (red - np.maximum(green, blue) > _FLOW) | (blue - np.maximum(red, green) > _FLOW)
            flow = float(flowing.mean())
    return (
        _at_most(
            "colour",
            share,
            limits.most_colour,
            "The image is in colour. The model knows grey B-mode ultrasound only: send the B-mode frame without "
            "Doppler or colour overlay, and no photographs.",
        ),
        _at_most(
            "doppler",
            flow,
            limits.most_flow,
            "The image shows colour flow (Doppler). Send the grey B-mode frame without the colour box.",
        ),
    )


def check_pixels(inner: NDArray[np.uint8], *, limits: QualityLimits) -> tuple[QualityCheck, ...]:
    """The checks ``blank``, ``contrast``, ``exposure``, ``text``, ``blur`` and ``noise`` on the image's canvas area.

    Args:
        inner: uint8 (h, w), letterbox padding removed.
        limits: what is accepted.
    """
    histogram = np.bincount(inner.ravel(), minlength=256).astype(np.float64) / inner.size
    mean = float(histogram @ _GREY_LEVELS)
    contrast = float(histogram @ (_GREY_LEVELS - mean) ** 2) ** 0.5
    blank = _at_least(
        "blank",
        contrast,
        limits.least_contrast,
        "The image is blank or almost so. Check that the right frame was exported.",
    )
    if not blank.passed:
        # Without contrast neither exposure nor sharpness means anything.
        return (blank,)
    smooth = cv2.GaussianBlur(inner, (5, 5), 1.0)
    detail = cv2.norm(inner, smooth, cv2.NORM_L2) / inner.size**0.5 / contrast
    cumulative = np.cumsum(histogram)
    low, high = np.searchsorted(cumulative, (0.05, 0.95))
    return (
        blank,
        _at_least(
            "contrast",
            float(high - low),
            limits.least_range,
            "The image is washed out: almost all of it has one grey. Export it with its display window applied.",
        ),
        _exposure(histogram, limits),
        _at_most(
            "text",
            stroke_cover(inner),
            limits.most_text,
            "Text or drawing covers much of the image. Send the ultrasound frame itself, without report, menus or "
            "measurements over it.",
        ),
        _at_least(
            "blur",
            detail,
            limits.least_detail,
            "The image is too blurred to be judged. Export the original frame, not a photograph or a preview of it.",
        ),
        _at_most(
            "noise",
            detail,
            limits.most_detail,
            "The image is mostly noise. Check the export, and that this is an ultrasound image.",
        ),
    )


def run_checks(image: NDArray[np.uint8], inner: NDArray[np.uint8], *, limits: QualityLimits) -> Quality:
    """All checks of one image.

    Args:
        image: the original, uint8 (H, W) or (H, W, 3).
        inner: its grey area on the network's canvas, uint8 (h, w).
        limits: what is accepted.
    """
    height, width = image.shape[:2]
    return Quality(
        checks=(
            *check_shape(height, width, limits=limits),
            *check_colour(image, limits=limits),
            *check_pixels(np.ascontiguousarray(inner), limits=limits),
        )
    )


def stroke_cover(inner: NDArray[np.uint8]) -> float:
    """Share of the image in whose neighbourhood thin strokes, brighter or darker than what lies beside, are frequent.

    A median over 5 x 5 pixels removes strokes and keeps the edges of lesions and layers.
    """
    strokes = cv2.threshold(cv2.absdiff(inner, cv2.medianBlur(inner, 5)), _STROKE, 255, cv2.THRESH_BINARY)[1]
    frequent = cv2.blur(strokes, (_STROKE_REACH, _STROKE_REACH))
    return cv2.countNonZero(cv2.threshold(frequent, int(255 * _STROKE_SHARE), 255, cv2.THRESH_BINARY)[1]) / inner.size


def _exposure(histogram: NDArray[np.float64], limits: QualityLimits) -> QualityCheck:
    """Too dark by highlight or by black area, or too bright by white area; the value is the 99th percentile."""
    highlight = float(np.searchsorted(np.cumsum(histogram), 0.99))
    dark = highlight < limits.least_highlight or float(histogram[:9].sum()) > limits.most_black
    bright = float(histogram[247:].sum()) > limits.most_white
    message = ""
    if dark:
        message = "The image is too dark. Raise the gain, or export it with its display window applied."
    elif bright:
        message = "The image is overexposed. Lower the gain, or export it with its display window applied."
    return QualityCheck(
        name="exposure",
        value=highlight,
        passed=not (dark or bright),
        limit=(
            f"99th percentile >= {limits.least_highlight:g}, black <= {limits.most_black:.0%}, "
            f"white <= {limits.most_white:.0%}"
        ),
        message=message,
    )


def _at_least(name: str, value: float, limit: float, message: str, *, unit: str = "") -> QualityCheck:
    passed = bool(value >= limit)
    return QualityCheck(name, round(float(value), 4), passed, f">= {limit:g}{unit}", "" if passed else message)


def _at_most(name: str, value: float, limit: float, message: str, *, unit: str = "") -> QualityCheck:
    passed = bool(value <= limit)
    return QualityCheck(name, round(float(value), 4), passed, f"<= {limit:g}{unit}", "" if passed else message)
