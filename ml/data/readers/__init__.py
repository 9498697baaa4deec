"""Readers of labelled collections, one module per collection and layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ml.data.readers.published import file_digest, read_published
from ml.data.readers.shared import read_shared
from ml.data.records import DataError, ImageRecord, require_leak_safe

__all__ = ["LAYOUTS", "file_digest", "read_collections", "read_published", "read_shared"]

LAYOUTS = ("shared", "published")


def read_collections(folders: Iterable[Path], *, layout: str = "shared") -> list[ImageRecord]:
    """Read several collections and refuse a set that would leak.

    Args:
        folders: one folder per collection.
        layout: ``shared`` (``labels.csv`` with a fold column) or ``published`` (as the publisher distributes it).

    Raises:
        DataError: see :func:`read_shared`, :func:`read_published` and :func:`ml.data.records.require_leak_safe`.
    """
    reader: Callable[[Path], list[ImageRecord]]
    if layout == "shared":
        reader = read_shared
    elif layout == "published":
        reader = read_published
    else:
        raise DataError(f"Unknown layout {layout!r}.", code="unknown_layout", remedy=f"Use one of: {', '.join(LAYOUTS)}.")
    records = [record for folder in folders for record in reader(Path(folder))]
    require_leak_safe(records)
    return records
