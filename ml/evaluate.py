"""The protocol's figures of one training run, from its out-of-fold and cross-set logits.

Leak-safe throughout: temperature and threshold that are applied to a fold are fitted on the other four folds.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.calibrate import SENSITIVITY_AIM, SUSPICION_CUTS, fit_temperature, fit_threshold
from ml.contract import LABELS
from ml.data.records import ImageRecord
from ml.figures import Judged, all_figures, calibration_error, discrimination, sensitivity_at, stated_reliability
from ml.metrics import RESAMPLES, softmax
from ml.plots import draw_reliability, draw_roc

GOAL_SPECIFICITY = {"busi": 0.85, "busbra": 0.80}
"""Specificity at which the goal for each collection asks for its sensitivity."""


@dataclass(frozen=True, slots=True)
class LogitTable:
    """Raw logits of images that their model never saw.

    Attributes:
        keys, sources, groups, models: names (N,).
        labels: (N,) indices.
        folds: (N,).
        logits: (N, 3).
    """

    keys: tuple[str, ...]
    sources: tuple[str, ...]
    groups: tuple[str, ...]
    models: tuple[str, ...]
    labels: NDArray[np.intp]
    folds: NDArray[np.intp]
    logits: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path) -> LogitTable:
        """Read what ``ml.train`` wrote."""
        with path.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        return cls(
            keys=tuple(row["key"] for row in rows),
            sources=tuple(row["source"] for row in rows),
            groups=tuple(row["group"] for row in rows),
            models=tuple(row["model"] for row in rows),
            labels=np.array([LABELS.index(row["label"]) for row in rows], dtype=np.intp),
            folds=np.array([int(row["fold"]) for row in rows], dtype=np.intp),
            logits=np.array([[float(row[f"logit_{label}"]) for label in LABELS] for row in rows]),
        )

    def of_source(self, source: str) -> NDArray[np.bool_]:
        return np.array([name == source for name in self.sources])


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns logits into decisions.

    Attributes:
        temperature: divides the logits.
        threshold: on the calibrated probability of malignancy.
    """

    temperature: float
    threshold: float


def source_weights(sources: Sequence[str]) -> NDArray[np.float64]:
    """Weight of each image such that every collection weighs the same in the temperature, whatever its size."""
    names, place, counts = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    return (len(sources) / (len(names) * counts))[place]


def calibrate(table: LogitTable, chosen: NDArray[np.bool_] | None = None) -> Calibration:
    """Fit temperature, then threshold, on the chosen rows (all when ``None``)."""
    rows = np.flatnonzero(np.ones(len(table.keys), bool) if chosen is None else chosen)
    sources = [table.sources[row] for row in rows]
    temperature = fit_temperature(table.logits[rows], table.labels[rows], weights=source_weights(sources))
    probabilities = softmax(table.logits[rows], temperature=temperature)
    return Calibration(temperature=temperature, threshold=fit_threshold(probabilities, table.labels[rows], sources))


def judge_nested(table: LogitTable) -> tuple[Judged, dict[int, Calibration]]:
    """Apply to each fold the calibration fitted on the other folds."""
    probabilities = np.zeros_like(table.logits)
    thresholds = np.zeros(len(table.keys))
    fitted = {}
    for fold in sorted(set(table.folds.tolist())):
        here = table.folds == fold
        fitted[fold] = calibrate(table, ~here)
        probabilities[here] = softmax(table.logits[here], temperature=fitted[fold].temperature)
        thresholds[here] = fitted[fold].threshold
    judged = Judged(labels=table.labels, probabilities=probabilities, thresholds=thresholds, groups=table.groups)
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
    judged, nested = judge_nested(table)
    shipped = calibrate(table)
    raw = Judged(
        labels=table.labels, probabilities=softmax(table.logits), thresholds=judged.thresholds, groups=table.groups
    )
    sets: dict[str, Any] = {}
    for source in sorted(set(table.sources)):
        chosen = table.of_source(source)
        sets[source] = all_figures(judged.take(chosen), resamples=resamples)
        sets[source]["ece_before_calibration"] = calibration_error(raw.take(chosen), resamples=resamples)
        if source in GOAL_SPECIFICITY:
            sets[source]["sensitivity_on_roc"] = {
                "at_specificity": GOAL_SPECIFICITY[source],
                **sensitivity_at(judged.take(chosen), GOAL_SPECIFICITY[source], resamples=resamples),
            }
    by_source = {source: judged.take(table.of_source(source)) for source in sorted(set(table.sources))}
    draw_roc(plots / "roc.png", {name: (each.malignant, each.scores) for name, each in by_source.items()})
    draw_reliability(plots / "reliability.png", {name: stated_reliability(each) for name, each in by_source.items()})
    report = {
        "protocol": (
            "five-fold cross-validation on the given leak-safe folds; each figure is on images that neither the "
            "network nor the temperature nor the threshold applied to them was fitted on; 95 % intervals by "
            f"bootstrap over groups (patients, lesions), {resamples} resamples"
        ),
        "cross_validation": sets,
        "calibration": {
            "shipped_temperature": round(shipped.temperature, 4),
            "shipped_threshold": round(shipped.threshold, 4),
            "threshold_rule": (
                f"highest threshold whose sensitivity reaches {SENSITIVITY_AIM:.2f} in every collection, "
                "on out-of-fold predictions"
            ),
            "nested": {
                str(fold): {"temperature": round(each.temperature, 4), "threshold": round(each.threshold, 4)}
                for fold, each in nested.items()
            },
            "suspicion_cuts": list(SUSPICION_CUTS),
            "suspicion": _by_suspicion(judged),
        },
        "subgroups": subgroups(table, judged, records, resamples=resamples),
    }
    cross = run / "cross-set.csv"
    if cross.is_file():
        report["cross_set"] = cross_set(LogitTable.read(cross), resamples=resamples)
    return report, shipped


def cross_set(table: LogitTable, *, resamples: int) -> dict[str, Any]:
    """Trained on one collection, measured on another; uncalibrated, so only figures that need no threshold."""
    report = {}
    wanted = ("accuracy", "auc_malignant", "sensitivity_by_label", "specificity_by_label", "brier", "ece")
    for model in sorted(set(table.models)):
        chosen = np.array([name == model for name in table.models])
        judged = Judged(
            labels=table.labels[chosen],
            probabilities=softmax(table.logits[chosen]),
            thresholds=np.full(int(chosen.sum()), 0.5),
            groups=tuple(np.asarray(table.groups)[chosen]),
        )
        figures = all_figures(judged, resamples=resamples)
        measured_on = "+".join(sorted({table.sources[row] for row in np.flatnonzero(chosen)}))
        report[model] = {"measured_on": measured_on, **{name: figures[name] for name in wanted}}
    return report


def subgroups(
    table: LogitTable, judged: Judged, records: Sequence[ImageRecord], *, resamples: int
) -> dict[str, dict[str, Any]]:
    """Discrimination by scanner, BI-RADS category, armpit or breast, and lesion size, within each collection."""
    record_of = {record.key: record for record in records}
    names = [_traits(record_of[key]) for key in table.keys]
    report: dict[str, dict[str, Any]] = {}
    for source in sorted(set(table.sources)):
        inside = table.of_source(source)
        for trait in sorted({trait for name in names for trait in name}):
            for value in sorted({name[trait] for name in names if trait in name}):
                chosen = inside & np.array([name.get(trait) == value for name in names])
                if chosen.any():
                    report.setdefault(source, {})[f"{trait}: {value}"] = discrimination(
                        judged.take(chosen), resamples=resamples
                    )
    return report


def lesion_share(mask: Path) -> float:
    """Share of the image's area that its lesion mask covers, 0-1."""
    pixels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise ValueError(f"{mask} is not a readable mask.")
    return float((pixels > 127).mean())


def _traits(record: ImageRecord) -> Mapping[str, str]:
    traits = {name: record.attributes[name] for name in ("device", "birads") if name in record.attributes}
    if record.attributes.get("axilla") == "1":
        traits["site"] = "armpit"
    if record.mask is not None and record.label != "normal":
        share = lesion_share(record.mask)
        traits["lesion area"] = "below 5 %" if share < 0.05 else "5-15 %" if share < 0.15 else "15 % and more"
    return traits


def _by_suspicion(judged: Judged) -> list[dict[str, Any]]:
    """How many images fall on each step of suspicion and how many of them are malignant."""
    steps = 1 + np.searchsorted(np.array(SUSPICION_CUTS), judged.scores, side="right")
    return [
        {"suspicion": step, "n": int((steps == step).sum()), "malignant": int(judged.malignant[steps == step].sum())}
        for step in range(1, len(SUSPICION_CUTS) + 2)
    ]
