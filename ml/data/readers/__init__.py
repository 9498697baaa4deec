"""Readers of labelled collections, one module for each publisher's layout and one for this project's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from ml.data.duplicates import file_digest
from ml.data.readers import breast, busbra, busi, cbis_ddsm, cdd_cesm, inbreast, mini_mias
from ml.data.readers.busbra import read_busbra
from ml.data.readers.busi import read_busi
from ml.data.readers.shared import read_shared
from ml.data.records import DataError, ImageRecord, require_leak_safe

__all__ = ["LAYOUTS", "file_digest", "read_collections", "read_folder", "read_published", "read_shared"]


class Reader(Protocol):
    """Reads one folder; with ``faults`` it goes on past what is wrong with single rows and files."""

    def __call__(self, folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]: ...


PUBLISHED: dict[str, tuple[Callable[[Path], Path | None], Reader]] = {
    "busi": (busi.locate, read_busi),
    "busbra": (busbra.locate, read_busbra),
    "breast": (breast.locate, breast.read_breast),
    "mini-mias": (mini_mias.locate, mini_mias.read_mini_mias),
    "cbis-ddsm": (cbis_ddsm.locate, cbis_ddsm.read_cbis_ddsm),
    "inbreast": (inbreast.locate, inbreast.read_inbreast),
    "cdd-cesm": (cdd_cesm.locate, cdd_cesm.read_subtracted),
    "cdd-cesm-low-energy": (cdd_cesm.locate, cdd_cesm.read_low_energy),
}
"""How each publisher's layout is known, and who reads it."""

LAYOUTS = ("shared", "published", *PUBLISHED)
"""``shared`` (labels.csv with a fold column), ``published`` (found out from the folder), or one publisher's layout."""


def read_collections(folders: Iterable[Path], *, layout: str = "shared") -> list[ImageRecord]:
    """Read several collections and refuse a set that would leak.

    Args:
        folders: one folder per collection.
        layout: one of :data:`LAYOUTS`.

    Raises:
        DataError: see :func:`read_folder` and :func:`ml.data.records.require_leak_safe`.
    """
    records = [record for folder in folders for record in read_folder(Path(folder), layout=layout)]
    require_leak_safe(records)
    return records


def read_folder(folder: Path, *, layout: str, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """Read one folder, leak-safe or not.

    Raises:
        DataError: ``unknown_layout``, or what the reader finds.
    """
    folder = Path(os.path.abspath(folder))
    if layout == "shared":
        return read_shared(folder, faults=faults)
    if layout == "published":
        return read_published(folder, faults=faults)
    if layout in PUBLISHED:
        return PUBLISHED[layout][1](folder, faults=faults)
    raise DataError(f"Unknown layout {layout!r}.", code="unknown_layout", remedy=f"Use one of: {', '.join(LAYOUTS)}.")


def read_published(folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """Find out which publisher's layout a folder has, and read it.

    A folder of CDD-CESM is read as its subtracted images, since a figure on them is never one on mammograms; name
    the layout ``cdd-cesm-low-energy`` for the others.

    Raises:
        DataError: ``unknown_layout``, or what the reader finds.
    """
    for locate, read in PUBLISHED.values():
        if locate(folder) is not None:
            return read(folder, faults=faults)
    raise DataError(
        f"{folder} has none of the layouts {', '.join(PUBLISHED)}.",
        code="unknown_layout",
        remedy="Unpack the publisher's archive and point at it; `python -m ml data list` says what it holds.",
    )
