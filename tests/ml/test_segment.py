"""An outline with its measures, from a probability map."""

from __future__ import annotations

import numpy as np
import pytest

from ml.segment import lesion_mask, measured, overlap, segmentation


def disc(height=200, width=300, row=90, column=120, radius=30, value=0.9):
    rows, columns = np.ogrid[:height, :width]
    inside = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return np.where(inside, np.float32(value), np.float32(0.05))


def test_a_disc_is_outlined_with_its_area_diameter_and_box():
    found = segmentation(disc())
    assert found.area_px == pytest.approx(np.pi * 30**2, rel=0.02)
    assert found.area_share == pytest.approx(found.area_px / 60_000)
    assert found.diameter_px == pytest.approx(61, abs=0.5)
    assert found.box == (60, 90, 121, 151)
    assert set(np.unique(found.mask)) == {0, 255}
    assert found.mask.shape == (200, 300)


def test_a_single_pixel_is_one_pixel_long():
    mask = np.zeros((5, 5), np.uint8)
    mask[2, 3] = 255
    found = measured(mask)
    assert (found.area_px, found.diameter_px, found.box) == (1, 1.0, (2, 3, 3, 4))


def test_the_longest_diameter_of_a_bar_is_its_diagonal():
    mask = np.zeros((50, 50), np.uint8)
    mask[10:20, 5:45] = 255
    assert measured(mask).diameter_px == pytest.approx(np.hypot(9, 39) + 1)


def test_nothing_above_the_threshold_is_no_lesion():
    assert segmentation(disc(value=0.49)) is None


def test_a_speck_beside_the_lesion_is_not_a_lesion():
    probability = np.maximum(disc(), disc(row=20, column=250, radius=3))
    assert lesion_mask(probability)[20, 250] == 0


def test_two_lesions_of_like_size_are_both_outlined():
    probability = np.maximum(disc(), disc(row=150, column=240, radius=25))
    mask = lesion_mask(probability)
    assert mask[90, 120] == mask[150, 240] == 255


def test_overlap_is_dice_and_intersection_over_union():
    first, second = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    first[:4], second[2:6] = 255, 255
    dice, iou = overlap(first, second)
    assert dice == pytest.approx(0.5)
    assert iou == pytest.approx(1 / 3)
    assert overlap(first, np.zeros_like(first)) == (0.0, 0.0)
    assert overlap(np.zeros_like(first), np.zeros_like(first)) == (1.0, 1.0)
