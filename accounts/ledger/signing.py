"""The site's Ed25519 key (RFC 8032), with which anchors and exports of the ledger are signed.

It lies in a file outside the database: who can write to the database alone cannot sign.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

KEY_MODE = 0o600
OPEN_TO_OTHERS = 0o077


class BadKey(Exception):
    """The key cannot be used; the message says what to do."""


def private_key() -> Ed25519PrivateKey:
    """The site's key; made at first use, once, however many processes ask for it at a time.

    Raises:
        BadKey: the file holds no Ed25519 key, or others may read it.
    """
    path = Path(settings.LEDGER_KEY_FILE)
    if not path.exists():
        _make(path)
    if path.stat().st_mode & OPEN_TO_OTHERS:
        raise BadKey(f"{path} may be read by others than its owner. Set its mode to 600, and ask who read it.")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(f"{path} does not hold a key. Restore it from the backup.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(f"{path} does not hold an Ed25519 key. Restore it from the backup.")
    return key


def _make(path: Path) -> None:
    """Write a fresh key beside the place and link it there: it appears whole, and the first one stays."""
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
        sync_folder(path.parent)
    finally:
        fresh.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def public_key() -> Ed25519PublicKey:
    return private_key().public_key()


def public_text(key: Ed25519PublicKey) -> str:
    """The 32 bytes of a public key, in base64."""
    return base64.b64encode(key.public_bytes_raw()).decode("ascii")


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the public key, shortened to what a person compares."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def read_public(text: str) -> Ed25519PublicKey:
    """A public key as :func:`public_text` writes it, or as PEM.

    Raises:
        BadKey: it is neither.
    """
    try:
        if "BEGIN" in text:
            key = serialization.load_pem_public_key(text.encode())
            if isinstance(key, Ed25519PublicKey):
                return key
            raise ValueError
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True))
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm) as error:
        raise BadKey("This is not an Ed25519 public key. Copy it from the page of the ledger.") from error


def sign(message: bytes) -> str:
    """The signature of the site, in base64."""
    return base64.b64encode(private_key().sign(message)).decode("ascii")


def is_signed(message: bytes, signature: str, *, by: Ed25519PublicKey) -> bool:
    try:
        by.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
