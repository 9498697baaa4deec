"""The publications' recipes side by side: what a leaky split reads, and what the given folds read.

Each row is one figure with its n and its 95 % interval by bootstrap over groups, in the order of the runs. NumPy only.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Predictions:
    """Predictions of one run under one split, in the order of its table.

    Attributes:
        classes: names of the columns.
        keys, groups, sources: of each image (N,).
        labels: (N,) indices into the classes.
        probabilities: (N, classes).
    """

    classes: tuple[str, ...]
    keys: tuple[str, ...]
    groups: tuple[str, ...]
    sources: tuple[str, ...]
    labels: NDArray[np.intp]
    probabilities: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path, recipe: WholeImageRecipe) -> _Predictions:
        with path.open(newline="", encoding="utf-8") as handle:
            table = list(csv.DictReader(handle))
        classes = recipe.classes
        names = [row["label"] if row["label"] in classes else "abnormal" for row in table]
        return cls(
            classes=classes,
            keys=tuple(row["key"] for row in table),
            groups=tuple(row["group"] for row in table),
            sources=tuple(row["source"] for row in table),
            labels=np.array([classes.index(name) for name in names], dtype=np.intp),
            probabilities=softmax(np.array([[float(row[f"logit_{name}"]) for name in classes] for row in table])),
        )

    def measure(self, chosen: NDArray[np.intp]) -> dict[str, float]:
        """Figures on the chosen images; sensitivity and specificity are those of the most probable class."""
        positive = positive_class(self.classes)
        labels, probabilities = self.labels[chosen], self.probabilities[chosen]
        guess, is_positive = probabilities.argmax(axis=1), labels == positive
        sensitivity, specificity = sensitivity_specificity(is_positive, guess == positive)
        return {
            "accuracy": float((labels == guess).mean()),
            f"auc_{self.classes[positive]}": area_under_curve(is_positive, probabilities[:, positive]),
            "sensitivity": sensitivity,
            "specificity": specificity,
        }


def paired_rows(runs: Sequence[Path], *, command: str, resamples: int = RESAMPLES) -> list[dict[str, Any]]:
    """How much the leak-safe figures of each later run exceed those of the first, on the same images.

    Paired: every sample of the bootstrap holds the same images for both runs.

    Args:
        runs: folders with ``out-of-fold.csv``; at least two.
        command: that was given, for the rows.
        resamples: of the bootstrap.

    Raises:
        DataError: a run is unfinished or has other images or classes.
    """
    read = []
    for run in runs:
        path = run / TABLES["leak-safe"]
        if not path.is_file():
            raise DataError(f"{path} does not exist. Train with --folds first.")
        read.append(_Predictions.read(path, WholeImageRecipe.from_mapping(read_json(run / "run.json")["recipe"])))
    first, *others = read
    rows = []
    for run, other in zip(runs[1:], others, strict=True):
        if (other.keys, other.classes) != (first.keys, first.classes):
            raise DataError(f"{run} and {runs[0]} are not runs of the same images and classes.")
        figures = bootstrap(functools.partial(_difference, first, other), first.groups, resamples=resamples)
        for name, figure in figures.items():
            found = figure.as_dict()
            rows.append(
                {
                    "system": f"{run.name} less {runs[0].name}",
                    "split": "leak-safe",
                    "set": "+".join(sorted(set(first.sources))),
                    "figure": f"{name}, paired difference",
                    **{key: found[key] for key in ("n", "value", "low", "high")},
                    "command": command,
                }
            )
    return rows


def _difference(first: _Predictions, other: _Predictions, chosen: NDArray[np.intp]) -> dict[str, float]:
    before, after = first.measure(chosen), other.measure(chosen)
    return {name: after[name] - value for name, value in before.items()}


def _figures(
    path: Path, recipe: WholeImageRecipe, *, resamples: int
) -> tuple[dict[str, dict[str, float | int | None]], str]:
    predictions = _Predictions.read(path, recipe)
    figures = bootstrap(predictions.measure, predictions.groups, resamples=resamples)
    sources = "+".join(sorted(set(predictions.sources)))
    return {name: figure.as_dict() for name, figure in figures.items()}, sources
