"""Prints measurements as one Markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was measured, how often, its figures and the goal."""

    what: str
    n: int
    median: str
    p95: str
    goal: str
    met: bool | None = None


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile, ``share`` in 0-1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def timing(what: str, seconds: Sequence[float], *, goal: str, p95_below: float | None = None) -> Row:
    """Make a row of durations in seconds."""
    p95 = percentile(seconds, 0.95)
    return Row(
        what=what,
        n=len(seconds),
        median=f"{statistics.median(seconds):.3f} s",
        p95=f"{p95:.3f} s",
        goal=goal,
        met=None if p95_below is None else p95 < p95_below,
    )


def print_table(rows: Sequence[Row]) -> None:
    print("| what | n | median | p95 | goal | met |")
    print("| --- | ---: | ---: | ---: | --- | --- |")
    for row in rows:
        met = {True: "yes", False: "**no**", None: "-"}[row.met]
        print(f"| {row.what} | {row.n} | {row.median} | {row.p95} | {row.goal} | {met} |")
