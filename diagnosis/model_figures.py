"""The figures of a model that its page shows first, read from ``evaluation.json``. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diagnosis.wording import source_words

SHOWN = (
    ("auc_malignant", "AUC, malignant against the rest"),
    ("auc", "AUC"),
    ("accuracy", "Accuracy, three labels"),
    ("sensitivity", "Sensitivity at the threshold"),
    ("specificity", "Specificity at the threshold"),
    ("ece", "Expected calibration error"),
)
"""Name in the file, and in words; a model that lacks one shows the others."""
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


def measured(evaluation: Mapping[str, Any]) -> list[Measured]:
    """The cross-validated figures of each collection; empty for a file that has none in this form."""
    # A detector on mammograms measures whole films beside its marks and calls them so.
    sets = evaluation.get("cross_validation") or evaluation.get("films")
    found = []
    for name, study in sets.items() if isinstance(sets, Mapping) else ():
        figures = tuple(
            Figure(words, float(one["value"]), float(one["low"]), float(one["high"]), int(one["n"]))
            for key, words in SHOWN
            if (one := _figure(study, key)) is not None
        )
        if figures:
            found.append(Measured(source_words(str(name)), figures))
    return found


def _figure(study: Any, key: str) -> Mapping[str, Any] | None:
    one = study.get(key) if isinstance(study, Mapping) else None
    whole = isinstance(one, Mapping) and all(isinstance(one.get(part), int | float) for part in PARTS)
    return one if whole else None
