"""Preprocessing: each step does what its name says, on good images and on absurd ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ml.contract import ImageError
from ml.preprocess import (
    STEPS,
    Preprocessing,
    apply,
    breast_mask,
    chest_side,
    clahe,
    coloured_pixels,
    overlay_mask,
    pectoral_mask,
    prepare,
    remove_overlay,
    sector_box,
    window,
)

KEEPING = [name for name in STEPS if name != "sector_crop"]


@pytest.fixture
def tissue() -> np.ndarray:
    """Speckle that is smeared sideways, as an ultrasound's is; 300 x 400, mean 90."""
    noise = np.random.default_rng(0).normal(0, 1, (300, 400)).astype(np.float32)
    smeared = cv2.GaussianBlur(noise, (0, 0), sigmaX=4, sigmaY=1.5)
    return np.clip(90 + smeared / smeared.std() * 20, 0, 255).astype(np.uint8)


@pytest.fixture
def mammogram() -> np.ndarray:
    """An oblique view, chest wall on the left: breast, brighter muscle, a label at the upper right; 512 x 400."""
    film = np.random.default_rng(1).integers(0, 8, (512, 400)).astype(np.uint8)
    cv2.ellipse(film, (0, 260), (240, 250), 0, -90, 90, 110, -1)
    breast = film == 110
    muscle = np.zeros_like(film)
    cv2.fillPoly(muscle, [np.array([[0, 0], [150, 0], [0, 300]])], 1)
    film[breast & (muscle > 0)] = 170
    cv2.rectangle(film, (330, 20), (390, 70), 250, -1)
    return cv2.GaussianBlur(film, (5, 5), 0)


@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 3), (17, 17), (40, 900)])
@pytest.mark.parametrize("content", ["black", "white", "noise"])
def test_a_step_keeps_shape_and_type_of_any_image(name, shape, content):
    made = {
        "black": np.zeros(shape, np.uint8),
        "white": np.full(shape, 255, np.uint8),
        "noise": np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8),
    }
    found = apply(made[content], Preprocessing.of(name))
    assert found.shape == shape
    assert found.dtype == np.uint8


def test_a_step_does_not_write_into_the_image_it_is_given(tissue):
    before = tissue.copy()
    for name in KEEPING:
        apply(tissue, Preprocessing.of(name))
    assert np.array_equal(tissue, before)


def test_the_same_image_gives_the_same_bytes(tissue):
    everything = Preprocessing.of("overlay", "window", "clahe", "median", "non_local_means")
    assert apply(tissue, everything).tobytes() == apply(tissue, everything).tobytes()


def test_no_steps_change_nothing(tissue):
    assert np.array_equal(apply(tissue, Preprocessing()), tissue)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint16),
        np.full((4, 4), np.nan, np.float32),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
    ],
    ids=["16-bit", "nan", "empty", "four channels", "two channels"],
)
def test_an_array_that_is_no_8_bit_image_is_refused_by_name(array):
    with pytest.raises(ImageError, match="must be|has shape|no pixels"):
        apply(array, Preprocessing.of("clahe"))


def test_a_burned_in_word_is_found_and_painted_over(tissue):
    drawn = tissue.copy()
    cv2.putText(drawn, "LT BREAST", (120, 250), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 2)
    glyphs = drawn.astype(int) - tissue > 60
    found = overlay_mask(drawn)
    assert found[glyphs].mean() > 0.9
    assert found.mean() < 0.06
    painted = remove_overlay(drawn)
    assert np.abs(painted[glyphs].astype(int) - tissue[glyphs]).mean() < 40
    assert np.array_equal(painted[~found], drawn[~found])


def test_calipers_and_their_dotted_line_are_found(tissue):
    drawn = tissue.copy()
    for row, column in ((100, 80), (130, 300)):
        drawn[row - 6 : row + 7, column] = 255
        drawn[row, column - 6 : column + 7] = 255
    for share in np.linspace(0.08, 0.92, 48):
        drawn[round(100 + 30 * share), round(80 + 220 * share)] = 220
    found = overlay_mask(drawn)
    assert found[100, 80] and found[130, 300]
    assert found[112:118, 185:200].any()


def test_tissue_without_marks_is_left_alone(tissue):
    assert overlay_mask(tissue).mean() < 0.005


def test_coloured_marks_are_painted_over(tissue):
    image = np.repeat(tissue[..., None], 3, axis=2)
    image[40:60, 40:60] = (255, 220, 0)
    assert coloured_pixels(image)[45, 45] and not coloured_pixels(image)[100, 100]
    assert apply(image, Preprocessing.of("overlay"))[50, 50] < 160
    assert apply(image, Preprocessing())[50, 50] > 180


def test_the_window_uses_the_whole_range_and_keeps_black_black(tissue):
    dull = (tissue // 3 + 40).astype(np.uint8)
    dull[:40] = 0
    found = window(dull)
    assert found[40:].min() == 0 and found[40:].max() == 255
    assert (found[:40] == 0).all()


def test_clahe_raises_local_contrast(tissue):
    dull = (tissue // 4 + 60).astype(np.uint8)
    assert clahe(dull).std() > 1.5 * dull.std()


def test_denoising_lowers_noise_and_keeps_an_edge(tissue):
    edge = np.where(np.arange(400) < 200, 60, 180) + np.random.default_rng(5).normal(0, 8, (300, 400))
    noisy = np.clip(edge, 0, 255).astype(np.uint8)
    for name in ("median", "non_local_means"):
        found = apply(noisy, Preprocessing.of(name)).astype(float)
        assert found[:, :180].std() < noisy[:, :180].std() * 0.8
        assert found[:, 210:].mean() - found[:, :190].mean() > 110


def test_the_sector_is_cut_out_of_a_screen(tissue):
    screen = np.zeros((500, 700), np.uint8)
    screen[80:380, 150:550] = tissue
    cv2.putText(screen, "MENU", (10, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 1)
    box = sector_box(screen)
    assert abs(box.top - 80) <= 8 and abs(box.left - 150) <= 8
    assert abs(box.bottom - 380) <= 8 and abs(box.right - 550) <= 8
    prepared = prepare(screen, Preprocessing.of("sector_crop", "clahe"))
    assert prepared.box == box
    assert prepared.grey.shape == (box.bottom - box.top, box.right - box.left)
    assert apply(screen, Preprocessing.of("sector"))[:60].max() == 0


def test_cropping_is_refused_where_the_geometry_must_stay(tissue):
    with pytest.raises(ImageError, match="prepare"):
        apply(tissue, Preprocessing.of("sector_crop"))


@pytest.mark.parametrize("side", ["left", "right"])
def test_breast_muscle_and_chest_wall_are_told_apart(mammogram, side):
    film = mammogram if side == "left" else np.ascontiguousarray(mammogram[:, ::-1])
    column = (lambda place: place) if side == "left" else (lambda place: film.shape[1] - 1 - place)
    breast = breast_mask(film)
    assert chest_side(breast) == side
    assert breast[260, column(100)] and breast[100, column(20)]
    assert not breast[45, column(360)], "the label is no breast"
    muscle = pectoral_mask(film, breast)
    assert muscle[80, column(20)]
    assert not muscle[300, column(150)] and not muscle[200, column(110)]
    kept = apply(film, Preprocessing.of("breast", "pectoral"))
    assert kept[45, column(360)] == 0 and kept[80, column(20)] == 0 and kept[300, column(150)] > 80


def test_a_film_without_a_breast_has_no_mask_and_stays_as_it_is():
    blank = np.full((200, 200), 30, np.uint8)
    assert not breast_mask(blank).any()
    assert not pectoral_mask(blank).any()
    assert np.array_equal(apply(blank, Preprocessing.of("breast", "pectoral")), blank)


def test_the_manifest_entry_survives_a_round_trip():
    written = {"steps": [{"name": "overlay", "margin": 3}, {"name": "clahe", "clip": 3.0, "tiles": 4}]}
    assert Preprocessing.from_mapping(written).as_dict() == written
    assert Preprocessing.of("median").as_dict() == {"steps": [{"name": "median", "size": 5}]}
    assert Preprocessing.from_mapping({"steps": []}) == Preprocessing()


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({}, "one key steps"),
        ({"steps": [], "more": 1}, "one key steps"),
        ({"steps": "clahe"}, "list"),
        ({"steps": ["clahe"]}, "mapping with a name"),
        ({"steps": [{"name": "sharpen"}]}, "Unknown preprocessing step 'sharpen'"),
        ({"steps": [{"clip": 2}]}, "Unknown preprocessing step None"),
        ({"steps": [{"name": "clahe", "sigma": 2}]}, "no parameter 'sigma'"),
        ({"steps": [{"name": "clahe", "clip": "2"}]}, "must be a number"),
        ({"steps": [{"name": "clahe", "clip": True}]}, "must be a number"),
        ({"steps": [{"name": "clahe", "clip": float("nan")}]}, "must lie between"),
        ({"steps": [{"name": "clahe", "tiles": 2.5}]}, "whole"),
        ({"steps": [{"name": "median", "size": 4}]}, "odd"),
        ({"steps": [{"name": "median", "size": 99}]}, "must lie between"),
        ({"steps": [{"name": "median"}, {"name": "median"}]}, "listed twice"),
    ],
)
def test_a_wrong_manifest_entry_is_refused_with_what_is_wrong(entry, says):
    with pytest.raises(ValueError, match=says):
        Preprocessing.from_mapping(entry)
