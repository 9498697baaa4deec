"""Where a publisher's files lie: archives unpack into one or more folders of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ml.data.records import DataError

DEPTH = 3
"""Folders below the given one that are searched for a collection's own top folder."""


def find_top(folder: Path, holds: Callable[[Path], bool]) -> Path | None:
    """The folder itself or the first one below it, nearest first, for which ``holds`` is true."""
    return next((each for each in _folders(folder) if holds(each)), None)


def _folders(folder: Path) -> Iterator[Path]:
    level = [folder]
    for _ in range(DEPTH + 1):
        yield from level
        level = [
            below
            for each in level
            if each.is_dir()
            for below in sorted(each.iterdir())
            # Folders of cases (CBIS-DDSM has 6,775) are no place for a collection's top.
            if below.is_dir() and not below.name.startswith((".", "Mass-", "Calc-"))
        ]


def files_below(folder: Path, *, suffix: str) -> dict[str, Path]:
    """Every file with the suffix below the folder, by name; links are not followed."""
    found: dict[str, Path] = {}
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(suffix):
                found.setdefault(name, Path(place) / name)
    return found


def not_this_layout(folder: Path, *, title: str, expected: str) -> DataError:
    """The error for a folder that does not hold the collection."""
    return DataError(
        f"{folder} does not hold {title}.",
        code="unknown_layout",
        remedy=f"Unpack the publisher's archive; the folder must hold {expected}.",
    )
