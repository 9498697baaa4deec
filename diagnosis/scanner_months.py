"""Figures by scanner and month: the last twelve months, the scanners that have a line of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from django.db.models import QuerySet, Value
from django.utils import timezone

MONTHS = 12
"""How far back the figures of a model go, the current month included."""
LISTED_SCANNERS = 5
"""Scanners with a line of their own, those with the most images; the rest is added up."""
ALL = "All scanners"
NOT_STATED = "Scanner not stated"
OTHERS = "Other scanners"


def months() -> list[date]:
    """The first day of each of the months, oldest first."""
    today = timezone.localdate()
    last = today.year * 12 + today.month - 1
    return [date(month // 12, month % 12 + 1, 1) for month in range(last - MONTHS + 1, last + 1)]


def monthly(rows: QuerySet[Any], *, moment: str, device: str, **figures: Any) -> Iterator[tuple[date, str, list[Any]]]:
    """Aggregate ``rows`` by month and scanner: yields the month, the scanner, and the figures in their order.

    One range of ``moment`` a month, asked together: grouping by the month would compute the month of every row.

    Args:
        moment, device: paths of the time and of the scanner's name.
        figures: aggregates.
    """
    begins = [datetime(one.year, one.month, 1, tzinfo=timezone.get_current_timezone()) for one in months()]
    ends = [*begins[1:], None]
    parts = []
    for place, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        within = {f"{moment}__gte": begin} | ({f"{moment}__lt": end} if end else {})
        grouped = rows.filter(**within).order_by().annotate(place=Value(place)).values("place", device)
        parts.append(grouped.annotate(**figures).values_list("place", device, *figures))
    for place, name, *found in parts[0].union(*parts[1:], all=True):
        yield months()[place], named(name), found


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
