"""The protocol's figures of one training run, from its out-of-fold and cross-set logits.

Leak-safe throughout: whatever is applied to a fold (fusion or temperature, threshold, uncertain zone) is fitted on the
other four folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.calibrate import MALIGNANT, SENSITIVITY_AIM, SUSPICION_CUTS, fit_temperature, fit_threshold
from ml.contract import LABELS
from ml.data.records import ImageRecord
from ml.figures import (
    Judged,
    all_figures,
    bands,
    calibration_error,
    sensitivity_at,
    stated_reliability,
    stated_risk,
    zone_figures,
)
from ml.fusion import Fusion, fit_fusion
from ml.logits import LogitTable
from ml.metrics import RESAMPLES, Floats, softmax
from ml.plots import draw_reliability, draw_roc
from ml.segmentation_figures import segmentation_of_run
from ml.subgroups import subgroups
from ml.uncertain import UncertainZone, fit_zone

NORMAL = LABELS.index("normal")

GOAL_SPECIFICITY = {"busi": 0.85, "busbra": 0.80}
"""Specificity at which the goal for each collection asks for its sensitivity."""

ZONE_RULE = (
    "class-conditional split conformal prediction (Angelopoulos and Bates 2021) on out-of-fold predictions: an answer, "
    "malignant or not, stays possible as long as the probability of malignancy is no more extreme than that of 90 % of "
    "the images of that answer, in every collection; an image is uncertain when not exactly one answer is possible"
)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns logits into decisions.

    Attributes:
        temperature: divides the logits of a model with one look; 1 where there is a fusion.
        threshold: on the calibrated probability of malignancy; at or above it an image counts as flagged.
        zone: where the answer should not be leant on.
        prevalence: share of each label where this was fitted, each collection weighing the same.
        fusion: of several looks or members; ``None`` for one.
    """

    temperature: float
    threshold: float
    zone: UncertainZone
    prevalence: tuple[float, ...]
    fusion: Fusion | None = None

    def probabilities(self, logits: Floats) -> NDArray[np.float64]:
        """Calibrated probabilities (N, labels) of raw logits (N, looks, labels)."""
        if self.fusion is None:
            return softmax(logits[:, 0], temperature=self.temperature)
        return softmax(self.fusion.apply(*(logits[:, look] for look in range(logits.shape[1]))))

    def as_dict(self) -> dict[str, Any]:
        """The manifest's ``calibration``."""
        return {
            "temperature": round(self.temperature, 4),
            "threshold": round(self.threshold, 4),
            "suspicion_cuts": list(SUSPICION_CUTS),
            "uncertain": self.zone.as_dict(),
            "prevalence": {label: round(share, 4) for label, share in zip(LABELS, self.prevalence, strict=True)},
            **({} if self.fusion is None else {"fusion": self.fusion.as_dict()}),
        }


def source_weights(sources: Sequence[str]) -> NDArray[np.float64]:
    """Weight of each image such that every collection weighs the same in the temperature, whatever its size."""
    names, place, counts = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    return (len(sources) / (len(names) * counts))[place]


def calibrate(table: LogitTable) -> Calibration:
    """Fit temperature or fusion, then threshold and uncertain zone, on all images of a table."""
    weights = source_weights(table.sources)
    fusion, temperature = None, 1.0
    if len(table.looks) == 1:
        temperature = fit_temperature(table.logits[:, 0], table.labels, weights=weights)
    else:
        complete: NDArray[np.bool_] = np.asarray(np.isfinite(table.logits).all(axis=(1, 2)), dtype=np.bool_)
        alone = None if complete.all() else fit_temperature(table.logits[:, 0], table.labels, weights=weights)
        whole = table.take(complete)
        fusion = fit_fusion(whole.members, whole.labels, weights=source_weights(whole.sources), alone=alone)
    shares = weights @ np.eye(len(LABELS))[table.labels] / weights.sum()
    fitted = Calibration(
        temperature=temperature,
        threshold=0.0,
        zone=UncertainZone(low=0.0, high=1.0),
        prevalence=tuple(shares.tolist()),
        fusion=fusion,
    )
    probabilities = fitted.probabilities(table.logits)
    return replace(
        fitted,
        threshold=fit_threshold(probabilities, table.labels, table.sources),
        zone=fit_zone(probabilities[:, MALIGNANT], table.labels == MALIGNANT, table.sources),
    )


def judge_nested(table: LogitTable) -> tuple[Judged, dict[int, Calibration]]:
    """Apply to each fold the calibration fitted on the other folds."""
    probabilities = np.zeros((len(table.keys), len(LABELS)))
    thresholds = np.zeros(len(table.keys))
    zones = np.zeros((len(table.keys), 2))
    fitted = {}
    for fold in sorted(set(table.folds.tolist())):
        here = table.folds == fold
        fitted[fold] = calibrate(table.take(~here))
        probabilities[here] = fitted[fold].probabilities(table.logits[here])
        thresholds[here] = fitted[fold].threshold
        zones[here] = fitted[fold].zone.low, fitted[fold].zone.high
    judged = Judged(
        labels=table.labels, probabilities=probabilities, thresholds=thresholds, groups=table.groups, zones=zones
    )
    return judged, fitted


def evaluate_run(
    run: Path, records: Sequence[ImageRecord], *, plots: Path, resamples: int = RESAMPLES
) -> tuple[dict[str, Any], Calibration]:
    """All figures of a run but those of explanations and refusals.

    Args:
        run: the folder that ``ml.train`` wrote.
        records: the images it was trained on, for subgroups.
        plots: receives ``roc.png`` and ``reliability.png``.
        resamples: of the bootstrap.

    Returns:
        a JSON-ready report, and the calibration of the shipped model, fitted on all out-of-fold logits.
    """
    table = LogitTable.read(run / "out-of-fold.csv")
    report, judged = cross_validation(table, resamples=resamples)
    record_of = {record.key: record for record in records}
    report["subgroups"] = subgroups(judged, [record_of[key] for key in table.keys], resamples=resamples)
    by_source = {source: judged.take(table.of_source(source)) for source in sorted(set(table.sources))}
    draw_roc(plots / "roc.png", {name: (each.malignant, each.scores) for name, each in by_source.items()})
    draw_reliability(
        plots / "reliability.png",
        {name: stated_reliability(each) for name, each in by_source.items()},
        risk={name: stated_risk(each) for name, each in by_source.items()},
    )
    normal = {
        key for key, label in zip(table.keys, judged.probabilities.argmax(axis=1), strict=True) if label == NORMAL
    }
    outlines = segmentation_of_run(run, records, judged_normal=normal, resamples=resamples)
    if outlines is not None:
        report["segmentation"] = outlines
    cross = run / "cross-set.csv"
    if cross.is_file():
        report["cross_set"] = cross_set(LogitTable.read(cross), resamples=resamples)
    return report, calibrate(table)


def cross_validation(
    table: LogitTable, *, resamples: int = RESAMPLES, looks: bool = True
) -> tuple[dict[str, Any], Judged]:
    """Protocol, figures of each collection and calibration, from out-of-fold logits alone.

    Args:
        table: of images that their network never saw.
        resamples: of the bootstrap.
        looks: whether to measure each look by itself too.
    """
    judged, nested = judge_nested(table)
    shipped = calibrate(table)
    raw = replace(judged, probabilities=softmax(table.plain))
    sets: dict[str, Any] = {}
    zones: dict[str, Any] = {}
    steps: dict[str, Any] = {}
    for source in sorted(set(table.sources)):
        chosen = table.of_source(source)
        inside = judged.take(chosen)
        sets[source] = all_figures(inside, resamples=resamples)
        sets[source]["ece_before_calibration"] = calibration_error(raw.take(chosen), resamples=resamples)
        if source in GOAL_SPECIFICITY:
            sets[source]["sensitivity_on_roc"] = {
                "at_specificity": GOAL_SPECIFICITY[source],
                **sensitivity_at(inside, GOAL_SPECIFICITY[source], resamples=resamples),
            }
        zones[source] = zone_figures(inside, resamples=resamples)
        steps[source] = bands(inside)
    report = {
        "protocol": (
            "five-fold cross-validation on the given leak-safe folds; each figure is on images that neither the "
            "network nor the calibration, threshold or uncertain zone applied to them was fitted on; 95 % intervals "
            f"by bootstrap over groups (patients, lesions), {resamples} resamples"
        ),
        "cross_validation": sets,
        "calibration": {
            "shipped": shipped.as_dict(),
            "shipped_temperature": round(shipped.temperature, 4),
            "shipped_threshold": round(shipped.threshold, 4),
            "threshold_rule": (
                f"highest threshold whose sensitivity reaches {SENSITIVITY_AIM:.2f} in every collection, "
                "on out-of-fold predictions"
            ),
            "nested": {str(fold): each.as_dict() for fold, each in nested.items()},
            "suspicion_cuts": list(SUSPICION_CUTS),
            "suspicion": bands(judged),
            "suspicion_by_set": steps,
        },
        "uncertain": {"rule": ZONE_RULE, **shipped.zone.as_dict(), "sets": zones},
    }
    if looks and len(table.looks) > 1:
        report["looks"] = looks_alone(table, resamples=resamples)
    return report, judged


def looks_alone(table: LogitTable, *, resamples: int) -> dict[str, Any]:
    """What each look says by itself, with a temperature of its own, cross-fitted: the ablation of the fusion."""
    wanted = ("accuracy", "auc_malignant", "sensitivity", "specificity", "sensitivity_by_label", "ece")
    report: dict[str, Any] = {}
    for look in table.looks:
        alone = table.only(look)
        judged, _ = judge_nested(alone)
        for source in sorted(set(alone.sources)):
            inside = judged.take(alone.of_source(source))
            figures = all_figures(inside, resamples=resamples)
            kept = {name: figures[name] for name in wanted}
            if source in GOAL_SPECIFICITY:
                kept["sensitivity_on_roc"] = {
                    "at_specificity": GOAL_SPECIFICITY[source],
                    **sensitivity_at(inside, GOAL_SPECIFICITY[source], resamples=resamples),
                }
            report.setdefault(source, {})[look] = kept
    return report


def cross_set(table: LogitTable, *, resamples: int) -> dict[str, Any]:
    """Trained on one collection, measured on another; uncalibrated, so only figures that need no threshold."""
    report = {}
    wanted = ("accuracy", "auc_malignant", "sensitivity_by_label", "specificity_by_label", "brier", "ece")
    for model in sorted(set(table.models)):
        chosen = np.array([name == model for name in table.models])
        judged = Judged(
            labels=table.labels[chosen],
            probabilities=softmax(table.plain[chosen]),
            thresholds=np.full(int(chosen.sum()), 0.5),
            groups=tuple(np.asarray(table.groups)[chosen]),
        )
        figures = all_figures(judged, resamples=resamples)
        measured_on = "+".join(sorted({table.sources[row] for row in np.flatnonzero(chosen)}))
        report[model] = {"measured_on": measured_on, **{name: figures[name] for name in wanted}}
    return report
