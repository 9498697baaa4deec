"""Words and figures of the dashboard and of the pages about models."""

from __future__ import annotations

from datetime import date

from django import template

from diagnosis.agreement import LEAST_CASES, Proportion
from diagnosis.dashboard import Point

register = template.Library()

SPACE = "\N{NO-BREAK SPACE}"
UNITS = ("bytes", "KB", "MB", "GB", "TB")


@register.filter
def with_interval(proportion: Proportion) -> str:
    """``0.91 (0.84 to 0.95), n = 112``; below the least number of cases only how many there are."""
    if not proportion.n:
        return "none yet"
    if not proportion.is_enough:
        return f"too few to say: n = {proportion.n}, {LEAST_CASES} are needed"
    return f"{proportion.share:.2f} ({proportion.low:.2f} to {proportion.high:.2f}), n = {proportion.n}"


@register.filter
def in_short(proportion: Proportion) -> str:
    """``9 % (6 to 13), n = 240``, for a cell of a table; ``n = 7, too few`` below the least number of cases."""
    if not proportion.is_enough:
        return f"n = {proportion.n}, too few"
    low, share, high = (100 * value for value in (proportion.low, proportion.share or 0.0, proportion.high))
    return f"{share:.0f}{SPACE}% ({low:.0f} to {high:.0f}), n = {proportion.n}"


@register.filter
def charted(proportion: Proportion | str) -> str:
    """The share as a number for a chart; nothing, a gap in its line, where there are too few cases or none."""
    return f"{proportion.share:.4f}" if isinstance(proportion, Proportion) and proportion.is_enough else ""


@register.filter
def bytes_words(size: int) -> str:
    """``3.4 GB``, in steps of 1,024."""
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.0f}{SPACE}{UNITS[unit]}" if unit == 0 or amount >= 100 else f"{amount:.1f}{SPACE}{UNITS[unit]}"


@register.filter
def whole_percent(share: float | None) -> str:
    """A share of counted things as percent, 0 and 100 included."""
    return "" if share is None else f"{100 * share:.0f}{SPACE}%"


@register.filter
def day_words(point: Point) -> str:
    """``14 Nov``, or ``8 to 14 Nov`` for a week."""
    if point.first == point.last:
        return _day(point.first)
    if point.first.month == point.last.month:
        return f"{point.first.day} to {_day(point.last)}"
    return f"{_day(point.first)} to {_day(point.last)}"


def _day(day: date) -> str:
    return f"{day.day}{SPACE}{day:%b}"


@register.filter
def month_words(month: date) -> str:
    return f"{month:%b}{SPACE}{month:%Y}"


@register.filter
def signed(value: float) -> str:
    """``+0.03``, with a real minus sign."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


@register.filter
def three(value: float) -> str:
    return f"{value:.3f}"
