"""What a name may consist of: one visible line. Names go into e-mails, files, PDFs, logs and DICOM headers."""

from __future__ import annotations

import unicodedata

from django.core.exceptions import ValidationError

_JOINERS = "\u200c\u200d"
"""Zero width (non-)joiner: part of how Persian and Indic names are written."""


def is_one_line(text: str) -> bool:
    """Whether ``text`` has no line break, no control character and nothing that turns or hides other letters."""
    return not any(
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
        for character in text
    )


def one_line(value: str) -> None:
    """Validator of a name. A line break in one could add a header to an e-mail (CWE-93), a right-to-left override
    could make it read as somebody else's."""
    if not is_one_line(value):
        raise ValidationError(
            "Use letters, digits and spaces on one line; this holds a line break or an invisible character.",
            code="not_one_line",
        )
