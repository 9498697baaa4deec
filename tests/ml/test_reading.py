"""Two looks at one image: where the second is taken, and how both are joined."""

from __future__ import annotations

import numpy as np
import pytest

from ml.contract import LABELS
from ml.looks.reading import LookForward, look_first, look_twice

SIDE = 224


class Seer:
    """Stands for the network: it sees whatever is brighter than 200 as the lesion, and remembers what it was shown."""

    def __init__(self, *, close_map=0.0):
        self.shown = []
        self.close_map = close_map

    def __call__(self, pixels):
        self.shown.append(pixels)
        grey = (pixels[0, ::4, ::4, 0] + 1) * 127.5
        maps = np.zeros((7, 7, 6), np.float32)
        maps[1, 1, : len(LABELS)] = 1
        maps[3, 3, len(LABELS) :] = self.close_map
        return LookForward(
            logits=np.arange(6, dtype=np.float32) + 10 * len(self.shown),
            maps=maps,
            embedding=np.zeros(4, np.float32),
            mask=np.where(grey > 200, np.float32(6), np.float32(-6)),
        )


@pytest.fixture
def image():
    """400 x 300, dark, with a bright lesion at rows 240-300 and columns 60-140."""
    grey = np.full((400, 300), 40, np.uint8)
    grey[240:300, 60:140] = 255
    return grey


def test_the_second_look_is_taken_at_the_lesion(image):
    seer = Seer()
    reading = look_twice(image, seer, side=SIDE)
    square = reading.first.square
    assert square.top + square.size / 2 == pytest.approx(270, abs=6)
    assert square.left + square.size / 2 == pytest.approx(100, abs=6)
    whole, close = ((shown[0, :, :, 0] > 0.9).mean() for shown in seer.shown)
    assert close > 4 * whole, "the lesion fills more of the second look"


def test_each_look_is_judged_by_its_own_head(image):
    reading = look_twice(image, Seer(), side=SIDE)
    assert list(reading.whole_logits) == [10, 11, 12]
    assert list(reading.close_logits) == [23, 24, 25]


def test_the_outline_is_at_the_image_resolution(image):
    probability = look_twice(image, Seer(), side=SIDE).lesion_probability()
    found = probability > 0.5
    assert probability.shape == (400, 300)
    true = image > 200
    dice = 2 * (found & true).sum() / (found.sum() + true.sum())
    assert dice > 0.9


def test_an_image_without_any_lesion_still_gets_a_second_look():
    first = look_first(np.full((300, 300), 40, np.uint8), Seer(), side=SIDE)
    assert first.square.size >= 0.25 * 300


def test_the_map_is_the_weighted_sum_of_both_looks(image):
    reading = look_twice(image, Seer(close_map=1.0), side=SIDE)
    square = reading.first.square
    whole_only = reading.class_maps(weights=(1.0, 0.0))["malignant"]
    close_only = reading.class_maps(weights=(0.0, 1.0))["malignant"]
    assert whole_only.shape == close_only.shape == (400, 300)
    assert whole_only.max() == close_only.max() == 1
    row, column = np.unravel_index(int(close_only.argmax()), close_only.shape)
    assert abs(row - (square.top + square.size / 2)) < square.size / 7
    assert abs(column - (square.left + square.size / 2)) < square.size / 7
    outside = close_only.copy()
    outside[max(square.top, 0) : square.top + square.size, max(square.left, 0) : square.left + square.size] = 0
    assert outside.max() == 0, "the close look says nothing about what it did not see"
    both = reading.class_maps(weights=(1.0, 1.0))["malignant"]
    # Each map alone was scaled to its own maximum, which interpolation leaves a little below the cell's value.
    np.testing.assert_allclose(both, (whole_only + close_only) / (whole_only + close_only).max(), atol=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (97, 2000), (2000, 97)])
def test_any_shape_of_image_is_read(shape):
    reading = look_twice(np.full(shape, 90, np.uint8), Seer(), side=SIDE)
    assert reading.lesion_probability().shape == shape
    assert all(each.shape == shape for each in reading.class_maps(weights=(0.5, 0.5)).values())
