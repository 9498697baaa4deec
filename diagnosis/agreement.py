"""Shares with their intervals, and how well two readers agree. Pure arithmetic: no queries.

Every share that a page shows carries its n and its 95 % interval, and below :data:`LEAST_CASES` nothing is concluded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Z_95 = 1.959964
"""Two-sided 95 % of the standard normal distribution."""
LEAST_CASES = 30
"""Cases below which a share is called too few to say: at 30, the interval of one half still is 34 points wide."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share of cases, 0-1, with its 95 % interval.

    Attributes:
        hits, n: the cases that count, of how many; the share is ``None`` where there are none.
    """

    hits: int
    n: int

    @property
    def share(self) -> float | None:
        return self.hits / self.n if self.n else None

    @property
    def is_enough(self) -> bool:
        """Whether there are enough cases to say something."""
        return self.n >= LEAST_CASES

    @property
    def low(self) -> float:
        return self._interval[0]

    @property
    def high(self) -> float:
        return self._interval[1]

    @property
    def _interval(self) -> tuple[float, float]:
        """Score interval (Wilson, *J. American Statistical Association* 22:209-212, 1927); 0 to 1 without cases."""
        if not self.n:
            return 0.0, 1.0
        share, squared = self.hits / self.n, Z_95 * Z_95
        middle = (share + squared / (2 * self.n)) / (1 + squared / self.n)
        half = Z_95 * math.sqrt(share * (1 - share) / self.n + squared / (4 * self.n * self.n)) / (1 + squared / self.n)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement beyond chance, with its 95 % interval; at most 1, 0 is chance."""

    value: float
    low: float
    high: float
    n: int


def kappa(table: Mapping[tuple[str, str], int], *, labels: Sequence[str]) -> Kappa | None:
    """Cohen's kappa of two readers (*Educational and Psychological Measurement* 20:37-46, 1960).

    Args:
        table: (label of one, label of the other) -> cases; pairs that are missing count nothing.
        labels: of both readers.

    Returns:
        ``None`` without cases, and where both gave everything the same single label: then chance explains all. The
        interval is that of the large sample (Fleiss, Cohen and Everitt, *Psychological Bulletin* 72:323-327, 1969).
    """
    n = sum(table.values())
    if not n:
        return None
    share = {(one, other): table.get((one, other), 0) / n for one in labels for other in labels}
    rows = {one: sum(share[one, other] for other in labels) for one in labels}
    columns = {other: sum(share[one, other] for one in labels) for other in labels}
    seen = sum(share[label, label] for label in labels)
    chance = sum(rows[label] * columns[label] for label in labels)
    if chance >= 1:
        return None
    value = (seen - chance) / (1 - chance)
    same = sum(
        share[label, label] * ((1 - chance) - (rows[label] + columns[label]) * (1 - seen)) ** 2 for label in labels
    )
    different = (1 - seen) ** 2 * sum(
        share[one, other] * (columns[one] + rows[other]) ** 2 for one in labels for other in labels if one != other
    )
    variance = (same + different - (seen * chance - 2 * chance + seen) ** 2) / (n * (1 - chance) ** 4)
    half = Z_95 * math.sqrt(max(0.0, variance))
    return Kappa(value=value, low=max(-1.0, value - half), high=min(1.0, value + half), n=n)
