"""Reading image files and refusing arrays that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml import images
from ml.contract import ImageError
from ml.images import checked_pixels, read_image, stretch_to_uint8, to_grey


def test_a_grey_png_comes_back_pixel_for_pixel(tmp_path, ultrasound):
    Image.fromarray(ultrasound).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), ultrasound)


def test_a_phone_image_is_turned_upright(tmp_path):
    pixels = np.zeros((20, 40), np.uint8)
    pixels[:, :10] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF 2.32, Orientation: the camera was turned, rotate by 90 degrees clockwise to view
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright = read_image(tmp_path / "a.jpg")
    assert upright.shape == (40, 20)
    assert upright[:8].mean() > 150 > upright[20:].mean()


def test_transparency_becomes_black(tmp_path):
    pixels = np.full((10, 10, 4), 255, np.uint8)
    pixels[:, :5, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.shape == (10, 10, 3)
    assert read[:, :5].max() == 0
    assert read[:, 5:].min() == 255


def test_sixteen_bit_grey_is_scaled_not_cut_off(tmp_path):
    ramp = np.linspace(0, 4095, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.dtype == np.uint8
    assert (read[0, 0], read[-1, -1]) == (0, 255)
    assert len(np.unique(read)) > 200


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_file_that_is_no_image_is_named_in_the_error(tmp_path, content):
    path = tmp_path / "scan.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"scan\.png"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_file_cut_in_half_is_refused(tmp_path, ultrasound, suffix):
    path = tmp_path / f"scan{suffix}"
    Image.fromarray(ultrasound).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match="damaged"):
        read_image(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        read_image(tmp_path / "none.png")


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "big.png")
    with pytest.raises(ImageError, match="40 x 40 pixels"):
        read_image(tmp_path / "big.png")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((8, 8), np.uint16), "8-bit"),
        (np.zeros((8, 8), np.float32), "8-bit"),
        (np.zeros((8, 8), bool), "8-bit"),
        (np.zeros((8, 8, 4), np.uint8), "alpha"),
        (np.zeros((8, 8, 2), np.uint8), "shape"),
        (np.zeros((2, 8, 8, 3), np.uint8), "one frame"),
        (np.zeros(8, np.uint8), "shape"),
        (np.zeros((0, 8), np.uint8), "no pixels"),
        (np.zeros((8, 0, 3), np.uint8), "no pixels"),
    ],
)
def test_an_array_that_is_no_8_bit_image_is_refused_with_the_reason(array, words):
    with pytest.raises(ImageError, match=words):
        checked_pixels(array)


def test_one_channel_is_the_same_as_none(ultrasound):
    assert np.array_equal(checked_pixels(ultrasound[:, :, None]), ultrasound)


def test_equal_channels_are_their_own_grey(ultrasound):
    assert np.array_equal(to_grey(np.repeat(ultrasound[:, :, None], 3, axis=2)), ultrasound)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_numbers_are_refused(value):
    with pytest.raises(ImageError, match="not numbers"):
        stretch_to_uint8(np.array([[0.0, value]]))


def test_a_constant_array_stretches_to_black():
    assert stretch_to_uint8(np.full((3, 3), 7.5)).max() == 0


def test_every_folder_path_type_is_accepted(tmp_path, ultrasound):
    Image.fromarray(ultrasound).save(tmp_path / "a.png")
    assert np.array_equal(read_image(str(tmp_path / "a.png")), read_image(Path(tmp_path / "a.png")))
