"""Ordinary picture files (PNG, JPEG, WebP, TIFF, BMP) to display-ready pixels, through Pillow.

The size, the number of pages and the cost of decoding are read from the header and bounded before Pillow is allowed
to decode. EXIF orientation is applied; every other piece of metadata, the ICC profile included, is left behind.
"""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from diagnosis.received import (
    CONTENT_TOO_LARGE,
    EXPORT_AGAIN,
    NOTHING_KEPT,
    UNSUPPORTED_MEDIA_TYPE,
    IntakeRejected,
    Limits,
    Picture,
    choose_frame,
    require_pixels_within,
    unreadable,
)

MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
}

# Compressions that scanners and archives write. The others (fax, JBIG, LZMA) only widen what a hostile file can reach.
TIFF_COMPRESSIONS = {"raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "jpeg"}

# A progressive JPEG is decoded once per scan, so a small file with thousands of scans costs minutes (finding LJT-01-004
# of the 2015 libjpeg-turbo audit). Ten scans are usual; this allows twenty at the largest accepted size.
MAX_JPEG_SCAN_PIXELS = 800_000_000
START_OF_SCAN = b"\xff\xda"

EXIF_ORIENTATION = 0x0112
UPRIGHT = 1
WHITE_IS_ZERO = 0  # TIFF 6.0, tag 262 PhotometricInterpretation
TIFF_PHOTOMETRIC = 262
SAMPLE_DEPTHS = (8, 10, 12, 14, 16)


def decode(data: bytes, *, source_format: str, frame: int | None, limits: Limits) -> Picture:
    """Decode one frame of `data`, whose `source_format` (a key of `MEDIA_TYPES`) its first bytes have shown."""
    if source_format == "WEBP":
        _require_still_webp(data, limits)
    try:
        with Image.open(io.BytesIO(data), formats=(source_format,)) as image:
            require_pixels_within(limits, width=image.width, height=image.height)
            count = _count_frames(image, data, source_format, limits)
            index = choose_frame(frame, count=count, representative=None, limits=limits)
            if source_format == "PNG":
                _require_intact_png(data)
            if source_format == "TIFF":
                image.seek(index)
                require_pixels_within(limits, width=image.width, height=image.height)
                _require_common_tiff(image)
            if source_format == "JPEG":
                _require_affordable_scans(data, image)
            pixels = _display_ready(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
        raise IntakeRejected(
            "too_many_pixels",
            f"The image is far larger than any breast image: at most {limits.max_pixels // 1_000_000} megapixels are "
            f"read. {NOTHING_KEPT} Export the image at the scanner's own resolution and upload it again.",
            http_status=CONTENT_TOO_LARGE,
        ) from bomb
    except UnidentifiedImageError as unidentified:
        raise unreadable(f"{source_format} image") from unidentified
    return Picture(
        pixels=pixels,
        source_format=source_format,
        media_type=MEDIA_TYPES[source_format],
        frame_index=index,
        frame_count=count,
    )


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Lossless PNG of uint8 (H, W) or (H, W, 3) pixels, without any ancillary chunk."""
    buffer = io.BytesIO()
    # Level 1 is about five times faster than the default and costs some 10 % in size on speckle.
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def grey_when_equal(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Collapse (H, W, 3) to (H, W) where red, green and blue agree everywhere: most B-mode is grey in an RGB coat."""
    if pixels.ndim == 3:
        red, green, blue = (pixels[..., channel] for channel in range(3))
        if np.array_equal(red, green) and np.array_equal(red, blue):
            return np.ascontiguousarray(red)
    return np.ascontiguousarray(pixels)


def _count_frames(image: Image.Image, data: bytes, source_format: str, limits: Limits) -> int:
    if source_format == "TIFF":
        return _count_tiff_pages(data, at_most=limits.max_frames + 1)
    if getattr(image, "is_animated", False) and source_format != "JPEG":
        raise _animated(source_format)
    return 1


def _animated(source_format: str) -> IntakeRejected:
    return IntakeRejected(
        "animated",
        f"The file is an animated {source_format}, which cannot be read as one image. {NOTHING_KEPT} "
        "Export a still frame as PNG, or the loop as DICOM.",
        http_status=UNSUPPORTED_MEDIA_TYPE,
    )


def _require_intact_png(data: bytes) -> None:
    """Check every chunk's CRC up to IEND: Pillow's decoder alone shows a flipped byte as a changed lesion."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        image.verify()


def _require_affordable_scans(data: bytes, image: Image.Image) -> None:
    scans = data.count(START_OF_SCAN)
    if scans * image.width * image.height > MAX_JPEG_SCAN_PIXELS:
        raise IntakeRejected(
            "unreadable",
            f"The JPEG image is split into {scans:,} passes, which no scanner writes. {NOTHING_KEPT} {EXPORT_AGAIN}",
        )


def _require_common_tiff(image: Image.Image) -> None:
    compression = image.info.get("compression", "raw")
    if compression not in TIFF_COMPRESSIONS:
        raise IntakeRejected(
            "unsupported_compression",
            f"The TIFF image is compressed in a way that is not read here ({compression}). {NOTHING_KEPT} "
            "Export it without compression, or as PNG or DICOM.",
            http_status=UNSUPPORTED_MEDIA_TYPE,
        )


def _require_still_webp(data: bytes, limits: Limits) -> None:
    """Read the canvas from the container: libwebp allocates two canvases as soon as Pillow opens the file.

    RIFF container, "WebP Container Specification": the extended header holds flags and (canvas - 1) in 24 bits, lossy
    and lossless bitstreams hold 14 bits a side.
    """
    if len(data) < 30:
        raise unreadable("WebP image")
    kind, payload = data[12:16], data[20:30]
    if kind == b"VP8X":
        if payload[0] & 0x02:
            raise _animated("WebP")
        width = int.from_bytes(payload[4:7], "little") + 1
        height = int.from_bytes(payload[7:10], "little") + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", payload[6:10]))
    elif kind == b"VP8L":
        packed = int.from_bytes(payload[1:5], "little")
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        raise unreadable("WebP image")
    require_pixels_within(limits, width=width, height=height)


def _count_tiff_pages(data: bytes, *, at_most: int) -> int:
    """Follow the chain of image file directories without parsing them (TIFF 6.0, section 2; BigTIFF for magic 43).

    Pillow's own `n_frames` parses every directory, which a file of millions of tiny ones turns into minutes.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    offset_code, count_code, entry_size = ("Q", "Q", 20) if big else ("I", "H", 12)
    (offset,) = struct.unpack_from(order + offset_code, data, 8 if big else 4)
    visited: set[int] = set()
    while offset and offset not in visited and len(visited) < at_most:
        visited.add(offset)
        try:
            (entries,) = struct.unpack_from(order + count_code, data, offset)
            after_entries = offset + struct.calcsize(order + count_code) + entries * entry_size
            (offset,) = struct.unpack_from(order + offset_code, data, after_entries)
        except struct.error as past_the_end:
            raise unreadable("TIFF image") from past_the_end
    return len(visited)


def _display_ready(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 (H, W) or (H, W, 3): upright, transparency on black, 16-bit samples scaled to 8."""
    deep = image.mode.startswith("I;16")
    if image.mode in ("I", "F"):
        raise IntakeRejected(
            "unsupported_pixels",
            f"The image has 32-bit or floating-point samples, which are not read here. {NOTHING_KEPT} "
            "Export it with 8 or 16 bits a sample.",
            http_status=UNSUPPORTED_MEDIA_TYPE,
        )
    white_is_zero = deep and getattr(image, "tag_v2", {}).get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO
    orientation = _orientation(image)
    image.load()
    if deep:
        samples = np.asarray(image).astype(np.uint16, copy=False)
        image = Image.fromarray(_scale_to_eight_bits(~samples if white_is_zero else samples))
    elif image.has_transparency_data:
        # Ultrasound and mammograms stand on black; a transparent margin must not become a bright one.
        layered = image.convert("RGBA")
        image = Image.new("RGBA", layered.size, (0, 0, 0, 255))
        image.alpha_composite(layered)
        image = image.convert("RGB")
    elif image.mode in ("1", "L"):
        image = image.convert("L")
    else:
        image = image.convert("RGB")
    return grey_when_equal(np.asarray(_turn_upright(image, orientation)))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, UPRIGHT))
    except (ArithmeticError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error):
        # A damaged EXIF block is no reason to refuse intact pixels; every viewer shows them as they are stored.
        return UPRIGHT


def _turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    if not UPRIGHT < orientation <= 8:
        return image
    image.getexif()[EXIF_ORIENTATION] = orientation
    return ImageOps.exif_transpose(image)


def _scale_to_eight_bits(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Scale by the smallest usual sample depth that holds the largest value: 12 bits in a 16-bit file fill the range.

    A fixed depth keeps two frames of one device comparable, which stretching each by its own extremes would not.
    """
    largest = int(samples.max(initial=0))
    depth = next(bits for bits in SAMPLE_DEPTHS if largest < 1 << bits)
    full = (1 << depth) - 1
    table = ((np.arange(full + 1, dtype=np.uint32) * 255 + full // 2) // full).astype(np.uint8)
    return table[samples]
