"""Figures by scanner and month: the last twelve months, the scanners that have a line of their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from django.utils import timezone

MONTHS = 12
"""How far back the figures of a model go, the current month included."""
LISTED_SCANNERS = 5
"""Scanners with a line of their own, those with the most images; the rest is added up."""
ALL = "All scanners"
NOT_STATED = "Scanner not stated"
OTHERS = "Other scanners"


def first_month() -> datetime:
    """The beginning of the first of :data:`MONTHS`, in the site's time zone."""
    first = months()[0]
    return datetime(first.year, first.month, 1, tzinfo=timezone.get_current_timezone())


def months() -> list[date]:
    """The first day of each of the months, oldest first."""
    today = timezone.localdate()
    last = today.year * 12 + today.month - 1
    return [date(month // 12, month % 12 + 1, 1) for month in range(last - MONTHS + 1, last + 1)]


def named(device: str) -> str:
    """A scanner as the pages call it; image files without DICOM data state none."""
    return device.strip() or NOT_STATED


def lines(size: Mapping[str, int]) -> dict[str, list[str]]:
    """The lines of a table or chart, and the scanners that are added up in each: all of them first, where there are
    several, then those with the most images, then the rest together.

    Args:
        size: scanner -> images.
    """
    names = sorted(size, key=lambda name: (-size[name], name))
    found = {ALL: names} if len(names) > 1 else {}
    found |= {name: [name] for name in names[:LISTED_SCANNERS]}
    if rest := names[LISTED_SCANNERS:]:
        found[OTHERS] = rest
    return found
