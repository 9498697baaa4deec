"""Probabilities for a site where disease is rarer, or commoner, than in the sets the model was calibrated on.

Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities: a simple
procedure", Neural Computation 14:21-41 (2002), equation 2.4. It holds when images of one label look alike at both
places and only the labels' shares differ; it does not repair a model that meets other scanners or other patients.
NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ml.calibrate import MALIGNANT, suspicion
from ml.contract import LABELS, Prediction
from ml.metrics import Floats


def rebase(probabilities: Floats, *, training: Sequence[float], site: Sequence[float]) -> NDArray[np.float64]:
    """Re-base calibrated probabilities on the site's shares of the labels.

    Args:
        probabilities: (..., labels), rows sum to 1.
        training: share of each label where the model was calibrated; sum to 1.
        site: share of each label at the site; sum to 1. A label with share 0 gets probability 0.

    Returns:
        (..., labels), rows sum to 1. Monotone: a higher share at the site never lowers that label's probability.

    Raises:
        ValueError: shares that are negative or do not sum to 1, a label that the site has and the training had not,
            probabilities outside 0-1, or a row that has none left.
    """
    given = np.asarray(probabilities, dtype=np.float64)
    before, after = _shares(training, "training"), _shares(site, "site")
    if given.shape[-1:] != (len(LABELS),) or not ((given >= 0) & (given <= 1)).all():
        raise ValueError(f"Probabilities must lie within 0-1, {len(LABELS)} to an image.")
    new = [LABELS[index] for index in np.flatnonzero((before == 0) & (after > 0))]
    if new:
        raise ValueError(f"The model was calibrated without {new[0]} images; it can state no probability for them.")
    factors = np.divide(after, before, out=np.zeros_like(after), where=before > 0)
    weighed = given * factors
    total = weighed.sum(axis=-1, keepdims=True)
    if not (total > 0).all():
        raise ValueError("An image's only probable label does not occur at the site.")
    return weighed / total


def site_shares(training: Sequence[float], malignant: float) -> tuple[float, ...]:
    """The labels' shares at a site that states its share of malignant images alone.

    The other labels keep their proportion, so the re-based probability of malignancy is an increasing function of the
    model's own and the order of images does not change.

    Args:
        training: share of each label where the model was calibrated.
        malignant: share of malignant images at the site, above 0 and below 1.

    Raises:
        ValueError: a share out of range.
    """
    before = _shares(training, "training")
    if not 0 < malignant < 1:
        raise ValueError(f"The share of malignant images must lie above 0 and below 1, not be {malignant}.")
    if not 0 < before[MALIGNANT] < 1:
        raise ValueError("The model was calibrated on malignant images alone, or on none.")
    others = before * (1 - malignant) / (1 - before[MALIGNANT])
    others[MALIGNANT] = malignant
    return tuple(others.tolist())


def rebase_prediction(
    prediction: Prediction, *, training: Mapping[str, float], malignant: float, cuts: Sequence[float]
) -> Prediction:
    """The prediction as a site with its own share of malignant images should read it.

    Whether an image is *uncertain* is a matter of the model's own probability and stays; so does the flag at the
    threshold, which is to be judged on the model's own probability.

    Args:
        prediction: the model's.
        training: share of each label where the model was calibrated, from the manifest.
        malignant: share of malignant images at the site.
        cuts: cut points of the suspicion, from the manifest.

    Raises:
        ValueError: as :func:`rebase` and :func:`site_shares`, or the manifest lacks a label.
    """
    missing = [label for label in LABELS if label not in training]
    if missing:
        raise ValueError(f"The manifest states no share of {missing[0]} images.")
    before = [float(training[label]) for label in LABELS]
    own = np.array([prediction.probabilities[label] for label in LABELS])
    based = rebase(own, training=before, site=site_shares(before, malignant))
    best = int(based.argmax())
    return Prediction(
        label=LABELS[best],
        confidence=float(based[best]),
        probabilities={label: float(value) for label, value in zip(LABELS, based, strict=True)},
        suspicion=suspicion(float(based[MALIGNANT]), cuts=cuts),
        uncertain=prediction.uncertain,
    )


def _shares(values: Sequence[float], name: str) -> NDArray[np.float64]:
    shares = np.asarray(values, dtype=np.float64)
    if shares.shape != (len(LABELS),) or not np.isfinite(shares).all() or (shares < 0).any():
        raise ValueError(f"The {name} shares must be {len(LABELS)} numbers that are not negative.")
    # Manifests hold four decimals.
    if abs(shares.sum() - 1) > 1e-3:
        raise ValueError(f"The {name} shares must sum to 1, not {shares.sum():g}.")
    return shares / shares.sum()
