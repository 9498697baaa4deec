"""Several looks at one image, or several models, become one calibrated set of logits. NumPy only.

The fused logits are a weighted sum of the members' logits plus a bias for each label: matrix scaling (Guo et al.,
ICML 2017) cut down to one number for each member and one for each label, so that a few hundred images fit it and it
cannot change what a member says about the order of two labels by more than the bias. Non-negative weights keep it
monotone: a member that finds an image more malignant never makes the answer less so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.metrics import Floats, softmax

FUSION_PENALTY = 0.01
"""Half of this times the squared distance to the plain average of the members is added to the mean log-loss. It
decides only between members that say much the same, where the data do not."""

_STEPS = 200
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Fusion:
    """How members' logits become one.

    Attributes:
        weights: of each member, >= 0, at least one above 0; temperature is contained in them.
        bias: of each label, in the order of :data:`ml.contract.LABELS`.
        alone: temperature of the first member where another one is missing; ``None`` when that cannot happen.
    """

    weights: tuple[float, ...]
    bias: tuple[float, ...]
    alone: float | None = None

    def __post_init__(self) -> None:
        numbers = (*self.weights, *self.bias, *(() if self.alone is None else (self.alone,)))
        if not all(np.isfinite(number) for number in numbers):
            raise ValueError("a fusion has a value that is not a number")
        if not self.weights or min(self.weights) < 0 or max(self.weights) <= 0:
            raise ValueError("a fusion needs weights that are not negative and not all zero")
        if len(self.bias) != len(LABELS):
            raise ValueError(f"a fusion needs a bias for each of {len(LABELS)} labels, not {len(self.bias)}")
        if self.alone is not None and self.alone <= 0:
            raise ValueError("the temperature of a look that stands alone must be above 0")

    def apply(self, *members: Floats | None) -> NDArray[np.float64]:
        """Calibrated logits.

        Args:
            members: raw logits (..., labels) of each member. All but the first may be ``None``, or hold rows of NaN:
                there the first member is judged alone.

        Raises:
            ValueError: not as many members as weights, or one is missing where the fusion has no ``alone``.
        """
        if len(members) != len(self.weights) or members[0] is None:
            raise ValueError(f"The fusion joins {len(self.weights)} members; {len(members)} came.")
        first = np.asarray(members[0], dtype=np.float64)
        given = [np.full_like(first, np.nan) if each is None else np.asarray(each, np.float64) for each in members]
        stacked = np.stack(given)
        missing: NDArray[np.bool_] = np.asarray(np.isnan(stacked[1:]).any(axis=(0, -1)), dtype=np.bool_)
        known = np.where(missing[..., None], 0.0, stacked)
        fused = np.asarray(self.bias) + np.tensordot(np.asarray(self.weights), known, axes=1)
        if not missing.any():
            return fused
        if self.alone is None:
            raise ValueError("A member of the fusion is missing, and nothing is fitted for that.")
        return np.where(missing[..., None], first / self.alone, fused)

    def as_dict(self) -> dict[str, Any]:
        """JSON form; six decimals, so a manifest and the figures measured with it agree to 1e-5."""
        return {
            "weights": [round(value, 6) for value in self.weights],
            "bias": [round(value, 6) for value in self.bias],
            "alone": None if self.alone is None else round(self.alone, 6),
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Fusion:
        """From the JSON form.

        Raises:
            ValueError: an entry is missing or makes no sense.
        """
        try:
            alone = values["alone"]
            return cls(
                weights=tuple(float(value) for value in values["weights"]),
                bias=tuple(float(value) for value in values["bias"]),
                alone=None if alone is None else float(alone),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"a fusion's entry is missing or no number ({error})") from error


def fit_fusion(
    members: Sequence[Floats],
    labels: NDArray[np.intp],
    *,
    weights: Floats | None = None,
    penalty: float = FUSION_PENALTY,
    alone: float | None = None,
) -> Fusion:
    """The fusion with the least mean log-loss plus penalty: a convex problem, solved by a projected Newton method.

    Args:
        members: raw logits (N, labels) of each member, without NaN.
        labels: (N,) indices.
        weights: (N,) weight of each image; equal when ``None``.
        penalty: see :data:`FUSION_PENALTY`; above 0.
        alone: handed to the fusion.

    Raises:
        ValueError: no image, or a logit that is not a number.
    """
    logits = np.stack([np.asarray(each, dtype=np.float64) for each in members], axis=-1)
    if not len(labels) or not np.isfinite(logits).all():
        raise ValueError("A fusion is fitted on at least one image, with a number for each logit of each member.")
    count, classes, size = logits.shape
    share = np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)
    share = share / share.sum()
    # (N, classes, members + classes): the fused logits are linear in the parameters.
    design = np.concatenate([logits, np.broadcast_to(np.eye(classes), (count, classes, classes))], axis=2)
    truth = np.eye(classes)[labels]
    centre = np.concatenate([np.full(size, 1 / size), np.zeros(classes)])
    bounded = np.arange(size + classes) < size

    def loss(parameters: NDArray[np.float64]) -> float:
        probability = softmax(design @ parameters)[np.arange(count), labels]
        distance = parameters - centre
        return float(-(share * np.log(np.maximum(probability, 1e-300))).sum() + 0.5 * penalty * distance @ distance)

    parameters, value = centre.copy(), loss(centre)
    for _ in range(_STEPS):
        probability = softmax(design @ parameters)
        slope = np.einsum("n,nc,ncp->p", share, probability - truth, design) + penalty * (parameters - centre)
        mean = np.einsum("nc,ncp->np", probability, design)
        curve = np.einsum("n,nc,ncp,ncq->pq", share, probability, design, design, optimize=True)
        curve += penalty * np.eye(len(parameters)) - (mean * share[:, None]).T @ mean
        # A weight at its bound that would fall below it stays there; the others take a Newton step together.
        free = ~(bounded & (parameters <= 0) & (slope > 0))
        step = np.zeros_like(parameters)
        step[free] = -np.linalg.solve(curve[np.ix_(free, free)], slope[free])
        length, moved, reached = 1.0, parameters, value
        while length > 1e-6:
            candidate = np.where(bounded, np.maximum(parameters + length * step, 0.0), parameters + length * step)
            candidate_value = loss(candidate)
            if candidate_value < value:
                moved, reached = candidate, candidate_value
                break
            length /= 2
        gained, parameters, value = value - reached, moved, reached
        if gained < _TOLERANCE:
            break
    if parameters[:size].max() <= 0:
        # Members that know nothing: the labels' shares would remain, and no image could be told from another.
        raise ValueError("No member of the fusion tells the labels apart; there is nothing to fuse.")
    return Fusion(weights=tuple(parameters[:size].tolist()), bias=tuple(parameters[size:].tolist()), alone=alone)
