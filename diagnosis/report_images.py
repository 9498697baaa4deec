"""The pictures of a report, ready to print: as ``data:`` URIs with their size on paper."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np
import qrcode

IMAGE_BOX_MM = (84.0, 76.0)
"""Width and height that one of two images may take."""
THIRD_BOX_MM = (56.0, 66.0)
"""The same of three images."""
IMAGE_PIXELS = 1000
"""The longer side of a printed image: 84 mm at 300 dots an inch."""
JPEG_QUALITY = 90
QR_MASK = 2
"""A fixed mask: choosing the best of eight takes longer than the rest of the code, and readers accept each."""


@dataclass(frozen=True, slots=True)
class Printed:
    """An image ready to print: its source and its size on paper."""

    source: str
    width: str
    height: str


def printed(encoded: bytes, *, box_mm: tuple[float, float] = IMAGE_BOX_MM) -> Printed:
    """Return an image at print resolution, fitted into a box of width and height.

    Raises:
        ValueError: when ``encoded`` is not an image that OpenCV reads.
    """
    pixels = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("an image could not be decoded")
    height, width = pixels.shape[:2]
    millimetres = min(box_mm[0] / width, box_mm[1] / height)
    shrink = IMAGE_PIXELS / max(width, height)
    if shrink < 1:
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    blue, green, red = cv2.split(pixels)
    if np.array_equal(blue, green) and np.array_equal(green, red):
        pixels = green
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Printed(
        source=_data_uri("image/jpeg", jpeg.tobytes()),
        width=f"{width * millimetres:.2f}mm",
        height=f"{height * millimetres:.2f}mm",
    )


def qr_code(url: str) -> str:
    """Return a QR code of ``url`` as a PNG in a ``data:`` URI, one pixel a module."""
    code = qrcode.QRCode(border=0, error_correction=qrcode.constants.ERROR_CORRECT_M, mask_pattern=QR_MASK)
    code.add_data(url)
    code.make()
    modules = np.where(np.array(code.get_matrix()), 0, 255).astype(np.uint8)
    _, png = cv2.imencode(".png", np.kron(modules, np.ones((6, 6), dtype=np.uint8)))
    return _data_uri("image/png", png.tobytes())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _tone(grey: int) -> str:
    """Return one pixel of a grey, which a bar stretches to its length."""
    _, png = cv2.imencode(".png", np.full((1, 1), grey, dtype=np.uint8))
    return _data_uri("image/png", png.tobytes())


DARK = _tone(26)
MID = _tone(150)
