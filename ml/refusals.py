"""How often good images are refused, and bad ones let through."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.data.records import ImageRecord
from ml.images import IMAGE_SUFFIXES, Letterbox, read_image, to_grey
from ml.metrics import RESAMPLES, bootstrap
from ml.quality import QualityLimits, run_checks

Spoiler = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


def is_refused(image: NDArray[np.uint8], *, limits: QualityLimits, side: int = 224) -> bool:
    """Whether the quality checks refuse an image, uint8 (H, W) or (H, W, 3)."""
    letterbox = Letterbox.fit(height=image.shape[0], width=image.shape[1], side=side)
    return not run_checks(image, letterbox.crop(letterbox.place(to_grey(image))), limits=limits).passed


def study_refusals(
    records: Sequence[ImageRecord],
    *,
    limits: QualityLimits,
    foreign: Sequence[Path] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """False refusals on labelled images; refusals of spoilt images; refusals of images of other kinds.

    Args:
        records: good images.
        limits: the limits under test.
        foreign: folders of images that are no breast ultrasound, such as mammograms; at most 200 of each are read.
        resamples: of the bootstrap.
        seed: of noise and choice.
    """
    false: dict[str, Any] = {}
    for source in sorted({record.source for record in records}):
        own = [record for record in records if record.source == source]
        refused = np.array([is_refused(read_image(record.path), limits=limits) for record in own], float)
        false[source] = _rate(refused, [record.leak_group for record in own], resamples)
    random = np.random.default_rng(seed)
    sample = records[:: max(1, len(records) // 200)]
    images = [to_grey(read_image(record.path)) for record in sample]
    groups = [record.leak_group for record in sample]
    spoilt = {
        name: _rate(
            np.array([is_refused(spoil(image, random), limits=limits) for image in images], float), groups, resamples
        )
        for name, spoil in SPOILERS.items()
    }
    other = {}
    for folder in foreign:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)[:200]
        if paths:
            refused = np.array([is_refused(read_image(path), limits=limits) for path in paths], float)
            other[folder.name] = _rate(refused, [path.name for path in paths], resamples)
    return {"false_refusals": false, "spoilt_images": spoilt, "other_images": other}


def _rate(refused: NDArray[np.float64], groups: Sequence[str], resamples: int) -> dict[str, Any]:
    figure = bootstrap(lambda chosen: {"rate": float(refused[chosen].mean())}, groups, resamples=resamples)["rate"]
    # Where nothing varies the bootstrap has no width; the exact interval over groups (Clopper and Pearson 1934) has.
    if figure.value == 0:
        figure = dataclasses.replace(figure, high=1 - 0.025 ** (1 / figure.groups))
    elif figure.value == 1:
        figure = dataclasses.replace(figure, low=0.025 ** (1 / figure.groups))
    return figure.as_dict()


def _white_noise(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return random.integers(0, 256, image.shape, dtype=np.uint8)


def _uniform(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.full_like(image, int(random.integers(0, 256)))


def _blurred(sigma: float) -> Spoiler:
    def spoil(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)

    return spoil


def _darkened(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.asarray(image // 8, np.uint8)


def _overexposed(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.clip(image.astype(np.int32) * 4 + 60, 0, 255).astype(np.uint8)


def _cut_small(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image[:64, :64])


SPOILERS: dict[str, Spoiler] = {
    "white noise": _white_noise,
    "one grey level": _uniform,
    "blur, sigma 2 px": _blurred(2),
    "blur, sigma 4 px": _blurred(4),
    "blur, sigma 8 px": _blurred(8),
    "gain divided by 8": _darkened,
    "overexposed": _overexposed,
    "cut to 64 x 64 px": _cut_small,
}
