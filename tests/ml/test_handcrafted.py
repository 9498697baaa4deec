"""Hand-crafted features agree with what can be worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ml.baselines.handcrafted import (
    GLCM_NAMES,
    INTENSITY_NAMES,
    SHAPE_NAMES,
    cooccurrence,
    glcm_properties,
    intensity,
    lbp_codes,
    lesion_features,
    shape,
    whole_image_features,
)


def test_cooccurrence_of_haralicks_own_example():
    """Haralick et al. (1973), figure 3: four grey levels, distance 1, 0 degrees."""
    levels = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]])
    counted = cooccurrence(levels, np.ones((4, 4), bool), step=(0, 1), count=4)
    assert np.allclose(counted * 24, [[4, 2, 1, 0], [2, 4, 0, 0], [1, 0, 6, 1], [0, 0, 1, 2]])
    upright = cooccurrence(levels, np.ones((4, 4), bool), step=(-1, 0), count=4)
    assert np.allclose(upright * 24, [[6, 0, 2, 0], [0, 4, 2, 0], [2, 2, 2, 2], [0, 0, 2, 0]])


def test_only_pairs_inside_the_mask_count():
    levels = np.array([[0, 1, 2, 3]])
    inside = np.array([[True, True, False, True]])
    assert cooccurrence(levels, inside, step=(0, 1), count=4)[0, 1] == pytest.approx(0.5)
    assert cooccurrence(levels, inside, step=(0, 1), count=4).sum() == pytest.approx(1)


def test_a_constant_image_is_wholly_uniform():
    matrix = cooccurrence(np.zeros((5, 5), np.intp), np.ones((5, 5), bool), step=(0, 1), count=4)
    found = dict(zip(GLCM_NAMES, glcm_properties(matrix), strict=True))
    assert found == {
        "contrast": 0,
        "dissimilarity": 0,
        "homogeneity": 1,
        "energy": 1,
        "correlation": 1,
        "entropy": 0,
    }


def test_a_chessboard_has_the_greatest_contrast_and_opposite_neighbours():
    levels = (np.indices((6, 6)).sum(axis=0) % 2).astype(np.intp)
    found = glcm_properties(cooccurrence(levels, np.ones((6, 6), bool), step=(0, 1), count=2))
    assert found[0] == pytest.approx(1) and found[4] == pytest.approx(-1) and found[5] == pytest.approx(1)


def test_local_binary_patterns_of_a_spot_and_of_an_edge():
    spot = np.zeros((7, 7), np.float32)
    spot[3, 3] = 100
    codes = lbp_codes(spot, radius=1)
    assert codes[3, 3] == 0, "no neighbour of the spot is as bright"
    assert codes[0, 0] == 8, "on even ground all are"
    edge = np.where(np.arange(9) < 4, 0, 100)[None].repeat(9, axis=0).astype(np.float32)
    assert lbp_codes(edge, radius=1)[4, 4] == 5, "the bright side of an edge: above, below and three ahead"


def test_patterns_do_not_change_when_the_image_is_turned():
    image = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.float32)
    inner = np.s_[3:-3, 3:-3]
    turned = np.ascontiguousarray(np.rot90(image))
    first = np.bincount(lbp_codes(image, radius=2)[inner].ravel(), minlength=10)
    second = np.bincount(lbp_codes(turned, radius=2)[inner].ravel(), minlength=10)
    assert np.abs(first - second).sum() <= 0.01 * first.sum()


def test_intensity_of_two_equal_halves():
    image = np.array([[0, 0, 200, 200]], np.uint8)
    found = dict(zip(INTENSITY_NAMES, intensity(image, np.ones((1, 4), bool)), strict=True))
    assert found["mean"] == 100 and found["deviation"] == 100 and found["entropy"] == 1
    assert found["skewness"] == pytest.approx(0) and found["kurtosis"] == pytest.approx(1)


def named_shape(mask: np.ndarray) -> dict[str, float]:
    return dict(zip(SHAPE_NAMES, shape(np.full(mask.shape, 100, np.uint8), mask > 0), strict=True))


def test_a_disc_is_round_and_a_tall_ellipse_is_taller_than_wide():
    disc = cv2.circle(np.zeros((200, 200), np.uint8), (100, 100), 50, 1, -1)
    tall = cv2.ellipse(np.zeros((200, 200), np.uint8), (100, 100), (30, 60), 0, 0, 360, 1, -1)
    round_one, tall_one = named_shape(disc), named_shape(tall)
    assert round_one["circularity"] > 0.88 and round_one["solidity"] > 0.95 and round_one["eccentricity"] < 0.15
    assert round_one["area_share"] == pytest.approx(np.pi * 50**2 / 200**2, rel=0.03)
    assert tall_one["height_over_width"] == pytest.approx(2, rel=0.05)
    assert tall_one["upright"] == pytest.approx(1, abs=0.01) and abs(tall_one["slanted"]) < 0.01
    assert tall_one["circularity"] < round_one["circularity"]


def test_a_star_is_less_solid_than_a_disc():
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    radii = np.where(np.arange(20) % 2, 80, 30)
    points = np.stack([100 + radii * np.cos(angles), 100 + radii * np.sin(angles)], axis=1).astype(np.int32)
    star = cv2.fillPoly(np.zeros((200, 200), np.uint8), [points], 1)
    assert named_shape(star)["solidity"] < 0.7


def test_brightness_below_the_lesion_is_seen():
    image = np.full((120, 120), 80, np.uint8)
    mask = np.zeros((120, 120), bool)
    mask[30:60, 40:80] = True
    image[mask] = 30
    image[60:90, 40:80] = 180
    found = dict(zip(SHAPE_NAMES, shape(image, mask), strict=True))
    assert found["posterior_difference"] == pytest.approx(150)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (31, 17)])
def test_features_of_any_size_are_numbers(size):
    image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    mask = np.zeros(size, bool)
    mask[0, 0] = True
    assert np.isfinite(whole_image_features(image)).all()
    assert np.isfinite(lesion_features(image, mask)).all()
    assert np.isfinite(lesion_features(np.zeros(size, np.uint8), np.ones(size, bool))).all()


def test_a_lesion_without_pixels_or_of_another_size_is_refused():
    image = np.zeros((20, 20), np.uint8)
    with pytest.raises(ValueError, match="empty"):
        lesion_features(image, np.zeros((20, 20), bool))
    with pytest.raises(ValueError, match="shape"):
        lesion_features(image, np.ones((10, 20), bool))
