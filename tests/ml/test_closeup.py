"""The square of the second look: round the lesion, black outside the image, and back again."""

from __future__ import annotations

import numpy as np
import pytest

from ml.looks.closeup import LEAST_SHARE, MARGIN, CloseUp, box_of


def test_the_square_is_centred_on_the_lesion_with_tissue_round_it():
    square = CloseUp.round_box((100, 200, 150, 300), height=400, width=600)
    assert square.size == round(MARGIN * 100)
    assert square.top + square.size / 2 == pytest.approx(125, abs=1)
    assert square.left + square.size / 2 == pytest.approx(250, abs=1)


def test_a_tiny_lesion_is_not_enlarged_beyond_what_speckle_shows():
    square = CloseUp.round_box((10, 10, 14, 14), height=400, width=600)
    assert square.size == round(LEAST_SHARE * 400)


def test_a_lesion_that_fills_the_image_gets_no_square_larger_than_the_image():
    assert CloseUp.round_box((0, 0, 400, 600), height=400, width=600).size == 600


def test_outside_the_image_the_square_is_black():
    image = np.full((40, 60), 200, np.uint8)
    cut = CloseUp(top=-10, left=50, size=20).cut(image)
    assert cut[:10].max() == 0
    assert cut[:, 10:].max() == 0
    assert (cut[10:, :10] == 200).all()


def test_a_square_beyond_the_image_is_all_black():
    assert CloseUp(top=500, left=500, size=20).cut(np.full((40, 60), 200, np.uint8)).max() == 0


@pytest.mark.parametrize("square", [CloseUp(5, 7, 16), CloseUp(-8, -8, 32), CloseUp(30, 50, 64), CloseUp(90, 90, 8)])
def test_a_map_pasted_back_touches_only_the_square(square):
    onto = np.zeros((40, 60), np.float32)
    square.paste(np.ones((8, 8), np.float32), onto)
    inside = square.cut(np.ones((40, 60), np.uint8)).sum()
    assert (onto == 0.5).sum() == inside
    assert (onto == 0).sum() == onto.size - inside


def test_what_was_cut_and_pasted_lies_where_it_was():
    image = np.zeros((80, 80), np.float32)
    image[30:40, 50:60] = 1
    square = CloseUp(top=20, left=40, size=32)
    onto = image.copy()
    square.paste(square.cut(image), onto)
    np.testing.assert_array_equal(onto, image)


def test_the_box_of_a_mask_has_exclusive_ends():
    mask = np.zeros((10, 20), bool)
    mask[2:5, 7:13] = True
    assert box_of(mask) == (2, 7, 5, 13)
    assert box_of(np.zeros((4, 4), bool)) is None
