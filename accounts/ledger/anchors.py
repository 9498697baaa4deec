"""Anchors: now and then the newest digest is noted outside the database, signed. Who then rewrites the whole chain, or
cuts its end off, is found out by the anchors, as long as these are out of his reach (docs/ledger.md).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.utils import timezone

from accounts.ledger import signing
from accounts.ledger.chain import moment
from accounts.models import AuditEvent

log = structlog.get_logger(__name__)

FORMAT = "senolens-anchor-1"
EVERY = timedelta(hours=1)
EVERY_ROWS = 1_000
LONGEST_LINE = 2_000
TAIL_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class Anchor:
    """One line of the file: at that moment, that row had that digest."""

    sequence: int
    digest: str
    at: str
    signature: str

    @property
    def message(self) -> bytes:
        """What is signed."""
        return f"{FORMAT}\n{self.sequence}\n{self.digest}\n{self.at}\n".encode()

    def line(self) -> str:
        return json.dumps(
            {"sequence": self.sequence, "digest": self.digest, "at": self.at, "signature": self.signature}
        )


class BadAnchor(Exception):
    """A line of the file is not an anchor of this site."""


def anchor_file() -> Path:
    return Path(settings.LEDGER_ANCHOR_FILE)


def anchor(*, force: bool = False) -> Anchor | None:
    """Note the newest digest, if there are rows since the last anchor and one is due; return what was noted.

    Due is one after :data:`EVERY`, or after :data:`EVERY_ROWS` rows. Any number of workers may ask at a time.

    Args:
        force: it is due whenever there is a new row.
    """
    path = anchor_file()
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, signing.KEY_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        last = _last(path)
        row = AuditEvent.objects.order_by("-pk").values_list("pk", "digest").first()
        now = timezone.now()
        if row is None or not (_is_due(last, row[0], now=now, force=force)):
            return None
        unsigned = Anchor(sequence=row[0], digest=row[1], at=moment(now), signature="")
        made = Anchor(unsigned.sequence, unsigned.digest, unsigned.at, signing.sign(unsigned.message))
        # A line that a power cut tore stays a line of its own.
        torn = path.stat().st_size > 0 and not _ends_with_newline(path)
        os.write(descriptor, (("\n" if torn else "") + made.line() + "\n").encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        signing.sync_folder(path.parent)
    return made


def last() -> Anchor | None:
    """The newest anchor in the file, unchecked; ``None`` where there is none that can be read."""
    try:
        return _last(anchor_file())
    except OSError:
        return None


def _is_due(last: Anchor | None, newest: int, *, now: datetime, force: bool) -> bool:
    if last is None:
        return True
    since = newest - last.sequence
    if since < 0:
        # Cut off, or restored from a backup. An anchor more would not help; verify_audit says the rest.
        log.error("ledger.shorter_than_its_anchor", newest=newest, anchored=last.sequence)
    if since <= 0:
        return False
    return force or since >= EVERY_ROWS or last.at <= moment(now - EVERY)


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _last(path: Path) -> Anchor | None:
    """The last whole line of the file."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    for line in reversed(lines):
        try:
            return _read(line)
        except BadAnchor:
            continue
    return None


def _read(line: str) -> Anchor:
    try:
        values = json.loads(line)
        made = Anchor(values["sequence"], values["digest"], values["at"], values["signature"])
        datetime.fromisoformat(made.at)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadAnchor("not an anchor: the line is damaged") from error
    is_one = isinstance(made.sequence, int) and all(
        isinstance(text, str) for text in (made.digest, made.at, made.signature)
    )
    if not is_one:
        raise BadAnchor("not an anchor: the line is damaged")
    return made


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an anchor file: an anchor, or what is wrong with it."""

    number: int
    anchor: Anchor | None
    wrong: str = ""


def read(path: Path, *, by: Ed25519PublicKey) -> Iterator[Line]:
    """Every line of a file of anchors; those whose signature is not the site's are wrong."""
    with path.open("r", encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), start=1):
            if not text.strip():
                continue
            try:
                made = _read(text)
            except BadAnchor as bad:
                yield Line(number, None, str(bad))
                continue
            if signing.is_signed(made.message, made.signature, by=by):
                yield Line(number, made)
            else:
                yield Line(number, None, f"row {made.sequence}: the signature is not this site's")
