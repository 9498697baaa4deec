"""The one-time code on an invitation: easy to read out and to type, too long to guess."""

from __future__ import annotations

import hashlib
import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: without I, L, O and U, which are taken for other characters or spell words."""
LENGTH = 15
"""Characters, five bits each: 75 random bits."""
GROUP = 5
_MISREAD = str.maketrans({"I": "1", "L": "1", "O": "0"})


def new_code() -> str:
    """A fresh code as it is printed, such as ``7KQ2M-XB4ZT-0HNRW``."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(code[start : start + GROUP] for start in range(0, LENGTH, GROUP))


def digest(typed: str) -> str:
    """SHA-256 of a code, however it was typed: in any case, with or without hyphens, O for 0, I or l for 1."""
    plain = "".join(character for character in typed.upper() if character.isascii() and character.isalnum())
    return hashlib.sha256(plain.translate(_MISREAD).encode("ascii")).hexdigest()
