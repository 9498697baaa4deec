"""Ordinary pictures arrive upright, without their metadata, whatever they are called."""

import hashlib
import io
import random

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEGLosslessSV1

from diagnosis.intake import IntakeRejected, Limits, Received, receive, safe_filename
from tests.fixture_images import (
    coloured,
    encoded,
    good_dicom,
    good_jpeg,
    good_png,
    multi_page_tiff,
    oriented_jpeg,
    speckle,
)

LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {"compression": "tiff_lzw"}, "WEBP": {"lossless": True}}
every_lossless_format = pytest.mark.parametrize("image_format", LOSSLESS)


def shown(data, **options):
    return receive(data, filename="image", **options).pixels


@every_lossless_format
def test_grey_and_colour_arrive_unchanged(image_format):
    for image in (speckle(1), coloured()):
        received = receive(encoded(image, image_format, **LOSSLESS[image_format]), filename="image")
        assert np.array_equal(received.pixels, image)
        assert received.source_format == image_format
        assert (received.height, received.width) == image.shape[:2]


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_stays_close_to_the_original(progressive):
    assert np.abs(shown(good_jpeg(progressive=progressive)).astype(int) - speckle(0)).mean() < 6


def test_cmyk_jpeg_is_shown_in_its_colours():
    buffer = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), (200, 30, 60), np.uint8)).convert("CMYK").save(buffer, "JPEG", quality=95)
    assert np.abs(shown(buffer.getvalue())[8, 8].astype(int) - (200, 30, 60)).max() <= 8


def test_the_png_holds_the_pixels_and_nothing_else():
    received = receive(oriented_jpeg(6), filename="phone.jpg")
    with Image.open(io.BytesIO(received.png)) as png:
        assert np.array_equal(np.asarray(png), received.pixels)
        assert png.info == {}
        assert not png.getexif()
    for secret in (b"PATIENT", b"Exif", b"eXIf", b"tEXt", b"iCCP", b"pHYs"):
        assert secret not in received.png


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    image = coloured().astype(int)
    turned = image.transpose(1, 0, 2)
    upright = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: turned,
        6: turned[:, ::-1],
        7: turned[::-1, ::-1],
        8: turned[::-1],
    }[orientation]
    pixels = shown(oriented_jpeg(orientation))
    assert pixels.shape == upright.shape
    assert np.abs(pixels - upright).mean() < 4


def test_grey_in_an_rgb_coat_becomes_grey_in_the_png_too():
    received = receive(encoded(np.stack([speckle(2)] * 3, axis=-1), "PNG"), filename="a.png")
    assert received.pixels.ndim == 2
    with Image.open(io.BytesIO(received.png)) as png:
        assert png.mode == "L"


def test_transparency_lies_on_black():
    image = np.full((8, 8, 4), 255, np.uint8)
    image[:, :4, 3] = 0
    pixels = shown(encoded(image, "PNG"))
    assert pixels[0, 0] == 0
    assert pixels[0, 7] == 255


@pytest.mark.parametrize(("bits", "image_format"), [(12, "PNG"), (16, "PNG"), (12, "TIFF"), (16, "TIFF")])
def test_deep_samples_are_scaled_by_their_depth(bits, image_format):
    image = speckle(3, bits=bits)
    image[0, 0] = (1 << bits) - 1
    assert np.abs(shown(encoded(image, image_format)) - image.astype(float) * 255 / ((1 << bits) - 1)).max() <= 0.5


def test_eight_bit_values_in_sixteen_bits_are_left_alone():
    image = speckle(4).astype(np.uint16)
    assert np.array_equal(shown(encoded(image, "PNG")), image)


def test_a_black_and_white_picture_becomes_grey():
    buffer = io.BytesIO()
    Image.fromarray(speckle(5) > 60).save(buffer, "PNG")
    assert set(np.unique(shown(buffer.getvalue()))) == {0, 255}


def test_pages_of_a_tiff_are_frames():
    pages = [np.full((16, 20), level, np.uint8) for level in (10, 60, 110)]
    file = multi_page_tiff(pages, compression="tiff_deflate")
    middle = receive(file, filename="a.tif")
    assert (middle.frame_index, middle.frame_count, middle.pixels[0, 0]) == (1, 3, 60)
    assert receive(file, filename="a.tif", frame=2).pixels[0, 0] == 110
    with pytest.raises(IntakeRejected, match="frames 1 to 3"):
        receive(file, filename="a.tif", frame=3)


def test_of_two_pages_the_first_is_shown_since_the_second_may_be_a_thumbnail():
    assert shown(multi_page_tiff([np.full((16, 20), 9, np.uint8), np.full((4, 5), 99, np.uint8)])).shape == (16, 20)


def test_a_single_image_has_no_second_frame():
    with pytest.raises(IntakeRejected, match="holds one frame"):
        shown(good_png(), frame=1)
    with pytest.raises(IntakeRejected) as refusal:
        shown(good_png(), frame=-1)
    assert refusal.value.code == "frame_out_of_range"


@pytest.mark.parametrize("name", ["report.pdf", "x.dcm", "", "image.exe"])
def test_the_content_decides_not_the_name_or_the_declared_type(name):
    received = receive(good_png(), filename=name, declared_type="application/dicom")
    assert (received.source_format, received.media_type) == ("PNG", "image/png")


def test_the_fingerprint_is_of_the_uploaded_bytes():
    data = good_jpeg()
    assert receive(io.BytesIO(data), filename="a.jpg").sha256 == hashlib.sha256(data).hexdigest()


def test_pictures_are_not_kept_beside_their_png():
    assert not receive(good_png(), filename="a.png").keep_original


def test_the_pixels_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        shown(good_png())[0, 0] = 1


def test_a_file_over_the_limit_is_not_even_read_to_its_end():
    class Endless(io.RawIOBase):
        asked = 0

        def read(self, size=-1):
            assert size >= 0, "the whole upload was asked for"
            self.asked += size
            return b"\0" * size

    endless = Endless()
    with pytest.raises(IntakeRejected) as refusal:
        receive(endless, filename="a.dcm", limits=Limits(max_bytes=1000))
    assert (refusal.value.code, refusal.value.http_status) == ("too_large", 413)
    assert endless.asked <= 1001


@pytest.mark.parametrize(
    ("name", "displayed"),
    [
        ("C:\\Users\\me\\scan.png", "scan.png"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nSet-Cookie: b.png", "aSet-Cookie: b.png"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("\ud800.png", ".png"),
        ("ecografía  de mama.png", "ecografía de mama.png"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("a\0b.png", "ab.png"),
    ],
)
def test_names_are_safe_to_show(name, displayed):
    assert safe_filename(name) == displayed


def test_long_names_keep_their_extension():
    name = safe_filename("n" * 500 + ".dcm")
    assert len(name) == 120
    assert name.endswith(".dcm")


@pytest.mark.parametrize("make", [good_png, good_jpeg, good_dicom], ids=["png", "jpeg", "dicom"])
def test_damaged_files_are_read_or_refused_and_nothing_else(make):
    _meet_damage(make(), rounds=150)


def test_damaged_lossless_jpeg_is_read_or_refused_though_its_decoder_dies_of_it():
    file = good_dicom(pixels=speckle(0, height=24, width=32, bits=12), bits_stored=12, syntax=JPEGLosslessSV1)
    _meet_damage(file, rounds=25, start=file.rindex(b"\xe0\x7f\x10\x00"))


def _meet_damage(file, *, rounds, start=0):
    """Flip, overwrite and cut at random places; the seed is fixed, so a failure can be met again."""
    chance = random.Random(20260301)
    outcomes = set()
    for _ in range(rounds):
        damaged = bytearray(file)
        for _ in range(chance.choice((1, 1, 2, 8))):
            place = chance.randrange(start, len(damaged))
            damaged[place] = chance.choice(
                (0, 0xFF, chance.randrange(256), damaged[place] ^ (1 << chance.randrange(8)))
            )
        if chance.random() < 0.2:
            del damaged[chance.randrange(start, len(damaged)) :]
        try:
            outcome = receive(bytes(damaged), filename="damaged")
        except IntakeRejected as refusal:
            assert refusal.http_status in (400, 413, 415)
            assert "Nothing was kept." in refusal.message
            outcomes.add("refused")
        else:
            assert isinstance(outcome, Received)
            outcomes.add("read")
    assert "refused" in outcomes
