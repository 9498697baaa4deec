"""docs/access.md: the table of roles and the addresses, written from what is in force."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from accounts import role_words
from portal import addresses

DOCUMENT = Path("docs") / "access.md"
PARTS = {"roles": role_words.as_markdown, "addresses": addresses.as_markdown}
"""Name of a generated part -> what writes it; each stands between two comments that name it."""


def path() -> Path:
    return Path(settings.BASE_DIR) / DOCUMENT


def written(text: str) -> str:
    """The document with its generated parts written anew.

    Raises:
        ValueError: when the comments around a part are missing.
    """
    for name, write in PARTS.items():
        begin, end = f"<!-- {name}: written by write_access_document -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"{DOCUMENT} has no place for the part “{name}”: put {begin} and {end} into it.")
        text = f"{before}{begin}\n\n{write()}\n\n{end}{after}"
    return text
