"""Rows of the ledger as a signed file that can be checked elsewhere (docs/ledger.md, "Checking an export")."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.utils import timezone

from accounts import audit
from accounts.ledger import signing, wording
from accounts.ledger.chain import FORMAT as CHAIN_FORMAT
from accounts.ledger.chain import Entry, digest, moment
from accounts.models import AuditEvent
from accounts.spreadsheets import BYTE_ORDER_MARK, defused

FORMAT = "senolens-ledger-export-1"
JSON_LINES, CSV = "jsonl", "csv"
FORMATS = (JSON_LINES, CSV)
MOST_ROWS = 200_000
CHUNK = 2_000
READ_BYTES = 1 << 20
MANIFEST, SIGNATURE, README = "manifest.json", "manifest.sig", "README.txt"
LARGEST_MANIFEST = 1 << 20
COLUMNS = (*Entry._fields, "previous_digest", "digest")

README_TEXT = """The ledger of {site}, rows {first} to {last}.

{file}         the rows; docs/ledger.md of Senolens says what each column means
manifest.json  what this export is, and the SHA-256 of {file}
manifest.sig   Ed25519 signature (RFC 8032) of the bytes of manifest.json, in base64

To check it:        python manage.py verify_export FILE
On another machine: python manage.py verify_export FILE --public-key KEY
The public key is shown on the page of the ledger; take it from there, not from this file.
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    rows: int
    sha256: str


def _values(event: AuditEvent) -> dict[str, Any]:
    return {
        **audit.entry_of(event)._asdict(),
        "previous_digest": event.previous_digest,
        "digest": event.digest,
    }


def _json_lines(events: Iterable[AuditEvent]) -> Iterator[bytes]:
    for event in events:
        yield json.dumps(_values(event), separators=(",", ":")).encode("ascii") + b"\n"


def _csv_lines(events: Iterable[AuditEvent]) -> Iterator[bytes]:
    """For spreadsheets: with the action in words, and cells that look like formulas made text."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write(BYTE_ORDER_MARK)
    writer.writerow([*COLUMNS, "in_words"])
    for event in events:
        values = {**_values(event), "details": json.dumps(event.details, sort_keys=True)}
        cells = ["" if values[name] is None else values[name] for name in COLUMNS]
        writer.writerow([*map(defused, cells), defused(wording.phrase(event))])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


def write(
    target: IO[bytes], events: Iterable[AuditEvent], *, format: str, filters: dict[str, str], made_by: int
) -> Exported:
    """Write a zip file of rows, a manifest and its signature.

    Args:
        target: an empty binary file.
        events: the rows, oldest first.
        format: :data:`JSON_LINES` or :data:`CSV`.
        filters: what was asked for, as it may be read by whoever gets the file.
        made_by: key of the person.
    """
    name = f"ledger.{format}"
    seen = _Seen()
    lines = {JSON_LINES: _json_lines, CSV: _csv_lines}[format](seen.passing(events))
    total = hashlib.sha256()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        with archive.open(name, "w", force_zip64=True) as file:
            for line in lines:
                total.update(line)
                file.write(line)
        manifest = json.dumps(
            {
                "format": FORMAT,
                "chain_format": CHAIN_FORMAT,
                "site": settings.SITE_NAME,
                "file": name,
                "sha256": total.hexdigest(),
                "rows": seen.rows,
                "first_sequence": seen.first,
                "last_sequence": seen.last,
                "filters": filters,
                "made_at": moment(timezone.now()),
                "made_by": made_by,
                "public_key": signing.public_text(signing.public_key()),
            },
            indent=2,
        ).encode("ascii")
        archive.writestr(MANIFEST, manifest)
        archive.writestr(SIGNATURE, signing.sign(manifest) + "\n")
        archive.writestr(
            README, README_TEXT.format(site=settings.SITE_NAME, file=name, first=seen.first, last=seen.last)
        )
    return Exported(rows=seen.rows, sha256=total.hexdigest())


@dataclass(slots=True)
class _Seen:
    """Counts rows on their way."""

    rows: int = 0
    first: int = 0
    last: int = 0

    def passing(self, events: Iterable[AuditEvent]) -> Iterator[AuditEvent]:
        for event in events:
            self.rows += 1
            self.first = self.first or (event.sequence or 0)
            self.last = event.sequence or 0
            yield event


class BadExport(Exception):
    """The file is not an export of this site as it was written; the message says why."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What an export is, once its signature and its rows were found right.

    Attributes:
        manifest: what it says about itself.
        rows_recomputed: rows whose digest was computed again (JSON lines only).
    """

    manifest: dict[str, Any]
    rows_recomputed: int


def check(source: IO[bytes], *, by: Ed25519PublicKey) -> Checked:
    """Check signature, digest of the file, digest of each row, and that neighbouring rows follow each other.

    Raises:
        BadExport: something does not fit.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            return _checked(archive, by=by)
    except (zipfile.BadZipFile, KeyError, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BadExport("This is not an export of the ledger, or it is damaged.") from error


def _checked(archive: zipfile.ZipFile, *, by: Ed25519PublicKey) -> Checked:
    with archive.open(MANIFEST) as file:
        raw = file.read(LARGEST_MANIFEST)
    with archive.open(SIGNATURE) as file:
        signature = file.read(LARGEST_MANIFEST).decode("ascii").strip()
    if not signing.is_signed(raw, signature, by=by):
        raise BadExport("The signature does not fit: the manifest was changed, or another site's key signed it.")
    manifest = json.loads(raw)
    if manifest["format"] != FORMAT:
        raise BadExport(f"The format {manifest['format']!r} is not one that this version checks.")
    total = hashlib.sha256()
    with archive.open(manifest["file"]) as file:
        while part := file.read(READ_BYTES):
            total.update(part)
    if total.hexdigest() != manifest["sha256"]:
        raise BadExport(f"{manifest['file']} was changed after it was exported.")
    if not manifest["file"].endswith(JSON_LINES):
        return Checked(manifest, 0)
    with archive.open(manifest["file"]) as file:
        rows = _recompute(file)
    if rows != manifest["rows"]:
        raise BadExport(f"The manifest says {manifest['rows']} rows, the file holds {rows}.")
    return Checked(manifest, rows)


def _recompute(file: Iterable[bytes]) -> int:
    """Compute every row's digest again; how many there were."""
    before: tuple[int, str] | None = None
    rows = 0
    for line in file:
        values = json.loads(line)
        entry = Entry(**{name: values[name] for name in Entry._fields})
        if digest(entry, values["previous_digest"]) != values["digest"]:
            raise BadExport(f"Row {entry.sequence} does not give the digest that it carries.")
        if before is not None and before[0] + 1 == entry.sequence and before[1] != values["previous_digest"]:
            raise BadExport(f"Row {entry.sequence} does not follow row {before[0]}.")
        before = (entry.sequence, values["digest"])
        rows += 1
    return rows
