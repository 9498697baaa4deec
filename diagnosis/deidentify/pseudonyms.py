"""Names that lead nowhere, the same for the same thing within one package."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import date, timedelta
from typing import Any

LEAST_SHIFT_DAYS, MOST_SHIFT_DAYS = 365, 3650
UID_ROOT = "2.25."
"""PS3.5 B.2: a UID made of a 128-bit number, without a registered root."""


def new_salt() -> str:
    """256 random bits. They are dropped with the package: from then on nobody can repeat the pseudonyms."""
    return secrets.token_hex(32)


class Pseudonyms:
    """Pseudonyms of one package. Two packages of the same patient have nothing in common.

    Args:
        salt: of :func:`new_salt`.
    """

    def __init__(self, salt: str) -> None:
        if not salt:
            raise ValueError("Without a salt the pseudonyms could be guessed; no package is made.")
        self._salt = bytes.fromhex(salt)

    def _digest(self, kind: str, key: Any) -> bytes:
        return hmac.new(self._salt, f"{kind}:{key}".encode(), hashlib.sha256).digest()

    def label(self, kind: str, key: Any) -> str:
        """Such as ``P-4F2A91C07B3D`` for a patient: 48 bits, so that two in a package practically never agree."""
        return f"{kind}-{self._digest(kind, key).hex()[:12].upper()}"

    def uid(self, original: str) -> str:
        """The replacement of a UID; references between files of the package stay intact."""
        return UID_ROOT + str(int.from_bytes(self._digest("uid", original)[:16], "big"))

    def shifted(self, day: date, *, patient: Any) -> date:
        """The day some years before, by as many days for everything of one patient: intervals are kept."""
        span = MOST_SHIFT_DAYS - LEAST_SHIFT_DAYS
        days = LEAST_SHIFT_DAYS + int.from_bytes(self._digest("days", patient)[:8], "big") % span
        return day - timedelta(days=days)
