"""Ideas beside what is served: each figure with its paired difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ml.data.records import ImageRecord
from ml.metrics import PairedFigure, bootstrap

Pairs = Callable[[str, NDArray[np.intp]], dict[str, tuple[float, float]]]
"""From a collection and rows, with repeats, to named figures: each of the idea and of what is served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried(PairedFigure):
    """One figure of one idea, and how it differs from what is served.

    Attributes:
        idea: in words.
        passes: forward passes that one image takes.
        set, figure: the collection and what was measured. The difference is to what is served.
    """

    idea: str
    passes: int
    set: str
    figure: str

    def __str__(self) -> str:
        return (
            f"{self.set} {self.figure} {self.value:.3f}, "
            f"{self.difference:+.3f} ({self.difference_low:+.3f} to {self.difference_high:+.3f})"
        )


def compare(
    idea: str,
    *,
    passes: int,
    records: Sequence[ImageRecord],
    rows: NDArray[np.intp],
    measure: Pairs,
    resamples: int,
) -> list[Tried]:
    """The figures of an idea for each collection among the chosen rows, by bootstrap over leak groups.

    Args:
        idea, passes: see :class:`Tried`.
        records: all images.
        rows: which of them are measured.
        measure: see :data:`Pairs`; its rows count from 0 to ``len(records)``.
        resamples: of the bootstrap.
    """
    found = []
    for source in sorted({records[row].source for row in rows}):
        own = np.array([row for row in rows if records[row].source == source], dtype=np.intp)
        figures = bootstrap(
            partial(_flat, measure, source, own), [records[row].leak_group for row in own], resamples=resamples
        )
        for name in dict.fromkeys(name for name, _ in (key.split("|") for key in figures)):
            figure, apart = figures[f"{name}|value"], figures[f"{name}|difference"]
            numbers = PairedFigure.numbers(figure, apart)
            found.append(Tried(idea=idea, passes=passes, set=source, figure=name, **numbers))
    return found


def _flat(measure: Pairs, source: str, own: NDArray[np.intp], picked: NDArray[np.intp]) -> dict[str, float]:
    pairs = measure(source, own[picked])
    values = {f"{name}|value": value for name, (value, _) in pairs.items()}
    return values | {f"{name}|difference": value - served for name, (value, served) in pairs.items()}
