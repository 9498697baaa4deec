"""Compares the files on disk with the rows that name them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.core.files.storage import default_storage
from django.db.models import Model

from diagnosis.models import Analysis, DeidentifiedExport, Image, Report
from portal.storage import DurableFileSystemStorage

NAMED: tuple[tuple[type[Model], str, str], ...] = (
    (Image, "file", "pixels_sha256"),
    (Image, "original", "sha256"),
    (Analysis, "explanation", "explanation_sha256"),
    (Analysis, "segmentation", "segmentation_sha256"),
    (Report, "file", "sha256"),
    (DeidentifiedExport, "file", "sha256"),
)
"""Every column that names a stored file, with the column that holds the file's SHA-256."""


@dataclass(slots=True)
class Findings:
    """What was found.

    Attributes:
        checked: how many named files were looked for.
        missing: names of files that a row names and the disk does not have.
        altered: names of files whose SHA-256 is not the one on record.
        orphans: files that no row names: what a killed process left behind.
        partial: files that were never finished, by the same cause.
    """

    checked: int = 0
    missing: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)
    partial: list[Path] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether every file that a row names is there and is the one that was stored."""
        return not self.missing and not self.altered


def verify(*, settled_seconds: float) -> Findings:
    """Check every stored file against its row and the other way round.

    Args:
        settled_seconds: files younger than this are not called orphans: an upload that goes on at the moment writes its
            file before its row.
    """
    findings = Findings()
    root = Path(default_storage.path(""))
    # The disk first: a file that is stored meanwhile is then only checked, never called an orphan.
    on_disk = list(_files(root, settled_seconds=settled_seconds))
    named = set()
    for model, column, digest_column in NAMED:
        rows = model._default_manager.exclude(**{column: ""}).values_list(column, digest_column)
        for name, digest in rows.iterator():
            named.add(root / name)
            findings.checked += 1
            found = _sha256(root / name)
            if found is None:
                findings.missing.append(name)
            elif found != digest:
                findings.altered.append(name)
    for file in on_disk:
        if file.name.startswith(DurableFileSystemStorage.PARTIAL):
            findings.partial.append(file)
        elif file not in named:
            findings.orphans.append(file)
    return findings


def left_over(*, settled_seconds: float) -> list[Path]:
    """Files that no row names, and unfinished ones: what a killed process left, which may be images of patients."""
    root = Path(default_storage.path(""))
    on_disk = list(_files(root, settled_seconds=settled_seconds))
    named = {
        root / name
        for model, column, _ in NAMED
        for name in model._default_manager.exclude(**{column: ""}).values_list(column, flat=True).iterator()
    }
    return [file for file in on_disk if file not in named]


def _files(root: Path, *, settled_seconds: float) -> Iterator[Path]:
    oldest_unsettled = time.time() - settled_seconds
    for file in root.rglob("*"):
        try:
            if file.is_file() and file.stat().st_mtime <= oldest_unsettled:
                yield file
        except FileNotFoundError:
            # Written and renamed, or deleted, while we looked.
            continue


def _sha256(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return None
