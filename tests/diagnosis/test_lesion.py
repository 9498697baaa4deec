"""What is kept of an outlined lesion: its mask, its measures, and an outline to draw."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from diagnosis.lesion import MOST_PARTS, MOST_POINTS, kept, longest_distance
from ml.contract import Segmentation
from tests.fixture_results import square


def decoded(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


def of_mask(mask: np.ndarray) -> Segmentation:
    area = int((mask > 0).sum())
    return Segmentation(mask=mask, area_share=area / mask.size, area_px=area, diameter_px=1.0, box=(0, 0, 1, 1))


def test_the_mask_is_kept_pixel_by_pixel():
    found = square()
    assert np.array_equal(decoded(kept(found, row_spacing_mm=None, column_spacing_mm=None).mask_png), found.mask)


def test_square_pixels_scale_the_area_and_the_diameter():
    measures = kept(square(side=31), row_spacing_mm=0.5, column_spacing_mm=0.5).measures
    assert measures["area_mm2"] == pytest.approx(31 * 31 * 0.25, abs=0.06)
    assert measures["longest_diameter_mm"] == pytest.approx(30 * 2**0.5 * 0.5, abs=0.05)


def test_pixels_that_are_not_square_are_measured_along_their_own_directions():
    measures = kept(square(side=31), row_spacing_mm=0.1, column_spacing_mm=1.0).measures
    assert measures["longest_diameter_mm"] == pytest.approx(np.hypot(30 * 1.0, 30 * 0.1), abs=0.05)
    assert measures["area_mm2"] == pytest.approx(31 * 31 * 0.1, abs=0.06)


@pytest.mark.parametrize("spacing", [(None, None), (0.1, None), (None, 0.1), (0, 0)])
def test_nothing_is_said_in_millimetres_where_a_spacing_is_not_known(spacing):
    measures = kept(square(), row_spacing_mm=spacing[0], column_spacing_mm=spacing[1]).measures
    assert (measures["area_mm2"], measures["longest_diameter_mm"]) == (None, None)
    assert measures["longest_diameter_px"] == pytest.approx(30 * 2**0.5, abs=0.05)
    assert measures["box"] == [20, 40, 51, 71]


def test_the_outline_drawn_again_covers_the_mask():
    mask = np.zeros((200, 300), np.uint8)
    cv2.ellipse(mask, (140, 90), (70, 40), 25, 0, 360, 255, -1)
    outline = kept(of_mask(mask), row_spacing_mm=None, column_spacing_mm=None).measures["outline"]
    again = np.zeros_like(mask)
    cv2.fillPoly(again, [np.array(polygon, np.int32) for polygon in outline], 255)
    both, either = (mask & again > 0).sum(), (mask | again > 0).sum()
    assert both / either > 0.98
    assert sum(map(len, outline)) < 120


def test_a_mask_that_frays_is_drawn_within_bounds_and_its_largest_part_first():
    random = np.random.default_rng(1)
    mask = (random.random((300, 300)) > 0.6).astype(np.uint8) * 255
    cv2.circle(mask, (150, 150), 60, 255, -1)
    outline = kept(of_mask(mask), row_spacing_mm=None, column_spacing_mm=None).measures["outline"]
    assert 1 <= len(outline) <= MOST_PARTS
    assert sum(map(len, outline[1:])) <= MOST_POINTS
    assert cv2.contourArea(np.array(outline[0], np.int32)) == max(
        cv2.contourArea(np.array(polygon, np.int32)) for polygon in outline
    )


def test_a_lesion_of_one_pixel_has_no_length_and_can_be_kept():
    mask = np.zeros((20, 20), np.uint8)
    mask[7, 9] = 255
    measures = kept(of_mask(mask), row_spacing_mm=0.1, column_spacing_mm=0.1).measures
    assert measures["longest_diameter_mm"] == 0
    assert measures["outline"] == [[[9, 7]]]


def test_the_longest_distance_is_that_of_the_farthest_points():
    points = np.array([[0, 0], [3, 0], [3, 4], [1, 1]], float)
    assert longest_distance(points) == pytest.approx(5)
