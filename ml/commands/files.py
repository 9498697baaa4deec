"""Files as a person names them on the command line, and their names as a terminal can show them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ml.images import IMAGE_SUFFIXES


def image_files(named: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The files as named; of a folder, the image files in it in order of their paths, subfolders included.

    Returns:
        the files, and the folders that could not be listed.
    """
    found: list[Path] = []
    unlisted: list[Path] = []

    def note(error: OSError) -> None:
        unlisted.append(Path(os.fsdecode(error.filename)))

    for path in named:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [Path(folder) / name for folder, _, names in os.walk(path, onerror=note) for name in names]
        found += sorted(each for each in inside if each.suffix.lower() in IMAGE_SUFFIXES)
    return found, unlisted


def printable(text: object) -> str:
    """Text for a terminal: what is no printable character, such as a byte that is no UTF-8, is spelt out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in str(text))
