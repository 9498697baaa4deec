"""Uploads that must be refused: wrong kinds, damaged files, bombs and disguises. Each is small to make and to send."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.fixture_images import as_file, coloured, encoded, good_dicom, good_jpeg, good_png, speckle

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Hostile:
    """A file to upload, and the refusal it must meet: HTTP status and code."""

    filename: str
    content_type: str
    make: Callable[[], bytes]
    status: int
    code: str


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def _zeros(size: int) -> bytes:
    """zlib stream of `size` zeros, made without holding them."""
    deflate = zlib.compressobj(9)
    parts = [deflate.compress(b"\0" * _MEBIBYTE) for _ in range(size // _MEBIBYTE)]
    return b"".join([*parts, deflate.compress(b"\0" * (size % _MEBIBYTE)), deflate.flush()])


def _png_of(width: int, height: int, *, idat: bytes, extra: bytes = b"", colour_type: int = 0, depth: int = 8) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + _chunk(b"IDAT", idat) + _chunk(b"IEND", b"")


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("image.dcm", good_png())
    return buffer.getvalue()


def _animation(image_format: str) -> bytes:
    buffer = io.BytesIO()
    first, second = Image.fromarray(speckle(0)), Image.fromarray(speckle(1))
    first.save(buffer, format=image_format, save_all=True, append_images=[second], duration=100)
    return buffer.getvalue()


def _tiff_bomb() -> bytes:
    """One deflated strip that announces 30,000 x 30,000 pixels."""
    strip = _zeros(4 * _MEBIBYTE)
    entries = [(256, 4, 30_000), (257, 4, 30_000), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 4, 30_000), (279, 4, len(strip))]
    fields = (struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    directory = struct.pack("<H", len(entries)) + b"".join(fields)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory + b"\0\0\0\0"


def _tiff_of_many_pages() -> bytes:
    """Three hundred thousand empty directories."""
    pages = 300_000
    directories = (struct.pack("<HI", 0, 8 + 6 * (page + 1)) for page in range(pages))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(directories) + struct.pack("<HI", 0, 0)


def _webp_bomb() -> bytes:
    """An extended header of 16,384 x 16,384 pixels, for which libwebp would reserve 2 GiB."""
    side = (16_384 - 1).to_bytes(3, "little")
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + side + side
    payload = canvas + b"VP8L" + struct.pack("<I", 8) + b"\x2f" + b"\0" * 7
    return b"RIFF" + struct.pack("<I", len(payload) + 4) + b"WEBP" + payload


def _progressive_bomb() -> bytes:
    """A progressive JPEG whose last scan is repeated until decoding would take minutes."""
    image = encoded(np.zeros((4000, 4000), dtype=np.uint8), "JPEG", progressive=True)
    last_scan = image[image.rindex(b"\xff\xda") : -2]
    return image[:-2] + last_scan * 2000 + b"\xff\xd9"


def _with_preamble(start: bytes) -> bytes:
    return start.ljust(128, b"\x90") + good_dicom()[128:]


def _deflated_bomb() -> bytes:
    """A deflated dataset (PS3.5 A.5) of 512 MiB of zeros in about half a megabyte."""
    meta = as_file(_bare(), DeflatedExplicitVRLittleEndian)
    head = meta[: 144 + int.from_bytes(meta[140:144], "little")]
    return head + _zeros(512 * _MEBIBYTE)[2:-4]


def _bare() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.3.4"
    return dataset


def _nested(depth: int) -> bytes:
    """Sequences of undefined length inside one another (PS3.5 7.5), none of them closed."""
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return _before_pixels(good_dicom()) + (sequence + item) * depth


def _many_elements(count: int) -> bytes:
    """Empty private elements, each a legal eight bytes."""
    return _before_pixels(good_dicom()) + struct.pack("<HH2sH", 0x0029, 0x0010, b"LO", 0) * count


def _many_fragments(count: int) -> bytes:
    fragments = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * count + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    head = _before_pixels(good_dicom(syntax=JPEGBaseline8Bit, NumberOfFrames=3))
    return head + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + fragments


def _before_pixels(file: bytes) -> bytes:
    return file[: file.rindex(b"\xe0\x7f\x10\x00")]


def _frame(syntax: UID, frame: bytes, **elements: object) -> bytes:
    """A DICOM file in `syntax` whose only frame is the given bytes."""
    return good_dicom(syntax=syntax, coded_frames=[frame], **elements)


def _resized_j2k(side: int) -> bytes:
    """A JPEG 2000 frame whose codestream announces another size than the dataset."""
    file = good_dicom(syntax=JPEG2000Lossless)
    position = file.index(b"\xff\x4f\xff\x51") + 8
    return file[:position] + struct.pack(">II", side, side) + file[position + 8 :]


def _rle_bomb() -> bytes:
    """Runs that unpack to 64 times what the image holds (PS3.5 annex G)."""
    return _frame(RLELossless, struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\xff" * 400_000)


def _as_plain(file: bytes) -> bytes:
    """The same file with its transfer syntax renamed to explicit VR little endian."""
    renamed = str(ExplicitVRLittleEndian).encode().ljust(len(JPEGBaseline8Bit), b"\0")
    return file.replace(str(JPEGBaseline8Bit).encode(), renamed, 1)


def _disagreeing(syntax: UID) -> bytes:
    return good_dicom(syntax=syntax, Rows=65_535 // 16, Columns=64)


def _dicom(make: Callable[[], bytes], status: int, code: str) -> Hostile:
    return Hostile("image.dcm", "application/dicom", make, status, code)


def _picture(kind: str) -> Callable[[Callable[[], bytes], int, str], Hostile]:
    return lambda make, status, code: Hostile(f"image.{kind}", f"image/{kind}", make, status, code)


_png, _jpeg, _tiff, _webp, _bmp = (_picture(kind) for kind in ("png", "jpeg", "tiff", "webp", "bmp"))

_JUNK = bytes(np.random.default_rng(1).integers(0, 256, 4096, dtype=np.uint8))
_SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

HOSTILE: dict[str, Hostile] = {
    "nothing": Hostile("empty.png", "image/png", lambda: b"", 400, "empty"),
    "text": Hostile("notes.png", "image/png", lambda: b"This is not an image.\n", 415, "unsupported_type"),
    "noise": Hostile("noise.png", "image/png", lambda: b"\x01" + _JUNK, 415, "unsupported_type"),
    "svg": Hostile("drawing.svg", "image/svg+xml", lambda: _SVG, 415, "unsupported_type"),
    "html": Hostile("page.jpg", "image/jpeg", lambda: b"<!DOCTYPE html><html><body>", 415, "unsupported_type"),
    "pdf": Hostile("report.pdf", "application/pdf", lambda: b"%PDF-1.7\n%\xe2\xe3", 415, "unsupported_type"),
    "zip": Hostile("study.zip", "application/zip", _zip, 415, "unsupported_type"),
    "gif": Hostile("loop.gif", "image/gif", lambda: _animation("GIF"), 415, "unsupported_type"),
    "elf program as png": Hostile("scan.png", "image/png", lambda: b"\x7fELF\x02\x01" + _JUNK, 415, "unsupported_type"),
    "windows program as dicom": _dicom(lambda: b"MZ" + _JUNK, 415, "unsupported_type"),
    "animated png": Hostile("loop.png", "image/png", lambda: _animation("PNG"), 415, "animated"),
    "animated webp": Hostile("loop.webp", "image/webp", lambda: _animation("WEBP"), 415, "animated"),
    "png header only": _png(lambda: good_png()[:8], 400, "unreadable"),
    "truncated png": _png(lambda: good_png()[:2000], 400, "unreadable"),
    "png without end": _png(lambda: good_png()[:-12], 400, "unreadable"),
    "truncated jpeg": _jpeg(lambda: good_jpeg()[:1500], 400, "unreadable"),
    "truncated tiff": _tiff(lambda: encoded(speckle(), "TIFF")[:900], 400, "unreadable"),
    "truncated webp": _webp(lambda: encoded(speckle(), "WEBP")[:900], 400, "unreadable"),
    "truncated bmp": _bmp(lambda: encoded(speckle(), "BMP")[:2000], 400, "unreadable"),
    "png of 20,000 x 20,000": _png(lambda: _png_of(20_000, 20_000, idat=_zeros(_MEBIBYTE)), 413, "too_many_pixels"),
    "png of 30,000 x 30,000": _png(
        lambda: _png_of(30_000, 30_000, idat=_zeros(64 * _MEBIBYTE)), 413, "too_many_pixels"
    ),
    "png of 2**31 - 1 columns": _png(lambda: _png_of(2**31 - 1, 1, idat=_zeros(_MEBIBYTE)), 413, "too_many_pixels"),
    "png with a text bomb": _png(
        lambda: _png_of(8, 8, idat=_zeros(72), extra=_chunk(b"zTXt", b"bomb\0\0" + _zeros(256 * _MEBIBYTE))),
        400,
        "unreadable",
    ),
    "png with a profile bomb": _png(
        lambda: _png_of(8, 8, idat=_zeros(72), extra=_chunk(b"iCCP", b"bomb\0\0" + _zeros(256 * _MEBIBYTE))),
        400,
        "unreadable",
    ),
    "png with an absurd depth": _png(lambda: _png_of(8, 8, idat=_zeros(72), depth=13), 400, "unreadable"),
    "tiff bomb": _tiff(_tiff_bomb, 413, "too_many_pixels"),
    "tiff of 300,000 pages": _tiff(_tiff_of_many_pages, 400, "unreadable"),
    "webp bomb": _webp(_webp_bomb, 413, "too_many_pixels"),
    "progressive jpeg bomb": _jpeg(_progressive_bomb, 400, "unreadable"),
    "dicom prefix only": _dicom(lambda: b"\0" * 128 + b"DICM", 400, "no_image"),
    "truncated dicom": _dicom(lambda: good_dicom()[:-6000], 400, "truncated"),
    "dicom cut in its header": _dicom(lambda: good_dicom()[:400], 400, "no_image"),
    "dicom without pixels": _dicom(lambda: good_dicom(PixelData=None), 400, "no_image"),
    "dicom of 65,535 x 65,535": _dicom(lambda: good_dicom(Rows=65_535, Columns=65_535), 413, "too_many_pixels"),
    "dicom of no rows": _dicom(lambda: good_dicom(Rows=0), 400, "no_image"),
    "dicom with lying frames": _dicom(lambda: good_dicom(NumberOfFrames=500), 400, "truncated"),
    "dicom of too many frames": _dicom(lambda: good_dicom(NumberOfFrames=2**31 - 1), 413, "too_many_frames"),
    "dicom with lying compressed frames": _dicom(
        lambda: good_dicom(syntax=JPEGBaseline8Bit, NumberOfFrames=500), 400, "unreadable"
    ),
    "dicom of -1 frames": _dicom(lambda: good_dicom(NumberOfFrames=-1), 400, "unreadable"),
    "dicom of 64 bits": _dicom(lambda: good_dicom(BitsAllocated=64), 415, "unsupported_pixels"),
    "dicom of more bits than it has": _dicom(
        lambda: good_dicom(BitsStored=200, HighBit=199), 415, "unsupported_pixels"
    ),
    "dicom of 40,000 samples": _dicom(lambda: good_dicom(SamplesPerPixel=40_000), 415, "unsupported_pixels"),
    "dicom with an absurd palette": _dicom(
        lambda: good_dicom(
            photometric="PALETTE COLOR",
            **{f"{c}PaletteColorLookupTableDescriptor": [65535, 0, 16] for c in ("Red", "Green", "Blue")},
            **{f"{c}PaletteColorLookupTableData": b"\0\0" for c in ("Red", "Green", "Blue")},
        ),
        400,
        "unreadable",
    ),
    "dicom of computed tomography": _dicom(lambda: good_dicom(modality="CT"), 415, "wrong_modality"),
    "dicom video": _dicom(
        lambda: _frame(UID("1.2.840.10008.1.2.4.102"), b"\0\0\0\x01" * 9),
        415,
        "unsupported_compression",
    ),
    "dicom in an unknown encoding": _dicom(
        lambda: good_dicom().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0"),
        415,
        "unsupported_compression",
    ),
    "windows program in the preamble": _dicom(lambda: _with_preamble(b"MZ\x90\0"), 415, "disguised"),
    "linux program in the preamble": _dicom(lambda: _with_preamble(b"\x7fELF\x02\x01\x01"), 415, "disguised"),
    "script in the preamble": _dicom(lambda: _with_preamble(b"#!/bin/sh\n"), 415, "disguised"),
    "archive in the preamble": _dicom(lambda: _with_preamble(b"PK\x03\x04"), 415, "disguised"),
    "web page in the preamble": _dicom(lambda: _with_preamble(b"<html><script>"), 415, "disguised"),
    "deflated dicom bomb": _dicom(_deflated_bomb, 413, "too_large"),
    "nested sequences": _dicom(lambda: _nested(20_000), 400, "unreadable"),
    "millions of elements": _dicom(lambda: _many_elements(2_000_000), 400, "unreadable"),
    "millions of fragments": _dicom(lambda: _many_fragments(2_000_000), 400, "unreadable"),
    "rle bomb": _dicom(_rle_bomb, 400, "unreadable"),
    "jpeg 2000 of 60,000 x 60,000 in a small frame": _dicom(lambda: _resized_j2k(60_000), 400, "unreadable"),
    **{
        f"{syntax.name}, junk as a frame": _dicom(lambda syntax=syntax: _frame(syntax, _JUNK), 400, "unreadable")
        for syntax in (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless)
    },
    **{
        f"{syntax.name}, sizes disagree": _dicom(lambda syntax=syntax: _disagreeing(syntax), 400, "unreadable")
        for syntax in (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless)
    },
    "colour frame in a grey dicom": _dicom(
        lambda: _frame(JPEGBaseline8Bit, encoded(coloured(), "JPEG")), 400, "unreadable"
    ),
    "compressed pixels announced as plain": _dicom(
        lambda: _as_plain(good_dicom(syntax=JPEGBaseline8Bit)), 400, "unreadable"
    ),
}
