"""Is this a mammogram that may be judged? Measured before the network runs. NumPy and OpenCV only.

An ultrasound frame fails ``background`` (it is grey to its edges) or ``shape`` (it is wider than tall); a photograph or
a document fails one of these, ``colour`` or ``exposure``. The limits are fitted so that at most 2 % of the films of
mini-MIAS and of CDD-CESM are refused; the model card gives the rates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.contract import Quality, QualityCheck
from ml.mammogram.film import Film
from ml.preprocess.mammogram import chest_side

_COLOURED = 48
"""Grey levels between two channels from which a pixel counts as coloured."""

_STRAIGHT = 0.04
"""Share of the breast's width within which a straight chest wall lies from the edge of its box."""


@dataclass(frozen=True, slots=True)
class FilmLimits:
    """Limits of a mammogram that is judged. In brackets: 1st to 99th percentile over mini-MIAS; CDD-CESM low energy.

    Attributes:
        shortest_side: pixels [1024; 512].
        most_colour: share of coloured pixels [0; 0].
        least_contrast: standard deviation of the image's grey levels [52-91; 33-74].
        least_breast, most_breast: share of the image that is breast [0.17-0.77; 0.25-0.64].
        brightest_background: median grey level outside the breast [0-10; 0].
        least_tall: height over width of the breast's box [1.1-3.4; 1.2-2.9].
        least_straight: share of the breast's rows that reach the straight chest wall [0.81-1; 0.42-1].
        least_highlight: 99th percentile of grey inside the breast, 0-255 [178-239; 135-255].
        most_white: share of the breast at or above grey 250 [0; 0-0.06].
        least_detail, most_detail: standard deviation inside the breast that a Gaussian of 1 canvas pixel removes, as a
            share of the contrast there [0.026-0.103; 0.027-0.104].
    """

    shortest_side: float = 256.0
    most_colour: float = 0.05
    least_contrast: float = 12.0
    least_breast: float = 0.05
    most_breast: float = 0.95
    brightest_background: float = 10.0
    least_tall: float = 1.0
    least_straight: float = 0.15
    least_highlight: float = 80.0
    most_white: float = 0.3
    least_detail: float = 0.018
    most_detail: float = 0.16

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> FilmLimits:
        """Limits as a manifest states them.

        Raises:
            ValueError: a limit is missing, unknown or no number.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            raise ValueError(f"quality limits must be exactly: {', '.join(sorted(names))}")
        typed = {}
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"quality limit {name} must be a number")
            typed[name] = float(value)
        return cls(**typed)

    def as_dict(self) -> dict[str, float]:
        return dataclasses.asdict(self)


def check_film(image: NDArray[np.uint8], grey: NDArray[np.uint8], film: Film | None, *, limits: FilmLimits) -> Quality:
    """All checks of one image.

    Args:
        image: the original, uint8 (H, W) or (H, W, 3).
        grey: its luma, uint8 (H, W).
        film: the breast on its canvas, ``None`` where none was found.
        limits: what is accepted.

    Returns:
        the checks; those that need a breast are missing where there is none.
    """
    checks = [_size(grey, limits), _colour(image, limits), _blank(grey, limits)]
    if all(check.passed for check in checks):
        checks.append(_breast(film, limits))
    if film is not None and all(check.passed for check in checks):
        checks += _anatomy(grey, film, limits)
        checks += _development(film, limits)
    return Quality(checks=tuple(checks))


def _size(grey: NDArray[np.uint8], limits: FilmLimits) -> QualityCheck:
    height, width = grey.shape
    return _within(
        "size",
        min(height, width),
        f"The image is only {width} x {height} pixels. Export the whole mammogram at its original resolution.",
        low=limits.shortest_side,
        unit=" px",
    )


def _colour(image: NDArray[np.uint8], limits: FilmLimits) -> QualityCheck:
    share = 0.0
    if image.ndim == 3:
        # A tenth of the rows and columns tells the share well enough and costs a hundredth.
        step = max(1, min(image.shape[:2]) // 200)
        sample = image[::step, ::step].astype(np.int16)
        share = float((sample.max(axis=2) - sample.min(axis=2) > _COLOURED).mean())
    message = "The image is in colour. Send the grey mammogram without overlays, and no photographs."
    return _within("colour", share, message, high=limits.most_colour)


def _blank(grey: NDArray[np.uint8], limits: FilmLimits) -> QualityCheck:
    contrast = float(cv2.meanStdDev(grey)[1][0, 0])
    message = "The image is blank or almost so. Check that the right image was exported."
    return _within("blank", contrast, message, low=limits.least_contrast)


def _breast(film: Film | None, limits: FilmLimits) -> QualityCheck:
    share = 0.0 if film is None else float(film.breast.sum()) / _canvas_pixels(film)
    message = (
        "No breast on a dark background was found. This model judges one mammographic view of one breast: send that "
        "view as a whole, and ultrasound images to the ultrasound model."
    )
    return _within("breast", share, message, low=limits.least_breast, high=limits.most_breast)


def _anatomy(grey: NDArray[np.uint8], film: Film, limits: FilmLimits) -> list[QualityCheck]:
    """Dark background, a breast taller than wide, a straight chest wall: what a mammogram has and others lack."""
    rows, columns = np.flatnonzero(film.breast.any(axis=1)), np.flatnonzero(film.breast.any(axis=0))
    box = film.breast[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    tall = (box.shape[0] / film.row_scale) / (box.shape[1] / film.column_scale)
    facing = box if chest_side(film.breast) == "left" else box[:, ::-1]
    straight = float((facing[:, : max(1, round(_STRAIGHT * box.shape[1]))]).any(axis=1).mean())
    outside = film.restore(film.breast.astype(np.float32)) < 0.5
    # Without any background there is no dark one.
    background = float(np.median(grey[outside])) if outside.any() else 255.0
    foreign = (
        "This does not look like a mammogram. Send ultrasound images to the ultrasound model, turn the image upright, "
        "and do not cut the dark background away."
    )
    return [
        _within("background", background, foreign, high=limits.brightest_background),
        _within("shape", tall, foreign, low=limits.least_tall),
        _within("chest_wall", straight, foreign, low=limits.least_straight),
    ]


def _development(film: Film, limits: FilmLimits) -> list[QualityCheck]:
    """Exposure and sharpness inside the breast, on the network's own canvas."""
    inner = np.asarray(cv2.erode(film.breast.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    if not inner.any():
        inner = film.breast
    values = film.canvas[inner]
    smooth = cv2.GaussianBlur(film.canvas, (5, 5), 1.0)
    contrast = max(float(values.std()), 1.0)
    lost = film.canvas[inner].astype(np.float32) - smooth[inner].astype(np.float32)
    detail = float(np.sqrt((lost**2).mean())) / contrast
    exposed = film.highlight >= limits.least_highlight and film.white <= limits.most_white
    return [
        QualityCheck(
            "exposure",
            round(film.highlight, 4),
            exposed,
            f"99th percentile >= {limits.least_highlight:g}, white <= {limits.most_white:.0%}",
            "" if exposed else "The breast is too dark or overexposed. Export it with its display window applied.",
        ),
        _within(
            "blur",
            detail,
            "The image is too blurred to be judged. Export the original, not a photograph or a preview of it.",
            low=limits.least_detail,
        ),
        _within(
            "noise",
            detail,
            "The image is too noisy to be judged. Check the export, and that this is a mammogram.",
            high=limits.most_detail,
        ),
    ]


def _canvas_pixels(film: Film) -> float:
    """The whole image's area on the scale of the canvas, pixels."""
    return film.height * film.row_scale * film.width * film.column_scale


def _within(
    name: str, value: float, message: str, *, low: float | None = None, high: float | None = None, unit: str = ""
) -> QualityCheck:
    passed = (low is None or value >= low) and (high is None or value <= high)
    limits = [f">= {low:g}{unit}"] if low is not None else []
    limits += [f"<= {high:g}{unit}"] if high is not None else []
    return QualityCheck(name, round(float(value), 4), bool(passed), ", ".join(limits), "" if passed else message)
