"""The figures that every evaluation reports, whichever model and images they come from. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.calibrate import MALIGNANT, SUSPICION_CUTS
from ml.contract import LABELS
from ml.metrics import (
    RESAMPLES,
    Reliability,
    area_under_curve,
    bootstrap,
    brier_score,
    confusion_matrix,
    precision_recall_f1,
    reliability,
    roc_curve,
    sensitivity_specificity,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """Images with the truth and the model's word.

    Attributes:
        labels: (N,) indices into the labels.
        probabilities: (N, 3), calibrated.
        thresholds: (N,) threshold on the probability of malignancy that applies to each image.
        groups: group of each image, for the bootstrap.
        zones: (N, 2) bounds of the uncertain zone that applies to each image; ``None`` where none was fitted.
    """

    labels: NDArray[np.intp]
    probabilities: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    groups: tuple[str, ...]
    zones: NDArray[np.float64] | None = None

    def take(self, chosen: NDArray[np.bool_]) -> Judged:
        """The chosen images only."""
        return Judged(
            labels=self.labels[chosen],
            probabilities=self.probabilities[chosen],
            thresholds=self.thresholds[chosen],
            groups=tuple(np.asarray(self.groups)[chosen].tolist()),
            zones=None if self.zones is None else self.zones[chosen],
        )

    @property
    def malignant(self) -> NDArray[np.bool_]:
        return self.labels == MALIGNANT

    @property
    def scores(self) -> NDArray[np.float64]:
        """Calibrated probability of malignancy (N,)."""
        return self.probabilities[:, MALIGNANT]


def all_figures(judged: Judged, *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Accuracy, per-class and macro precision, recall and F1, AUC, operating point, Brier, calibration error.

    Every figure carries n and a 95 % interval by bootstrap over groups. Macro figures average over the labels that
    occur. ``sensitivity`` and ``specificity`` are those at the image's threshold; ``*_by_label`` those of the label
    with the highest probability.
    """
    present = [index for index in range(len(LABELS)) if (judged.labels == index).any()]
    predicted = judged.probabilities.argmax(axis=1)
    flagged = judged.scores >= judged.thresholds

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        labels, guess = judged.labels[chosen], predicted[chosen]
        malignant = labels == MALIGNANT
        per_class = precision_recall_f1(confusion_matrix(labels, guess, classes=len(LABELS)))
        # A label that is never predicted has no precision; in the macro average it counts as 0.
        macro = np.nan_to_num(per_class[present]).mean(axis=0)
        sensitivity, specificity = sensitivity_specificity(malignant, flagged[chosen])
        by_label = sensitivity_specificity(malignant, guess == MALIGNANT)
        figures = {
            "accuracy": float((labels == guess).mean()),
            "auc_malignant": area_under_curve(malignant, judged.scores[chosen]),
            "sensitivity": sensitivity,
            "specificity": specificity,
            "sensitivity_by_label": by_label[0],
            "specificity_by_label": by_label[1],
            "macro_precision": float(macro[0]),
            "macro_recall": float(macro[1]),
            "macro_f1": float(macro[2]),
            "brier": brier_score(labels, judged.probabilities[chosen]),
        }
        for index in present:
            for name, value in zip(("precision", "recall", "f1"), per_class[index], strict=True):
                figures[f"{name}_{LABELS[index]}"] = float(value)
        return figures

    figures = bootstrap(measure, judged.groups, resamples=resamples)
    return {
        **{name: figure.as_dict() for name, figure in figures.items()},
        "ece": calibration_error(judged, resamples=resamples),
        "ece_malignant": risk_error(judged, resamples=resamples),
        "confusion_matrix": {
            "rows": "truth",
            "columns": "predicted",
            "labels": list(LABELS),
            "counts": confusion_matrix(judged.labels, predicted, classes=len(LABELS)).tolist(),
        },
        "roc": _roc_points(judged),
    }


def discrimination(judged: Judged, *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """The short form for subgroups: images, malignant ones, AUC, sensitivity and specificity at the threshold."""
    flagged = judged.scores >= judged.thresholds

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        malignant = judged.malignant[chosen]
        sensitivity, specificity = sensitivity_specificity(malignant, flagged[chosen])
        return {
            "auc_malignant": area_under_curve(malignant, judged.scores[chosen]),
            "sensitivity": sensitivity,
            "specificity": specificity,
        }

    figures = bootstrap(measure, judged.groups, resamples=resamples)
    return {
        "n": len(judged.labels),
        "malignant": int(judged.malignant.sum()),
        **{name: figure.as_dict() for name, figure in figures.items()},
    }


def sensitivity_at(judged: Judged, specificity: float, *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Sensitivity read off the ROC curve at a given specificity: optimistic, for the threshold saw these images."""

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        malignant = judged.malignant[chosen]
        if not malignant.any() or malignant.all():
            return {"sensitivity": float("nan")}
        false, true = roc_curve(malignant, judged.scores[chosen])
        return {"sensitivity": float(true[false <= 1 - specificity + 1e-9].max())}

    return bootstrap(measure, judged.groups, resamples=resamples)["sensitivity"].as_dict()


def calibration_error(judged: Judged, *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Expected calibration error of the label's stated probability, 15 bins."""
    stated = judged.probabilities.max(axis=1)
    right = judged.probabilities.argmax(axis=1) == judged.labels

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        return {"ece": reliability(stated[chosen], right[chosen]).expected_error}

    return bootstrap(measure, judged.groups, resamples=resamples)["ece"].as_dict()


def risk_error(judged: Judged, *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Expected calibration error of the stated probability of malignancy, 15 bins: what the suspicion rests on."""

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        return {"ece": reliability(judged.scores[chosen], judged.malignant[chosen]).expected_error}

    return bootstrap(measure, judged.groups, resamples=resamples)["ece"].as_dict()


def bands(judged: Judged, *, cuts: Sequence[float] = SUSPICION_CUTS) -> list[dict[str, Any]]:
    """What lies on each step of suspicion: images of each label, and which share of all cancers and of all benigns.

    Shares are of the given images; ``None`` where there is no image of that label.
    """
    steps = 1 + np.searchsorted(np.array(cuts), judged.scores, side="right")
    edges = (0.0, *cuts, 1.0)
    total = np.bincount(judged.labels, minlength=len(LABELS))
    rows = []
    for step in range(1, len(cuts) + 2):
        counts = np.bincount(judged.labels[steps == step], minlength=len(LABELS))
        shares = [round(float(count / all_), 4) if all_ else None for count, all_ in zip(counts, total, strict=True)]
        rows.append(
            {
                "suspicion": step,
                "from": edges[step - 1],
                "to": edges[step],
                "n": int(counts.sum()),
                **{label: int(count) for label, count in zip(LABELS, counts, strict=True)},
                "share_of_cancers": shares[MALIGNANT],
                "share_of_benigns": shares[LABELS.index("benign")],
            }
        )
    return rows


def zone_figures(judged: Judged, *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """How often an answer is uncertain, and how good the answers are inside and outside the zone.

    ``rate``, ``rate_malignant`` and ``rate_others``: share of (malignant, other) images in the zone. ``accuracy_*``: of
    the label, ``auc_*`` of malignancy. ``clearly_missed``: share of malignant images below the zone, called clearly not
    malignant. ``clearly_false``: share of the others above it.

    Raises:
        ValueError: no zone was fitted.
    """
    if judged.zones is None:
        raise ValueError("These images were judged without an uncertain zone.")
    below, above = judged.scores < judged.zones[:, 0], judged.scores > judged.zones[:, 1]
    inside = ~below & ~above
    right = judged.probabilities.argmax(axis=1) == judged.labels

    def share(values: NDArray[np.bool_], among: NDArray[np.bool_]) -> dict[str, Any]:
        if not among.any():
            return {"value": None, "low": None, "high": None, "n": 0, "groups": 0}
        chosen = values[among]
        groups = np.asarray(judged.groups)[among].tolist()
        figures = bootstrap(lambda picked: {"share": float(chosen[picked].mean())}, groups, resamples=resamples)
        return figures["share"].as_dict()

    everything = np.ones(len(right), dtype=bool)
    return {
        "rate": share(inside, everything),
        "rate_malignant": share(inside, judged.malignant),
        "rate_others": share(inside, ~judged.malignant),
        "accuracy_inside": share(right, inside),
        "accuracy_outside": share(right, ~inside),
        "auc_inside": _auc(judged.take(inside), resamples=resamples),
        "auc_outside": _auc(judged.take(~inside), resamples=resamples),
        "clearly_missed": share(below, judged.malignant),
        "clearly_false": share(above, ~judged.malignant),
    }


def _auc(judged: Judged, *, resamples: int) -> dict[str, Any]:
    if not len(judged.labels):
        return {"value": None, "low": None, "high": None, "n": 0, "groups": 0}

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        return {"auc": area_under_curve(judged.malignant[chosen], judged.scores[chosen])}

    return bootstrap(measure, judged.groups, resamples=resamples)["auc"].as_dict()


def stated_risk(judged: Judged) -> Reliability:
    """Reliability of the stated probability of malignancy: was it malignant?"""
    return reliability(judged.scores, judged.malignant)


def stated_reliability(judged: Judged) -> Reliability:
    """Reliability of the label's stated probability: did the label turn out right?"""
    return reliability(judged.probabilities.max(axis=1), judged.probabilities.argmax(axis=1) == judged.labels)


def group_names(keys: Sequence[str], groups: Sequence[str | None]) -> tuple[str, ...]:
    """The group of each image; an image without one is its own group."""
    return tuple(group or key for key, group in zip(keys, groups, strict=True))


def _roc_points(judged: Judged, *, points: int = 101) -> dict[str, list[float]] | None:
    """The ROC curve at even false positive rates, short enough for a JSON file; ``None`` without both classes."""
    if not judged.malignant.any() or judged.malignant.all():
        return None
    false, true = roc_curve(judged.malignant, judged.scores)
    grid = np.linspace(0, 1, points)
    at_grid = [float(true[false <= rate + 1e-12].max()) for rate in grid]
    return {
        "false_positive_rate": [round(float(rate), 4) for rate in grid],
        "true_positive_rate": [round(rate, 4) for rate in at_grid],
    }
