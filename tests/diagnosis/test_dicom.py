"""DICOM pixels arrive as the scanner meant them, in every transfer syntax and photometric interpretation."""

import base64
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from diagnosis.intake import IntakeRejected, Limits, receive
from tests.fixture_images import coloured, good_dicom, speckle

PROJECT = Path(__file__).resolve().parents[2]
REAL_FILES = sorted((PROJECT.parent / "shared" / "data" / "dicom").glob("*.dcm"))

NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
LOSSLESS = (*NATIVE, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless)
# Process 4 of ITU-T T.81, which no encoder here writes: a 16 x 16 ramp of 160 a row and 80 a column, by GDCM.
TWELVE_BIT_JPEG = base64.b64decode(
    "/9j/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQH/wQALEAAQABAB"
    "AREA/8QAFAABAAAAAAAAAAAAAAAAAAAADf/EABwQAAAGAwAAAAAAAAAAAAAAAAALDCk4R1ZldP/aAAgBAQAAPwBpAKTUk3GZs7Eak49QFAAp"
    "NSTcZmzsRqTj1AUACk1JNxmbOxGpOPUBQAKTUk3GZs7Eak49QP/ZAA=="
)
every_lossless_syntax = pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)


def shown(file, **options):
    return receive(file, filename="image.dcm", **options).pixels


def stretched(values):
    """Without a window: the range in use, black to white."""
    values = values.astype(float)
    return np.rint((values - values.min()) / (values.max() - values.min()) * 255)


@every_lossless_syntax
def test_eight_bit_grey_arrives_unchanged(syntax):
    image = speckle(1)
    assert np.array_equal(shown(good_dicom(pixels=image, syntax=syntax)), image)


@every_lossless_syntax
def test_colour_arrives_unchanged(syntax):
    image = coloured()
    assert np.array_equal(shown(good_dicom(pixels=image, syntax=syntax)), image)


@every_lossless_syntax
def test_twelve_of_sixteen_bits_fill_the_grey_scale(syntax):
    image = speckle(2, bits=12)
    assert np.array_equal(shown(good_dicom(pixels=image, bits_stored=12, syntax=syntax)), stretched(image))


@every_lossless_syntax
def test_signed_values_keep_their_order(syntax):
    image = (speckle(3, bits=12).astype(np.int32) - 2048).astype(np.int16)
    assert np.array_equal(shown(good_dicom(pixels=image, syntax=syntax)), stretched(image))


def test_baseline_jpeg_stays_close_to_the_original():
    grey, colour = speckle(4), coloured()
    assert np.abs(shown(good_dicom(pixels=grey, syntax=JPEGBaseline8Bit)).astype(int) - grey).mean() < 3
    file = good_dicom(pixels=colour, syntax=JPEGBaseline8Bit, photometric="YBR_FULL_422")
    assert np.abs(shown(file).astype(int) - colour).max() <= 6


def test_twelve_bit_extended_jpeg_is_read():
    y, x = np.mgrid[:16, :16]
    ramp = (160 * y + 80 * x).astype(np.uint16)
    file = good_dicom(pixels=ramp, bits_stored=12, syntax=JPEGExtended12Bit, coded_frames=[TWELVE_BIT_JPEG])
    assert np.abs(shown(file) - stretched(ramp)).max() <= 1


def test_monochrome1_is_inverted():
    image = speckle(5)
    assert np.array_equal(shown(good_dicom(pixels=image, photometric="MONOCHROME1")), 255 - image)


def test_planes_of_colour_are_put_together():
    image = coloured()
    planes = image.transpose(2, 0, 1).tobytes()
    assert np.array_equal(shown(good_dicom(pixels=image, PlanarConfiguration=1, PixelData=planes)), image)


def test_ybr_full_becomes_rgb():
    red = np.zeros((8, 8, 3), np.uint8)
    red[...] = (76, 85, 255)  # PS3.3 C.7.6.3.1.2 for pure red
    assert np.abs(shown(good_dicom(pixels=red, photometric="YBR_FULL"))[0, 0].astype(int) - (255, 0, 0)).max() <= 2


def test_uncompressed_ybr_full_422_shares_chroma_between_two_pixels():
    image = np.zeros((4, 6, 3), np.uint8)
    shared = np.array([76, 76, 85, 255] * 12, np.uint8).tobytes()  # Y1 Y2 Cb Cr
    pixels = shown(good_dicom(pixels=image, photometric="YBR_FULL_422", PixelData=shared))
    assert pixels.shape == (4, 6, 3)
    assert np.abs(pixels[0, 0].astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize(("entry_bits", "scale"), [(8, 1), (16, 257)])
def test_palette_colours_are_looked_up(entry_bits, scale):
    indices = (speckle(6) // 64).astype(np.uint8)
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 0], [10, 20, 250]], np.uint16)
    dtype = np.uint8 if entry_bits == 8 else np.uint16
    elements = {}
    for column, channel in enumerate(("Red", "Green", "Blue")):
        elements[f"{channel}PaletteColorLookupTableDescriptor"] = [4, 0, entry_bits]
        elements[f"{channel}PaletteColorLookupTableData"] = (palette[:, column] * scale).astype(dtype).tobytes()
    file = good_dicom(pixels=indices, photometric="PALETTE COLOR", **elements)
    assert np.array_equal(shown(file), palette[indices].astype(np.uint8))


def test_grey_in_an_rgb_coat_arrives_grey():
    image = speckle(7)
    assert np.array_equal(shown(good_dicom(pixels=np.stack([image] * 3, axis=-1))), image)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # PS3.3 C.11.2.1.2.1 with center 1000, width 401: black to 800, white from 1200.
        ("LINEAR", {799: 0, 800: 0, 1000: 128, 1199: 255, 1300: 255}),
        ("LINEAR_EXACT", {799: 0, 1000: 128, 1201: 255}),
        ("SIGMOID", {0: 0, 1000: 128, 4000: 255}),
    ],
)
def test_the_window_is_applied(function, expected):
    image = np.zeros((8, 8), np.uint16)
    image.ravel()[: len(expected)] = list(expected)
    file = good_dicom(pixels=image, bits_stored=12, WindowCenter=1000, WindowWidth=401, VOILUTFunction=function)
    assert np.abs(shown(file).ravel()[: len(expected)].astype(int) - list(expected.values())).max() <= 1


def test_rescale_comes_before_the_window():
    image = np.full((4, 4), 100, np.uint16)
    elements = {"RescaleSlope": 2, "RescaleIntercept": -200, "WindowCenter": 0.5, "WindowWidth": 256}
    assert abs(int(shown(good_dicom(pixels=image, bits_stored=12, **elements))[0, 0]) - 128) <= 1


def test_a_voi_lut_is_preferred_to_the_window():
    lut = Dataset()
    lut.LUTDescriptor = [256, 0, 8]
    lut.LUTData = bytes(range(255, -1, -1))
    lut["LUTData"].VR = "OW"
    image = speckle(8)
    assert np.array_equal(shown(good_dicom(pixels=image, VOILUTSequence=[lut])), 255 - image)


def test_padding_around_the_breast_does_not_take_the_contrast():
    image = np.full((8, 8), 1000, np.uint16)
    image[:, 4:] = 1100
    image[0] = 4095
    file = good_dicom(pixels=image, bits_stored=12, modality="MG", PixelPaddingValue=4095)
    assert shown(file)[5, 0] == 0
    assert shown(file)[5, 7] == 255


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless], ids=lambda uid: uid.name)
def test_a_loop_gives_the_wanted_frame(syntax):
    loop = [np.full((16, 16), level, np.uint8) for level in (10, 60, 110, 160, 210)]
    file = good_dicom(frames=loop, syntax=syntax)
    received = receive(file, filename="loop.dcm", frame=4)
    assert (received.frame_index, received.frame_count) == (4, 5)
    assert abs(int(received.pixels[0, 0]) - 210) <= 1


def test_without_a_wish_the_representative_frame_is_taken_else_the_middle_one():
    loop = [np.full((16, 16), level, np.uint8) for level in (10, 60, 110, 160, 210)]
    assert shown(good_dicom(frames=loop))[0, 0] == 110
    assert shown(good_dicom(frames=loop, RepresentativeFrameNumber=2))[0, 0] == 60
    assert shown(good_dicom(frames=loop, RepresentativeFrameNumber=77))[0, 0] == 110


def test_a_frame_that_does_not_exist_is_refused_with_the_number_of_frames():
    with pytest.raises(IntakeRejected, match="frames 1 to 2") as refusal:
        shown(good_dicom(frames=[speckle(0), speckle(1)]), frame=2)
    assert refusal.value.code == "frame_out_of_range"


def test_a_dataset_without_preamble_is_read_when_it_is_clearly_an_image():
    file = good_dicom()
    meta_length = int.from_bytes(file[140:144], "little")
    bare = file[144 + meta_length :]
    assert np.array_equal(shown(bare), speckle(0))


def test_a_tiff_preamble_is_allowed():
    assert np.array_equal(shown(b"II*\0".ljust(128, b"\1") + good_dicom()[128:]), speckle(0))


def test_the_size_limit_holds_before_decoding():
    with pytest.raises(IntakeRejected, match="12,288|128 x 96") as refusal:
        shown(good_dicom(syntax=JPEG2000Lossless), limits=Limits(max_pixels=10_000))
    assert refusal.value.http_status == 413


@pytest.mark.skipif(not REAL_FILES, reason="the real DICOM files of ../shared/data/dicom are not here")
@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.stem)
def test_real_breast_ultrasound_is_read(path):
    received = receive(path.read_bytes(), filename=path.name)
    assert (received.source_format, received.modality) == ("DICOM", "US")
    assert received.pixels.shape[0] > 300
    assert received.pixels.std() > 10
    assert received.device == "TOSHIBA_MEC Aplio"
    assert received.identity.patient_id
    row, column = received.pixel_spacing_mm
    assert 0.05 < row == column < 0.3
