"""Is the ledger as it was written? Reads every row as the database stores it and follows the chain."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.db import connections, router

from accounts.ledger.chain import GENESIS, Entry, digest, plain_address
from accounts.models import AuditEvent

BATCH = 5_000
MOST_FINDINGS = 100
ALTERED = "?"
"""Stands before a stored value that no program of ours writes like that, so that its digest cannot match."""

BEFORE_ALL = -(2**63)
SQLITE_ROWS = """
    SELECT id, sequence, CAST(at AS BLOB), actor_id, CAST(actor_role AS BLOB), CAST(action AS BLOB),
        CAST(object_type AS BLOB), CAST(object_id AS BLOB), CAST(patient_id AS BLOB), CAST(address AS BLOB),
        CAST(channel AS BLOB), CAST(purpose AS BLOB), CAST(details AS BLOB), CAST(previous_digest AS BLOB),
        CAST(digest AS BLOB)
    FROM accounts_auditevent WHERE id > %s ORDER BY id LIMIT %s
"""
"""As bytes: whatever was written there, it can be read."""
POSTGRESQL_ROWS = """
    SELECT id, sequence, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), actor_id, actor_role, action,
        object_type, object_id, patient_id::text, host(address), channel, purpose, details::text, previous_digest,
        digest
    FROM accounts_auditevent WHERE id > %s ORDER BY id LIMIT %s
"""

CACHED_ADDRESSES = 4_096
_STORED = json.JSONEncoder(sort_keys=True)
"""How Django's JSON field writes what ``chain.plain`` has put in order."""

SQLITE_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?")
SQLITE_UUID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Link:
    """A stored row as the chain sees it."""

    key: int
    entry: Entry
    previous: str
    own: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written.

    Attributes:
        sequence: of the row, or the first one of several.
        what: in words.
    """

    sequence: int
    what: str


@dataclass(slots=True)
class Verified:
    """What a verification found.

    Attributes:
        rows: how many were read.
        last_sequence, last_digest: of the last row, 0 and the genesis digest where there is none.
        last_good: the last row before the first finding.
        findings: the first :data:`MOST_FINDINGS`, in the order of the rows.
        count: of all findings.
    """

    rows: int = 0
    last_sequence: int = 0
    last_digest: str = GENESIS
    last_good: int = 0
    findings: list[Finding] = field(default_factory=list)
    count: int = 0

    @property
    def is_sound(self) -> bool:
        return self.count == 0

    def find(self, sequence: int, what: str) -> None:
        if self.count == 0 or sequence <= self.last_good:
            self.last_good = max(0, sequence - 1)
        self.count += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(sequence, what))


def verify(*, anchored: Mapping[int, str] | None = None) -> Verified:
    """Follow the chain from the first row to the last.

    Args:
        anchored: digests that were noted outside the database, by the row that they are of.
    """
    found = Verified()
    anchored = dict(anchored or {})
    for link in links():
        _follow(found, link)
        expected = anchored.pop(link.key, None)
        if expected is not None and expected != link.own:
            found.find(
                link.key,
                "differs from its anchor: this row or rows before it were made anew after they had been anchored",
            )
        found.rows += 1
        if link.key > 0:
            found.last_sequence, found.last_digest = link.key, link.own
    if anchored:
        highest = max(anchored)
        if highest > found.last_sequence:
            found.find(
                found.last_sequence + 1,
                f"missing to row {highest} at least: the ledger was cut off, an anchor names row {highest}",
            )
    if found.is_sound:
        found.last_good = found.last_sequence
    return found


def _follow(found: Verified, link: Link) -> None:
    expected = found.last_sequence + 1
    follows = link.previous == found.last_digest
    if link.key < 1:
        found.find(link.key, "put in: the chain begins with row 1")
        return
    if link.key > expected:
        rows = f"to row {link.key - 1}, missing" if link.key - 1 > expected else "missing"
        found.find(expected, rows)
        follows = True
    if link.entry.sequence != link.key:
        found.find(link.key, f"moved: it carries the number {link.entry.sequence}")
    elif digest(link.entry, link.previous) != link.own:
        found.find(link.key, "altered: what it says does not give the digest that it carries")
    elif not follows:
        found.find(
            link.key,
            f"does not follow row {link.key - 1}: one of the two was made anew, or rows were put in or taken out here",
        )


def links() -> Iterator[Link]:
    """Every row by its key, :data:`BATCH` at a time, as it is stored."""
    connection = connections[router.db_for_read(AuditEvent)]
    statement, read = _reading(connection.vendor)
    position = BEFORE_ALL
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, [position, BATCH])
            batch = cursor.fetchall()
        yield from map(read, batch)
        if len(batch) < BATCH:
            return
        position = batch[-1][0]


def _reading(vendor: str) -> tuple[str, Callable[[Any], Link]]:
    readings: dict[str, tuple[str, Callable[[Any], Link]]] = {
        "sqlite": (SQLITE_ROWS, _of_sqlite),
        "postgresql": (POSTGRESQL_ROWS, _of_postgresql),
    }
    if vendor not in readings:
        raise NotImplementedError(f"The ledger is verified on SQLite and PostgreSQL, not on {vendor}.")
    return readings[vendor]


def _text(stored: Any) -> Any:
    """Bytes of SQLite as text; bytes that are none as something that no program of ours wrote."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return ALTERED + stored.decode("latin-1")
    except AttributeError:
        return stored


def _of_sqlite(row: tuple[Any, ...]) -> Link:
    (key, sequence, at, actor, role, action, object_type, object_id, patient, address, channel) = row[:11]
    purpose, details, previous, own = row[11:]
    return Link(
        key=key,
        entry=Entry(
            sequence,
            _sqlite_moment(_text(at)),
            _text(actor),
            _text(role),
            _text(action),
            _text(object_type),
            _text(object_id),
            _sqlite_reference(_text(patient)),
            _address(_text(address)),
            _text(channel),
            _text(purpose),
            _sqlite_details(_text(details)),
        ),
        previous=_text(previous),
        own=_text(own),
    )


def _sqlite_moment(stored: str) -> str:
    """SQLite holds text; only the one way in which Django writes a moment is the moment."""
    if not isinstance(stored, str) or not SQLITE_MOMENT.fullmatch(stored) or stored.endswith(".000000"):
        return f"{ALTERED}{stored}"
    return f"{stored[:10]}T{stored[11:19]}.{stored[20:] or '000000'}Z"


def _sqlite_reference(stored: str | None) -> str | None:
    if stored is None:
        return None
    if not SQLITE_UUID.fullmatch(stored):
        return ALTERED + stored
    return f"{stored[:8]}-{stored[8:12]}-{stored[12:16]}-{stored[16:20]}-{stored[20:]}"


@lru_cache(maxsize=CACHED_ADDRESSES)
def _address(stored: str | None) -> str | None:
    return stored if stored is None or plain_address(stored) == stored else ALTERED + stored


def _sqlite_details(stored: str | None) -> Any:
    """The value, if the text is to the byte what this site writes for it."""
    try:
        value = json.loads(stored or "")
    except (ValueError, RecursionError):
        return f"{ALTERED}{stored}"
    return value if _STORED.encode(value) == stored else f"{ALTERED}{stored}"


def _of_postgresql(row: tuple[Any, ...]) -> Link:
    key, sequence, at, actor, role, action, object_type, object_id, patient, address, *rest = row
    channel, purpose, details, previous, own = rest
    return Link(
        key=key,
        entry=Entry(
            sequence,
            at,
            actor,
            role,
            action,
            object_type,
            object_id,
            patient,
            None if address is None else plain_address(address) or ALTERED + address,
            channel,
            purpose,
            json.loads(details),
        ),
        previous=previous,
        own=own,
    )
