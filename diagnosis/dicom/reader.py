"""A DICOM file (PS3.10) to one display-ready frame and its description."""

import struct
import zlib
from typing import Any

import numpy as np
import pydicom.config
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from diagnosis.dicom.description import ACCEPTED_MODALITIES, UNSPECIFIC_MODALITIES, describe
from diagnosis.dicom.display import to_display
from diagnosis.dicom.elements import MeteredBytes, text
from diagnosis.dicom.pixels import PLUGINS, PixelModule, decode_frame, pixel_module
from diagnosis.received import (
    CONTENT_TOO_LARGE,
    EXPORT_AGAIN,
    NOTHING_KEPT,
    UNSUPPORTED_MEDIA_TYPE,
    Description,
    IntakeRejected,
    Limits,
    Picture,
)

# Files with slips in their descriptive elements are common and readable; pydicom need not warn about each of them.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

MEDIA_TYPE = "application/dicom"
PREAMBLE_BYTES = 128
PREFIX = b"DICM"
# PS3.10 7.1: the preamble is for other formats' readers. TIFF is the one that scanners use; anything else is a program
# or a document that wears an image's clothes.
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# What a dataset without preamble begins with: group length, meta version, character set, image type or SOP class.
_FIRST_ELEMENTS = ((2, 0), (2, 1), (2, 2), (8, 0), (8, 1), (8, 5), (8, 8), (8, 0x12), (8, 0x16))
_MAX_FIRST_LENGTH = 256

_MEBIBYTE = 1024 * 1024
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_VIDEO = "1.2.840.10008.1.2.4.10"  # MPEG-2, MPEG-4 and HEVC are .100 to .108, PS3.5 A.4.5 to A.4.12

_WITHOUT_PIXELS = {
    "1.2.840.10008.1.3.10": "an index of a disc (DICOMDIR)",
    "1.2.840.10008.5.1.4.1.1.104.1": "a PDF document in DICOM wrapping",
}
_NAMES_OF_MODALITIES = {
    "CT": "computed tomography",
    "MR": "magnetic resonance",
    "CR": "computed radiography",
    "DX": "digital radiography",
    "PT": "positron emission tomography",
    "NM": "nuclear medicine",
    "XA": "angiography",
    "RF": "fluoroscopy",
    "SR": "structured report",
}


def looks_like_dicom(data: bytes) -> bool:
    """Whether the bytes are a DICOM file, or a bare dataset that begins as an image's does (group 0002 or 0008)."""
    if data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == PREFIX:
        return True
    if len(data) < 16:
        return False
    group, element, length = struct.unpack_from("<HHL", data)
    explicit = data[4:6].isalpha() and data[4:6].isupper()
    return (group, element) in _FIRST_ELEMENTS and (explicit or length <= _MAX_FIRST_LENGTH)


def read(data: bytes, *, frame: int | None, limits: Limits) -> tuple[Picture, Description]:
    """Read one frame. The caller turns any other exception than `IntakeRejected` into one."""
    _require_plain_preamble(data)
    dataset, syntax = _open(data, limits)
    _require_image(dataset)
    _require_known_syntax(syntax)
    module = pixel_module(dataset, limits)
    stored, index = decode_frame(dataset, module, syntax=syntax, frame=frame, limits=limits)
    picture = Picture(
        pixels=to_display(stored, module, dataset, frame=index),
        source_format="DICOM",
        media_type=MEDIA_TYPE,
        frame_index=index,
        frame_count=module.frame_count,
    )
    return picture, describe(dataset)


def read_stored(data: bytes, *, frame: int, limits: Limits) -> tuple[Dataset, PixelModule, NDArray[np.integer[Any]]]:
    """The attributes of a file, and the stored values of one frame as they were before any window. Same checks."""
    _require_plain_preamble(data)
    dataset, syntax = _open(data, limits)
    _require_image(dataset)
    _require_known_syntax(syntax)
    module = pixel_module(dataset, limits)
    stored, _ = decode_frame(dataset, module, syntax=syntax, frame=frame, limits=limits)
    return dataset, module, stored


def _require_plain_preamble(data: bytes) -> None:
    if data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != PREFIX:
        return
    preamble = data[:PREAMBLE_BYTES]
    if preamble.strip(b"\0") and not preamble.startswith(_TIFF_MAGICS):
        raise IntakeRejected(
            "disguised",
            "The DICOM file begins with something that is not an image, as a hidden program does. "
            f"{NOTHING_KEPT} Tell the IT staff where it came from, and export the image again from the scanner.",
            http_status=UNSUPPORTED_MEDIA_TYPE,
        )


def _open(data: bytes, limits: Limits) -> tuple[Dataset, UID]:
    """File meta information (PS3.10 7.1), then the dataset in the transfer syntax it names."""
    start = PREAMBLE_BYTES + 4 if data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == PREFIX else 0
    source = MeteredBytes(data, max_reads=limits.max_dicom_reads)
    source.seek(start)
    bare = start == 0 and data[:2] != b"\x02\x00"
    if bare:
        syntax = ExplicitVRLittleEndian if data[4:6].isalpha() else ImplicitVRLittleEndian
    else:
        meta = read_dataset(source, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
        syntax = UID(text(meta, "TransferSyntaxUID"))
    if syntax == DeflatedExplicitVRLittleEndian:
        source = MeteredBytes(_inflate(data[source.tell() :], limits), max_reads=limits.max_dicom_reads)
    dataset = read_dataset(source, syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian)
    if not text(dataset, "SOPClassUID") and bare:
        raise IntakeRejected(
            "unsupported_type",
            f"The file is not an image that is read here. {NOTHING_KEPT} "
            "Upload a DICOM, PNG, JPEG, TIFF, WebP or BMP image.",
            http_status=UNSUPPORTED_MEDIA_TYPE,
        )
    return dataset, syntax


def _inflate(deflated: bytes, limits: Limits) -> bytes:
    """Raw deflate without header (PS3.5 A.5), stopped at the limit instead of trusted."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    dataset = inflater.decompress(deflated, limits.max_inflated_bytes)
    if inflater.unconsumed_tail:
        raise IntakeRejected(
            "too_large",
            f"The DICOM file unpacks to more than {limits.max_inflated_bytes // _MEBIBYTE} MB. "
            f"{NOTHING_KEPT} {EXPORT_AGAIN}",
            http_status=CONTENT_TOO_LARGE,
        )
    return dataset


def _require_image(dataset: Dataset) -> None:
    sop_class = UID(text(dataset, "SOPClassUID"))
    modality = text(dataset, "Modality").upper()
    if "PixelData" not in dataset:
        known = "a DICOM file" if sop_class.name == str(sop_class) else f"a DICOM object of the kind “{sop_class.name}”"
        raise IntakeRejected(
            "no_image",
            f"The file is {_WITHOUT_PIXELS.get(str(sop_class), known)} and holds no image pixels. {NOTHING_KEPT} "
            "Upload the image files of the study.",
        )
    if modality not in ACCEPTED_MODALITIES | UNSPECIFIC_MODALITIES:
        name = _NAMES_OF_MODALITIES.get(modality, modality)
        raise IntakeRejected(
            "wrong_modality",
            f"The file says it is {name} ({modality[:16]}); breast ultrasound (US) and mammography (MG) are read here. "
            f"{NOTHING_KEPT} Choose the ultrasound or mammography image of the study.",
            http_status=UNSUPPORTED_MEDIA_TYPE,
        )


def _require_known_syntax(syntax: UID) -> None:
    if syntax in PLUGINS or syntax in _NATIVE:
        return
    if not syntax:
        raise IntakeRejected(
            "unreadable", f"The DICOM file does not say how it is encoded: it is damaged. {NOTHING_KEPT} {EXPORT_AGAIN}"
        )
    what = "as a video" if str(syntax).startswith(_VIDEO) else f"in a way that is not read here ({syntax.name[:80]})"
    raise IntakeRejected(
        "unsupported_compression",
        f"The DICOM image is compressed {what}. {NOTHING_KEPT} "
        "Export it uncompressed, or with JPEG, JPEG-LS, JPEG 2000 or RLE compression.",
        http_status=UNSUPPORTED_MEDIA_TYPE,
    )
