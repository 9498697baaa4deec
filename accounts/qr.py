"""A QR code as the path of an SVG, for pages that are printed."""

from __future__ import annotations

from dataclasses import dataclass

import qrcode

QUIET = 4
"""Modules of white around the code, ISO/IEC 18004."""


@dataclass(frozen=True, slots=True)
class QrCode:
    """``side`` modules square, the quiet zone included; ``path`` draws the dark ones."""

    side: int
    path: str


def qr_code(text: str) -> QrCode:
    code = qrcode.QRCode(border=QUIET, error_correction=qrcode.constants.ERROR_CORRECT_M)
    code.add_data(text)
    code.make()
    rows = code.get_matrix()
    dark = (f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark)
    return QrCode(side=len(rows), path="".join(dark))
