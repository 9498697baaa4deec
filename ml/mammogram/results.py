"""The detector's rows of the one table (``docs/results``), read from its ``evaluation.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.results import SPLITS, ResultRow

_FILM_FIGURES = (
    "accuracy",
    "auc_malignant",
    "auc_abnormal",
    "auc_malignant_among_abnormal",
    "sensitivity",
    "specificity",
    "sensitivity_by_label",
    "macro_f1",
    "brier",
    "ece",
)


def result_rows(evaluation: Mapping[str, Any]) -> list[ResultRow]:
    """Rows of films, exams, patches and marks, each for its own collection; undefined figures are left out."""
    model = evaluation["model"]
    system = f"{model['name']} {model['version']}"
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    for source, figures in evaluation["films"].items():
        found += [(source, name, figures[name]) for name in _FILM_FIGURES]
    for source, figures in evaluation["exams"].items():
        found += [(source, f"{name}, exams", figures[name]) for name in ("auc_malignant", "auc_abnormal")]
    for source, figures in evaluation["patches"].items():
        found.append((source, "AUC lesion against tissue, patches", figures["auc_lesion"]))
    for source, figures in evaluation["free_response"].items():
        for rate, figure in figures["sensitivity_at_false_marks_a_film"].items():
            found.append((source, f"lesions marked at {rate} false marks a film", figure))
    for source, figures in evaluation["explanations"].items():
        found.append((source, "map's peak on a lesion", figures["peak_on_lesion"]))
        found.append((source, "breast's centre on a lesion", figures["centre_on_lesion"]))
    return [
        ResultRow(
            system=system,
            split=SPLITS[0],
            set=source,
            figure=name,
            n=int(figure["n"]),
            value=figure["value"],
            low=figure["low"],
            high=figure["high"],
            command=str(evaluation["command"]),
        )
        for source, name, figure in found
        if figure["value"] is not None
    ]
