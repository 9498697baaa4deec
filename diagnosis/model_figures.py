"""The figures of a model that its page shows first, read from ``evaluation.json``. Nothing is computed here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diagnosis import inference
from diagnosis.models import ModelVersion
from diagnosis.wording import source_words
from ml.contract import ModelError

SHOWN = (
    ("auc_malignant", "AUC, malignant against the rest"),
    ("auc", "AUC"),
    ("accuracy", "Accuracy, three labels"),
    ("sensitivity", "Sensitivity at the threshold"),
    ("specificity", "Specificity at the threshold"),
    ("ece", "Expected calibration error"),
)
"""Name in the file, and in words; a model that lacks one shows the others."""
SHOWN_ON_DASHBOARD = (
    ("accuracy", "Accuracy, three labels"),
    ("sensitivity_by_label", "Sensitivity of the label malignant"),
    ("specificity_by_label", "Specificity of the label malignant"),
)
"""The figures that outcomes entered here can be held against: they are about the label, as the site shows it."""
PARTS = ("value", "low", "high", "n")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one collection, with its 95 % interval and the number of images."""

    words: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one collection."""

    collection: str
    figures: tuple[Figure, ...]


def evaluation_of(model: ModelVersion) -> dict[str, Any]:
    """Everything that was measured; nothing where the file is missing or damaged: the place of the card says why."""
    try:
        evaluation = json.loads(inference.evaluation_path(model.name, model.version).read_text(encoding="utf-8"))
    except (ModelError, OSError, ValueError):
        return {}
    return evaluation if isinstance(evaluation, dict) else {}


def measured(evaluation: Mapping[str, Any], *, shown: tuple[tuple[str, str], ...] = SHOWN) -> list[Measured]:
    """The cross-validated figures of each collection; empty for a file that has none in this form.

    Args:
        shown: name in the file and words of the figures that are wanted.
    """
    # A detector on mammograms measures whole films beside its marks and calls them so.
    sets = evaluation.get("cross_validation") or evaluation.get("films")
    found = []
    for name, study in sets.items() if isinstance(sets, Mapping) else ():
        figures = tuple(
            Figure(words, float(one["value"]), float(one["low"]), float(one["high"]), int(one["n"]))
            for key, words in shown
            if (one := _figure(study, key)) is not None
        )
        if figures:
            found.append(Measured(source_words(str(name)), figures))
    return found


def _figure(study: Any, key: str) -> Mapping[str, Any] | None:
    one = study.get(key) if isinstance(study, Mapping) else None
    whole = isinstance(one, Mapping) and all(isinstance(one.get(part), int | float) for part in PARTS)
    return one if whole else None
