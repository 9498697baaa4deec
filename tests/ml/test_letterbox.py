"""The square canvas: nothing is stretched, and maps find their way back to the image."""

from __future__ import annotations

import numpy as np
import pytest

from ml.contract import LABELS
from ml.explain import class_maps
from ml.images import Letterbox, network_input

SIZES = [(381, 512), (512, 381), (224, 224), (100, 299), (301, 101), (97, 97), (1000, 1001), (1, 500), (500, 1)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_image_fills_the_canvas_on_its_longer_side_and_is_centred(height, width):
    box = Letterbox.fit(height=height, width=width, side=224)
    assert max(box.inner_height, box.inner_width) == 224
    assert 0 <= 224 - box.inner_height - 2 * box.top <= 1
    assert 0 <= 224 - box.inner_width - 2 * box.left <= 1


@pytest.mark.parametrize(("height", "width"), SIZES[:7])
def test_the_aspect_ratio_is_kept_to_half_a_pixel(height, width):
    box = Letterbox.fit(height=height, width=width, side=224)
    scale = 224 / max(height, width)
    assert abs(box.inner_height - height * scale) <= 0.5
    assert abs(box.inner_width - width * scale) <= 0.5


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_padding_is_black_and_the_image_is_not(height, width):
    box = Letterbox.fit(height=height, width=width, side=224)
    canvas = box.place(np.full((height, width), 200, np.uint8))
    inside = np.zeros((224, 224), bool)
    inside[box.top : box.top + box.inner_height, box.left : box.left + box.inner_width] = True
    assert (canvas[inside] == 200).all()
    assert (canvas[~inside] == 0).all()


@pytest.mark.parametrize(("height", "width"), SIZES[:7])
def test_a_point_comes_back_to_where_it_was(height, width):
    rows, columns = np.mgrid[0:height, 0:width]
    spread = 0.05 * max(height, width)
    distance = (rows - height * 0.3) ** 2 + (columns - width * 0.7) ** 2
    blob = (255 * np.exp(-distance / (2 * spread**2))).astype(np.uint8)
    box = Letterbox.fit(height=height, width=width, side=224)
    back = box.restore(box.place(blob).astype(np.float32))
    assert back.shape == (height, width)

    def centre(values):
        return np.array([(rows * values).sum(), (columns * values).sum()]) / values.sum()

    # A tenth of a canvas pixel, in the image's pixels; at least a half, for the rounding of the grey levels.
    assert np.abs(centre(back) - centre(blob.astype(float))).max() <= max(0.5, 0.1 * max(height, width) / 224)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_maps_have_the_image_s_size_for_every_shape(height, width):
    raw = np.random.default_rng(0).standard_normal((7, 7, 3)).astype(np.float32)
    maps = class_maps(raw, letterbox=Letterbox.fit(height=height, width=width, side=224))
    assert tuple(maps) == LABELS
    for each in maps.values():
        assert each.shape == (height, width)
        assert each.dtype == np.float32
        assert each.min() >= 0
        assert each.max() in (0.0, 1.0)


def test_evidence_in_the_padding_is_cut_away_not_squeezed_in():
    raw = np.zeros((7, 7, 3), np.float32)
    raw[0, :, 1] = 5.0  # the top row of a wide image lies in the padding
    raw[3, 6, 1] = 1.0
    maps = class_maps(raw, letterbox=Letterbox.fit(height=112, width=448, side=224))
    peak = np.unravel_index(maps["malignant"].argmax(), (112, 448))
    assert maps["malignant"][56, 440] > 0.9
    assert peak[1] > 380


def test_a_map_without_positive_evidence_is_all_zero():
    maps = class_maps(np.full((7, 7, 3), -1, np.float32), letterbox=Letterbox.fit(height=50, width=60, side=224))
    assert max(each.max() for each in maps.values()) == 0


def test_the_network_sees_three_equal_channels_from_minus_one_to_one():
    canvas = np.array([[0, 255], [128, 51]], np.uint8)
    pixels = network_input(canvas)
    assert pixels.shape == (1, 2, 2, 3)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[0, :, :, 0], canvas / 127.5 - 1, atol=1e-6)
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
