"""The zone in which the model's answer should not be leant on, by conformal prediction. NumPy only.

Angelopoulos and Bates, "A gentle introduction to conformal prediction and distribution-free uncertainty
quantification", 2021, sections 1 and 4.3 (class-conditional coverage).

For each answer (malignant; not malignant) split-conformal prediction keeps the answer possible for every probability
of malignancy that is not more extreme than those of ``coverage`` of the images of that answer. An image for which
exactly one answer is possible is clear; one for which both are possible, or neither, is uncertain. With one score for
both answers the uncertain images form an interval of the probability of malignancy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Floats

ZONE_COVERAGE = 0.90
"""Of the malignant images of each collection at least this share is either called malignant or uncertain, and of the
others at least this share is either called not malignant or uncertain. It equals the aim of the shipped threshold."""


@dataclass(frozen=True, slots=True)
class UncertainZone:
    """An interval of the calibrated probability of malignancy.

    Attributes:
        low, high: bounds, both inside the zone, 0 <= low <= high <= 1.
        coverage: the share that the rule guarantees for each answer, 0-1.
    """

    low: float
    high: float
    coverage: float = ZONE_COVERAGE

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"an uncertain zone must lie within 0-1, not {self.low} to {self.high}")
        if not 0 < self.coverage < 1:
            raise ValueError(f"the coverage of an uncertain zone must lie within 0-1, not be {self.coverage}")

    def contains(self, malignant: float) -> bool:
        """Whether an image with this calibrated probability of malignancy is uncertain."""
        return bool(self.low <= malignant <= self.high)

    def as_dict(self) -> dict[str, float]:
        return {"low": round(self.low, 4), "high": round(self.high, 4), "coverage": self.coverage}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> UncertainZone:
        """From the JSON form.

        Raises:
            ValueError: an entry is missing or makes no sense.
        """
        try:
            return cls(low=float(values["low"]), high=float(values["high"]), coverage=float(values["coverage"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"an uncertain zone's entry is missing or no number ({error})") from error


def fit_zone(
    malignant: Floats, positive: NDArray[np.bool_], sources: Sequence[str], *, coverage: float = ZONE_COVERAGE
) -> UncertainZone:
    """The zone that keeps the coverage of either answer in every collection.

    Args:
        malignant: calibrated probability of malignancy (N,) of images that the network was not trained on.
        positive: (N,) whether the image is malignant.
        sources: collection of each image; the bounds are those of the collection that needs the wider zone.
        coverage: share to be kept.

    Returns:
        the zone. Where an answer has too few images for the coverage (fewer than 9 at 0.9) it is always possible.
    """
    malignant = np.asarray(malignant, dtype=np.float64)
    names = np.asarray(sources)
    possible_from, possible_to = 1.0, 0.0
    for source in sorted(set(sources)):
        inside = names == source
        if (positive & inside).any():
            # Malignant stays possible from here upwards, not malignant from here downwards.
            possible_from = min(possible_from, 1 - _conformal_quantile(1 - malignant[positive & inside], coverage))
        if (~positive & inside).any():
            possible_to = max(possible_to, _conformal_quantile(malignant[~positive & inside], coverage))
    # Above possible_from both answers are possible up to possible_to; the other way round neither is in between.
    return UncertainZone(low=min(possible_from, possible_to), high=max(possible_from, possible_to), coverage=coverage)


def _conformal_quantile(scores: NDArray[np.float64], coverage: float) -> float:
    """The ceil((n + 1) coverage)-th smallest score; 1, the largest possible, where there are too few."""
    rank = int(np.ceil((len(scores) + 1) * coverage - 1e-9))
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else 1.0
