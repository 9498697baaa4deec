"""How a row of the ledger becomes a digest. docs/ledger.md tells the same to those who check an export elsewhere.

A digest is the SHA-256, in lower-case hexadecimal, of a JSON array in ASCII: the name of the format, every column of
the row, and the digest of the row before. So a row cannot be changed without changing its own digest, nor taken out,
put in or moved without changing those after it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import math
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple

FORMAT = "senolens-ledger-1"
"""First element of what is hashed. Another serialisation gets another name."""

GENESIS = "0" * 64
"""What the first row has for the digest of the row before."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
"""``json.dumps`` with arguments makes one of these for every row."""

LARGEST_PLAIN_FLOAT = 1e15
"""From here on JSON writers differ in how they write a whole floating-point number; it is kept as an integer."""


class Entry(NamedTuple):
    """What is hashed of a row, in this order, as JSON values.

    Attributes:
        sequence: place in the chain, from 1; the row's primary key is the same number.
        at: moment in UTC, ``2026-11-21T08:00:00.000000Z``.
        actor: key of the person, ``None`` for the system.
        patient: UUID with hyphens, or ``None``.
        address: IP address in its shortest form, or ``None``.
        details: JSON object.
    """

    sequence: int
    at: str
    actor: int | None
    role: str
    action: str
    object_type: str
    object_id: str
    patient: str | None
    address: str | None
    channel: str
    purpose: str
    details: Any


def digest(entry: Entry, previous: str) -> str:
    """The digest of a row that follows the row with the digest ``previous``."""
    return hashlib.sha256(serialised(entry, previous)).hexdigest()


def serialised(entry: Entry, previous: str) -> bytes:
    """The bytes that are hashed: JSON without spaces, keys sorted, everything beyond ASCII as ``\\uXXXX``."""
    return _ENCODER.encode([FORMAT, *entry, previous]).encode("ascii")


def moment(at: datetime) -> str:
    """A moment as it is hashed: UTC, to the microsecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def reference(key: uuid.UUID | None) -> str | None:
    return None if key is None else str(key)


def plain_address(text: str | None) -> str | None:
    """An IP address in its shortest form, an IPv4 address in IPv6 clothes as IPv4; ``None`` where it is not one.

    Every database gives this form back as it was written.
    """
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def plain_text(text: str) -> str:
    """Text that every database stores as it is: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def plain(value: Any) -> Any:
    """A JSON value that every database gives back as it was written.

    Raises:
        TypeError: it is not a JSON value.
        ValueError: a number is not finite.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return plain_text(str(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("The ledger keeps finite numbers.")
        return int(value) if value == 0 or abs(value) >= LARGEST_PLAIN_FLOAT else value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {plain_text(str(key)): plain(value[key]) for key in sorted(value, key=str)}
    raise TypeError(f"{type(value).__name__} is not a JSON value.")
