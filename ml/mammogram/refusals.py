"""How often good mammograms are refused, and other images let through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.data.records import ImageRecord
from ml.foreign import FAMILIES, make_foreign
from ml.images import IMAGE_SUFFIXES, read_image, to_grey
from ml.mammogram.checks import FilmLimits, check_film
from ml.mammogram.film import Film
from ml.refusals import grouped_rate
from ml.storage import read_json, write_json

READERS = 4
"""Films read at the same time; OpenCV lets go of Python's lock while it works."""

MADE_EACH = 10
"""Computed images of each kind of foreign image."""

MOST_FOREIGN = 750
"""Real images of another kind that are read from one folder."""

_DRAWN_MAMMOGRAM = "mammogram"
"""How the names of computed images end that are meant to look like mammograms: they are neither good nor foreign."""

_SPOILT_FILMS = 60


def is_refused(image: NDArray[np.uint8], *, limits: FilmLimits) -> bool:
    """Whether the checks refuse an image, uint8 (H, W) or (H, W, 3)."""
    grey = to_grey(image)
    return not check_film(image, grey, Film.prepare(grey), limits=limits).passed


def study_film_refusals(
    records: Sequence[ImageRecord], *, limits: FilmLimits, foreign: Sequence[Path], resamples: int, seed: int = 0
) -> dict[str, Any]:
    """False refusals of good films, by collection; refusals of spoilt films, of computed and of real foreign images.

    Args:
        records: good films.
        limits: the limits under test.
        foreign: folders of images that are no mammograms; of each at most ``MOST_FOREIGN``, evenly spaced by name.
        resamples: of the bootstrap.
        seed: of noise and choice.
    """

    def rate(refused: Sequence[bool], groups: Sequence[str]) -> dict[str, Any]:
        return grouped_rate(np.array(refused, float), groups, resamples=resamples)

    def refusals_of(paths: Sequence[Path]) -> list[bool]:
        with ThreadPoolExecutor(max_workers=READERS) as pool:
            return list(pool.map(lambda path: is_refused(read_image(path), limits=limits), paths))

    false = {}
    for source in sorted({record.source for record in records}):
        own = [record for record in records if record.source == source]
        refused = refusals_of([record.path for record in own])
        false[source] = rate(refused, [record.leak_group for record in own])
    random = np.random.default_rng(seed)
    sample = records[:: max(1, len(records) // _SPOILT_FILMS)]
    films = [to_grey(read_image(record.path)) for record in sample]
    groups = [record.leak_group for record in sample]
    spoilt = {
        name: rate([is_refused(spoil(film, random), limits=limits) for film in films], groups)
        for name, spoil in SPOILERS.items()
    }
    made = {}
    for family, kinds in FAMILIES.items():
        drawn = [(kind, each) for kind in kinds if not kind.endswith(_DRAWN_MAMMOGRAM) for each in range(MADE_EACH)]
        refused = [is_refused(make_foreign(kind, seed=each), limits=limits) for kind, each in drawn]
        made[family] = rate(refused, [f"{kind} {each}" for kind, each in drawn])
    other = {}
    for folder in foreign:
        paths = sorted(path for path in (folder / "images").glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not paths:
            raise ValueError(f"{folder / 'images'} holds no images.")
        paths = paths[:: -(-len(paths) // MOST_FOREIGN)]
        other[folder.name] = rate(refusals_of(paths), [path.name for path in paths])
    return {"false_refusals": false, "spoilt_films": spoilt, "made_images": made, "other_images": other}


def kept_film_refusals(
    path: Path, records: Sequence[ImageRecord], *, limits: FilmLimits, foreign: Sequence[Path], resamples: int
) -> dict[str, Any]:
    """The study as ``path`` keeps it from an earlier call with the same films, limits and folders, else a new one.

    It needs no network, so it can be made while one is trained.
    """
    asked = {
        "films": [record.key for record in records],
        "limits": limits.as_dict(),
        "foreign": [folder.name for folder in foreign],
        "resamples": resamples,
    }
    if path.is_file():
        kept = read_json(path)
        if kept["asked"] == asked:
            return dict(kept["found"])
    found = study_film_refusals(records, limits=limits, foreign=foreign, resamples=resamples)
    write_json(path, {"asked": asked, "found": found})
    return found


def _blurred(film: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.asarray(cv2.GaussianBlur(film, (0, 0), max(film.shape) / 120), np.uint8)


def _noisy(film: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.clip(film + random.normal(0, 60, film.shape), 0, 255).astype(np.uint8)


def _dark(film: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.asarray(film // 5, np.uint8)


def _overexposed(film: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.clip(film.astype(np.int32) * 4, 0, 255).astype(np.uint8)


def _turned(film: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.rot90(film))


def _inverted(film: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return np.asarray(255 - film, np.uint8)


def _cut(film: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    rows, columns = np.nonzero(film > film.mean())
    row, column = int(np.median(rows)), int(np.median(columns))
    half = max(film.shape) // 10
    return np.ascontiguousarray(film[max(0, row - half) : row + half, max(0, column - half) : column + half])


SPOILERS: dict[str, Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]] = {
    "blur, sigma 1/120 of the longer side": _blurred,
    "noise of 60 grey levels": _noisy,
    "grey levels divided by 5": _dark,
    "grey levels times 4": _overexposed,
    "turned by 90 degrees": _turned,
    "black and white exchanged": _inverted,
    "a piece of a fifth of the longer side": _cut,
}
