"""Which images the mammogram detector declines to judge."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from ml.bench import synthetic_image
from ml.images import read_image
from ml.mammogram.checks import FilmLimits, check_film
from ml.mammogram.film import Film
from ml.mammogram.refusals import SPOILERS, is_refused
from tests.ml.drawn_mammograms import draw_mammogram

LIMITS = FilmLimits()


def failed(image: np.ndarray) -> set[str]:
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    quality = check_film(image, grey, Film.prepare(grey), limits=LIMITS)
    assert all(check.message for check in quality.checks if not check.passed)
    return {check.name for check in quality.checks if not check.passed}


@pytest.mark.parametrize("right", [False, True])
def test_a_mammogram_of_either_side_is_accepted(right):
    assert failed(draw_mammogram(right=right)) == set()


@pytest.mark.parametrize(
    ("image", "check"),
    [
        (draw_mammogram()[200:300, 20:120], "size"),
        (np.full((500, 400), 70, np.uint8), "blank"),
        (synthetic_image(), "background"),
        (np.ascontiguousarray(np.rot90(draw_mammogram())), "shape"),
        ((draw_mammogram() // 5).astype(np.uint8), "exposure"),
        (np.clip(draw_mammogram().astype(int) * 4, 0, 255).astype(np.uint8), "exposure"),
    ],
    ids=["small", "blank", "ultrasound", "on its side", "dark", "overexposed"],
)
def test_a_refusal_names_the_check_that_failed(image, check):
    assert check in failed(image)


def test_a_photograph_in_colour_is_refused():
    image = np.stack([draw_mammogram(), draw_mammogram() // 2, draw_mammogram() // 4], axis=-1)
    assert failed(image) == {"colour"}


def test_heavy_blur_is_refused():
    assert failed(cv2.GaussianBlur(draw_mammogram(), (0, 0), 8)) >= {"blur"}


def test_limits_of_a_manifest_come_back_as_they_were():
    assert FilmLimits.from_mapping(LIMITS.as_dict()) == LIMITS


@pytest.mark.parametrize("change", [{"most_white": "0.3"}, {"extra": 1}, {"most_white": True}])
def test_broken_limits_are_refused(change):
    with pytest.raises(ValueError):
        FilmLimits.from_mapping({**LIMITS.as_dict(), **change})


@pytest.mark.slow
def test_real_films_pass_and_real_ultrasound_does_not(shared):
    def rate(name: str, step: int) -> float:
        with (shared / name / "labels.csv").open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))[::step]
        return float(np.mean([is_refused(read_image(shared / name / row["image"]), limits=LIMITS) for row in rows]))

    assert rate("mini-mias", 9) <= 0.05
    assert rate("cdd-cesm-low-energy", 9) <= 0.05
    assert rate("busi", 15) >= 0.95
    assert rate("busbra", 40) >= 0.95


@pytest.mark.parametrize("name", sorted(SPOILERS))
def test_every_way_of_spoiling_a_film_changes_it_and_keeps_it_an_image(name):
    film = draw_mammogram()
    spoilt = SPOILERS[name](film, np.random.default_rng(0))
    assert spoilt.dtype == np.uint8 and spoilt.ndim == 2
    assert spoilt.shape != film.shape or not np.array_equal(spoilt, film)
