"""Cells of files that a spreadsheet opens."""

from __future__ import annotations

from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def defused(value: Any) -> str:
    """Keep a spreadsheet from running a cell that begins like a formula: an apostrophe makes it text (CWE-1236)."""
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


class Line:
    """A file for ``csv.writer`` that gives each line back instead of keeping it, so that an export streams."""

    def write(self, line: str) -> str:
        return line


BYTE_ORDER_MARK = "\ufeff"
"""Has spreadsheets read UTF-8."""
