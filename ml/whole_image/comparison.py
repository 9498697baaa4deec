"""The publications' recipes side by side: what a leaky split reads, and what the given folds read.

Each row is one figure with its n and its 95 % interval by bootstrap over groups, in the order of the runs. NumPy only.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.data.records import DataError
from ml.markdown import figure_text, markdown_table
from ml.metrics import RESAMPLES, area_under_curve, bootstrap, sensitivity_specificity, softmax
from ml.storage import read_json
from ml.whole_image.recipe import WholeImageRecipe, positive_class

TABLES = {"leaky": "leaky.csv", "leak-safe": "out-of-fold.csv"}
"""Predictions of a run by how the images were split."""


def comparison_rows(runs: Sequence[Path], *, resamples: int = RESAMPLES) -> list[dict[str, Any]]:
    """Accuracy, AUC, sensitivity and specificity of each run under each split that it holds.

    Args:
        runs: folders that :func:`ml.whole_image.run.train_run` wrote.
        resamples: of the bootstrap.

    Returns:
        rows of ``system, split, set, figure, n, value, low, high, command``. Under the leaky split n counts augmented
        copies, as the publications do; the bootstrap still draws whole groups.

    Raises:
        DataError: a folder holds no predictions.
    """
    rows: list[dict[str, Any]] = []
    for run in runs:
        described = read_json(run / "run.json")
        recipe = WholeImageRecipe.from_mapping(described["recipe"])
        found = {split: run / name for split, name in TABLES.items() if (run / name).is_file()}
        if not found:
            raise DataError(f"{run} holds no predictions. Train with --folds or --leaky first.")
        for split, path in found.items():
            figures, sources = _figures(path, recipe, resamples=resamples)
            for name, figure in figures.items():
                rows.append(
                    {
                        "system": _system(recipe, described["weights_sha256"]),
                        "split": split,
                        "set": sources,
                        "figure": name,
                        **{key: figure[key] for key in ("n", "value", "low", "high")},
                        "command": described["command"],
                    }
                )
    return rows


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown, one line a system and split."""
    figures = list(dict.fromkeys(row["figure"] for row in rows))
    lines = []
    for system, split in dict.fromkeys((row["system"], row["split"]) for row in rows):
        own = {row["figure"]: row for row in rows if (row["system"], row["split"]) == (system, split)}
        first = next(iter(own.values()))
        cells = [figure_text(own.get(name)) for name in figures]
        lines.append([system, split, first["set"], first["n"], *cells])
    return markdown_table(["system", "split", "set", "n", *figures], lines)


def _system(recipe: WholeImageRecipe, weights: str) -> str:
    start = "random weights" if weights == "none" else "ImageNet weights"
    frozen = {"all": "frozen base", "none": "trained as a whole"}.get(recipe.freeze, f"frozen up to {recipe.freeze}")
    return f"{recipe.network}, {recipe.side} px, {start}, {frozen}"


def _figures(
    path: Path, recipe: WholeImageRecipe, *, resamples: int
) -> tuple[dict[str, dict[str, float | int | None]], str]:
    with path.open(newline="", encoding="utf-8") as handle:
        table = list(csv.DictReader(handle))
    classes = recipe.classes
    positive = positive_class(classes)
    probabilities = softmax(np.array([[float(row[f"logit_{name}"]) for name in classes] for row in table]))
    labels = np.array([classes.index(row["label"] if row["label"] in classes else "abnormal") for row in table])
    guess = probabilities.argmax(axis=1)

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        is_positive = labels[chosen] == positive
        sensitivity, specificity = sensitivity_specificity(is_positive, guess[chosen] == positive)
        return {
            "accuracy": float((labels[chosen] == guess[chosen]).mean()),
            f"auc_{classes[positive]}": area_under_curve(is_positive, probabilities[chosen, positive]),
            "sensitivity": sensitivity,
            "specificity": specificity,
        }

    figures = bootstrap(measure, [row["group"] for row in table], resamples=resamples)
    sources = "+".join(sorted({row["source"] for row in table}))
    return {name: figure.as_dict() for name, figure in figures.items()}, sources
