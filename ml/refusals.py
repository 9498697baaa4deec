"""How often good images are refused, and bad ones let through: the checks that need no network, and what spoils images.

``ml.gates`` measures these checks together with the novelty gate of a model.
"""

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

MOST_FOREIGN = 200
"""Images that are read of a folder of other kinds, evenly spaced by name."""

_SPOILT = 200


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

    By the quality checks alone, for a model without a novelty gate.

    Args:
        records: good images.
        limits: the limits under test.
        foreign: folders of images that are no breast ultrasound, such as mammograms.
        resamples: of the bootstrap.
        seed: of noise and choice.
    """
    false: dict[str, Any] = {}
    for source in sorted({record.source for record in records}):
        own = [record for record in records if record.source == source]
        refused = np.array([is_refused(read_image(record.path), limits=limits) for record in own], float)
        false[source] = grouped_rate(refused, [record.leak_group for record in own], resamples=resamples)
    random = np.random.default_rng(seed)
    sample = spoilt_sample(records)
    images = [to_grey(read_image(record.path)) for record in sample]
    groups = [record.leak_group for record in sample]
    spoilt = {
        name: grouped_rate(
            np.array([is_refused(spoil(image, random), limits=limits) for image in images], float),
            groups,
            resamples=resamples,
        )
        for name, spoil in SPOILERS.items()
    }
    other = {}
    for folder in foreign:
        paths = images_in(folder)
        if paths:
            refused = np.array([is_refused(read_image(path), limits=limits) for path in paths], float)
            other[folder.name] = grouped_rate(refused, [path.name for path in paths], resamples=resamples)
    return {"false_refusals": false, "spoilt_images": spoilt, "other_images": other}


def spoilt_sample(records: Sequence[ImageRecord], *, count: int = _SPOILT) -> list[ImageRecord]:
    """About ``count`` records, evenly spaced, to be spoilt."""
    return list(records[:: max(1, len(records) // count)])


def images_in(folder: Path, *, most: int = MOST_FOREIGN) -> list[Path]:
    """At most ``most`` image files under a folder, evenly spaced by name; masks are no images."""
    found = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.parent.name != "masks"
    )
    return found[:: max(1, -(-len(found) // most))]


def grouped_rate(refused: NDArray[np.float64], groups: Sequence[str], *, resamples: int) -> dict[str, Any]:
    """Share refused with its 95 % interval by bootstrap over groups.

    Where nothing varies the bootstrap has no width; the exact interval over groups (Clopper and Pearson 1934) has.
    """
    figure = bootstrap(lambda chosen: {"rate": float(refused[chosen].mean())}, groups, resamples=resamples)["rate"]
    if figure.value == 0:
        figure = dataclasses.replace(figure, high=1 - 0.025 ** (1 / figure.groups))
    elif figure.value == 1:
        figure = dataclasses.replace(figure, low=0.025 ** (1 / figure.groups))
    return figure.as_dict()


def wilson_rate(refused: NDArray[np.bool_]) -> dict[str, Any]:
    """Share refused of independent images with its 95 % interval by Wilson (1927)."""
    n = len(refused)
    share, z = float(np.mean(refused)), 1.959964
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5 / (1 + z * z / n)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return {"value": round(share, 4), "low": round(low, 4), "high": round(high, 4), "n": n, "groups": n}


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


def _noisy(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.clip(image + random.normal(0, 80, image.shape), 0, 255).astype(np.uint8)


def _cut(side: int) -> Spoiler:
    def spoil(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        top, left = (int(random.integers(0, max(1, length - side))) for length in image.shape)
        return np.ascontiguousarray(image[top : top + side, left : left + side])

    return spoil


def _enlarged_cut(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(_cut(64)(image, random), (448, 448), interpolation=cv2.INTER_CUBIC), np.uint8)


def _doppler(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Vessels in red and blue within a box, as colour Doppler draws them over the B-mode frame."""
    height, width = image.shape
    flow = np.repeat(image[:, :, None], 3, axis=2)
    grains = random.standard_normal((height, width)).astype(np.float32)
    waves = cv2.GaussianBlur(grains, (0, 0), min(height, width) / 18)
    field = waves / (waves.std() + 1e-9)
    box = np.zeros((height, width), bool)
    top, left = int(random.uniform(0.05, 0.35) * height), int(random.uniform(0.05, 0.35) * width)
    box[top : top + int(0.55 * height), left : left + int(0.55 * width)] = True
    speed = np.clip(np.abs(field) * 80 + 90, 0, 255).astype(np.uint8)
    for towards, channel in ((field > 1.2, 0), (field < -1.2, 2)):
        vessel = towards & box
        flow[vessel] = 25
        flow[vessel, channel] = speed[vessel]
    return flow


def _written_over(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """A report typed over most of the frame."""
    written = image.copy()
    scale = image.shape[1] / 620
    for row in range(int(24 * scale), image.shape[0], max(8, int(22 * scale))):
        text = " ".join("".join(random.choice(list("abcdefghilmnoprstu"), 6)) for _ in range(9))
        cv2.putText(written, text, (4, row), cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, 255, max(1, int(2 * scale)))
    return written


def _in_a_report(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """A page of a report that shows the frame small beside its text."""
    page = np.full((900, 700), 250, np.uint8)
    height = int(300 * image.shape[0] / image.shape[1])
    page[60 : 60 + height, 60:360] = cv2.resize(image, (300, height), interpolation=cv2.INTER_AREA)
    for row in range(90 + height, 880, 24):
        text = " ".join("".join(random.choice(list("abcdefghilmnoprstu"), 6)) for _ in range(6))
        cv2.putText(page, text, (50, row), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 20, 1, cv2.LINE_AA)
    return page


def _negative(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.asarray(255 - image, np.uint8)


def _on_its_side(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.rot90(image))


SPOILERS: dict[str, Spoiler] = {
    "white noise": _white_noise,
    "one grey level": _uniform,
    "blur, sigma 2 px": _blurred(2),
    "blur, sigma 4 px": _blurred(4),
    "blur, sigma 8 px": _blurred(8),
    "noise of 80 grey levels": _noisy,
    "gain divided by 8": _darkened,
    "overexposed": _overexposed,
    "cut to 64 x 64 px": _cut(64),
    "cut to 128 x 128 px": _cut(128),
    "cut to 64 x 64 px and enlarged": _enlarged_cut,
    "colour Doppler": _doppler,
    "text over the frame": _written_over,
    "small in a report": _in_a_report,
    "black and white exchanged": _negative,
    "turned by 90 degrees": _on_its_side,
}
"""Ways to spoil a grey frame. A blur of 2 px, the exchange of black and white and the turn are told for information:
no goal is set for them."""
