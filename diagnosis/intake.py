"""The door: the bytes of an upload become pixels and a description, or a refusal that a person understands.

This is the only place that parses an upload. It is pure: no settings, no database, no files. What a file is follows
from its content, never from its name or the type its sender declares. Refusals come before the work they save: size,
kind, dimensions and number of frames are checked from headers.
"""

import hashlib
import re
import threading
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from diagnosis import raster
from diagnosis.dicom import reader as dicom_reader
from diagnosis.dicom.identity import compare_identity
from diagnosis.received import (
    CONTENT_TOO_LARGE,
    EXPORT_AGAIN,
    NOTHING_KEPT,
    UNSUPPORTED_MEDIA_TYPE,
    Description,
    Difference,
    IntakeRejected,
    Limits,
    PatientIdentity,
    Received,
    Upload,
    unreadable,
)

__all__ = [
    "Difference",
    "IntakeRejected",
    "Limits",
    "PatientIdentity",
    "Received",
    "Upload",
    "compare_identity",
    "receive",
    "safe_filename",
]

ACCEPTED = "DICOM, PNG, JPEG, TIFF, WebP or BMP"
MAX_FILENAME = 120
_MEBIBYTE = 1024 * 1024

# First bytes of the accepted picture formats. DICOM is asked first, since its preamble may look like a TIFF.
_PICTURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)
_BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)

# Files that people do send, named so that the refusal can say what it was.
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"GIF8", "a GIF image"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a compressed archive (gzip)"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#!", "a program"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"{\\rtf", "a text document"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture outside DICOM"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture outside DICOM"),
    (b"RIFF", "a sound or video file"),
    (b"\x1aE\xdf\xa3", "a video"),
)
_MEDIA_BRANDS: Mapping[bytes, str] = MappingProxyType(
    {b"heic": "a HEIC photo", b"heix": "a HEIC photo", b"mif1": "a HEIC photo", b"avif": "an AVIF picture"}
)
_MARKUP = re.compile(rb"\s*<(?:!doctype\s+)?(svg|html|head|body|script|[a-z?!])", re.IGNORECASE)
_LEADING_BYTES = 1024

DECODED_AT_ONCE = 2
"""Uploads that one process decodes at a time; others wait. A file of 128 KB may hold 40 megapixels in colour: they take
half a gigabyte while they are decoded and encoded again: eight requests at a time took 3 GB."""
_room = threading.BoundedSemaphore(DECODED_AT_ONCE)


def receive(
    data: bytes | Upload,
    *,
    filename: str,
    declared_type: str = "",
    frame: int | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen, so one default may be shared
) -> Received:
    """Read one uploaded image.

    `data` is the upload, or a binary file positioned at its start; no more than `limits.max_bytes` + 1 bytes are read.
    `filename` and `declared_type` only help to word a refusal. `frame` counts from 0; None takes the frame that the
    file calls representative, else the middle one.

    Raises `IntakeRejected` and nothing else for any content whatever.
    """
    content = _bounded(data, limits)
    source_format = _recognise(content, filename=filename, declared_type=declared_type)
    description = Description()
    try:
        with _room:
            if source_format == "DICOM":
                picture, description = dicom_reader.read(content, frame=frame, limits=limits)
            else:
                picture = raster.decode(content, source_format=source_format, frame=frame, limits=limits)
            pixels = raster.grey_when_equal(picture.pixels)
            png = raster.encode_png(pixels)
    except IntakeRejected:
        raise
    except Exception as damaged:
        # Decoders of hostile bytes fail in every way there is: struct.error, SyntaxError, RecursionError, MemoryError.
        raise unreadable(f"{source_format} image") from damaged
    pixels.flags.writeable = False
    height, width = pixels.shape[:2]
    return Received(
        pixels=pixels,
        png=png,
        sha256=hashlib.sha256(content).hexdigest(),
        media_type=picture.media_type,
        source_format=picture.source_format,
        width=width,
        height=height,
        frame_index=picture.frame_index,
        frame_count=picture.frame_count,
        identity=description.identity,
        laterality=description.laterality,
        view=description.view,
        modality=description.modality,
        pixel_spacing_mm=description.pixel_spacing_mm,
        study_instance_uid=description.study_instance_uid,
        series_instance_uid=description.series_instance_uid,
        sop_instance_uid=description.sop_instance_uid,
        accession_number=description.accession_number,
        device=description.device,
        acquired_at=description.acquired_at,
        keep_original=source_format == "DICOM",
    )


def safe_filename(name: str) -> str:
    """The last part of an uploaded file's name, for display: one line, no control or direction-changing characters.

    At most 120 characters, the extension kept. '' becomes 'unnamed'.
    """
    basename = re.split(r"[/\\]", name)[-1]
    printable = "".join(character for character in basename if unicodedata.category(character)[0] != "C")
    printable = re.sub(r"\s+", " ", unicodedata.normalize("NFC", printable)).strip()
    if printable.strip(". ") == "":
        return "unnamed"
    if len(printable) <= MAX_FILENAME:
        return printable
    stem, dot, extension = printable.rpartition(".")
    if not dot or len(extension) > 8:
        return printable[: MAX_FILENAME - 1] + "…"
    return f"{stem[: MAX_FILENAME - len(extension) - 2]}….{extension}"


def _bounded(data: bytes | Upload, limits: Limits) -> bytes:
    content = data if isinstance(data, bytes | bytearray | memoryview) else data.read(limits.max_bytes + 1)
    if len(content) > limits.max_bytes:
        raise IntakeRejected(
            "too_large",
            f"The file is larger than {limits.max_bytes / _MEBIBYTE:.4g} MB, the most that is taken here. "
            f"{NOTHING_KEPT} Export a still image or a shorter loop and upload that.",
            http_status=CONTENT_TOO_LARGE,
        )
    if not content:
        raise IntakeRejected("empty", f"The file is empty. {NOTHING_KEPT} {EXPORT_AGAIN}")
    return bytes(content)


def _recognise(content: bytes, *, filename: str, declared_type: str) -> str:
    """The accepted format that the content is, or a refusal that names what it seems to be."""
    if dicom_reader.looks_like_dicom(content):
        return "DICOM"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    for magic, source_format in _PICTURES:
        if content.startswith(magic):
            if source_format == "BMP" and int.from_bytes(content[14:18], "little") not in _BMP_HEADER_SIZES:
                continue
            return source_format
    what = _name_stranger(content)
    promised = "" if not declared_type.startswith("image/") else ", although it was sent as an image"
    raise IntakeRejected(
        "unsupported_type",
        f"“{safe_filename(filename)}” is {what}{promised}; it is not an image that is read here. {NOTHING_KEPT} "
        f"Upload a {ACCEPTED} image.",
        http_status=UNSUPPORTED_MEDIA_TYPE,
    )


def _name_stranger(content: bytes) -> str:
    head = content[:_LEADING_BYTES]
    for magic, name in _STRANGERS:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return _MEDIA_BRANDS.get(head[8:12], "a video")
    markup = _MARKUP.match(head)
    if markup:
        if b"<svg" in head.lower():
            return "an SVG drawing, which can carry a program"
        return "a web page" if markup[1].lower() in (b"html", b"head", b"body", b"script") else "a markup document"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as broken:
        # The cut at the end may split a character; anything earlier is not text.
        if broken.start < len(head) - 4:
            return "of an unknown kind"
    return "of an unknown kind" if b"\0" in head else "a text file"
