"""Free-response curves: how many lesions are marked at how many false marks a film. NumPy only.

Bunch et al., "A free-response approach to the measurement and characterization of radiographic-observer performance",
Proc. SPIE 127:124 (1977).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ml.mammogram.marks import Spot
from ml.mammogram.targets import Lesion

RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""False marks a film at which the sensitivity is read."""

TOLERANCE = 24.0
"""Canvas pixels, 6.4 mm on mini-MIAS: a mark this near to the centre of a lesion hits it also where it is smaller."""

NOTHING, UNCLEAR = -1, -2
"""What a mark lies on when it is no lesion: tissue, or a finding that is not counted."""


@dataclass(frozen=True, slots=True)
class MarkedFilm:
    """The marks of one film held against its lesions.

    Attributes:
        scores: of the marks (M,), falling.
        on: index of the lesion that each mark lies on, ``NOTHING`` or ``UNCLEAR`` (M,).
        lesions: how many lesions the film has.
        group: patient or pair, for the bootstrap.
        false: scores of the marks on nothing.
        best: the best score of a mark on each lesion that was marked at all.
    """

    scores: NDArray[np.float64]
    on: NDArray[np.intp]
    lesions: int
    group: str
    false: NDArray[np.float64] = field(init=False)
    best: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        # Found once: the bootstrap draws the same films thousands of times.
        hit = np.unique(self.on[self.on >= 0])
        best = [float(self.scores[self.on == lesion].max()) for lesion in hit]
        object.__setattr__(self, "false", self.scores[self.on == NOTHING])
        object.__setattr__(self, "best", np.array(best, np.float64))


def lesions_hit(spots: Sequence[Spot], lesions: Sequence[Lesion], unclear: NDArray[np.bool_]) -> NDArray[np.intp]:
    """What each mark lies on, (M,).

    A mark hits a lesion when its centre lies inside the lesion's circle or mask, or within :data:`TOLERANCE` of the
    lesion's centre; of several, the one whose centre is nearest.
    """
    found = np.full(len(spots), NOTHING, np.intp)
    height, width = unclear.shape
    for number, spot in enumerate(spots):
        row, column = min(int(spot.row), height - 1), min(int(spot.column), width - 1)
        away = [float(np.hypot(spot.row - lesion.row, spot.column - lesion.column)) for lesion in lesions]
        reached = [
            index for index, lesion in enumerate(lesions) if lesion.mask[row, column] or away[index] <= TOLERANCE
        ]
        if reached:
            found[number] = min(reached, key=away.__getitem__)
        elif unclear[row, column]:
            found[number] = UNCLEAR
    return found


def free_response(films: Sequence[MarkedFilm]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False marks a film and share of lesions marked, at every threshold from the strictest, from (0, 0) on.

    NaN shares where there is no lesion.
    """
    false = np.sort(np.concatenate([film.false for film in films]))[::-1]
    best = np.sort(np.concatenate([film.best for film in films]))[::-1]
    lesions = sum(film.lesions for film in films)
    thresholds = np.unique(np.concatenate([false, best]))[::-1]
    rate = np.searchsorted(-false, -thresholds, side="right") / len(films)
    hit = np.searchsorted(-best, -thresholds, side="right")
    share = hit / lesions if lesions else np.full(len(hit), np.nan)
    return np.concatenate([[0.0], rate]), np.concatenate([[0.0], share])


def sensitivity_at(films: Sequence[MarkedFilm], rates: Sequence[float] = RATES) -> dict[float, float]:
    """The greatest share of lesions marked at no more than each number of false marks a film."""
    false, share = free_response(films)
    return {rate: float(share[false <= rate + 1e-9].max()) for rate in rates}


def score_at(films: Sequence[MarkedFilm], rate: float) -> float:
    """The lowest score from which marks are shown if there are to be at most ``rate`` false ones a film."""
    false = np.sort(np.concatenate([film.false for film in films]))[::-1]
    allowed = int(rate * len(films) + 1e-9)
    every = np.unique(np.concatenate([film.scores for film in films]))
    above = every[every > false[allowed]] if allowed < len(false) else every
    return float(above[0]) if len(above) else float("inf")
