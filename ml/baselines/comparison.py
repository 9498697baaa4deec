"""One way to measure every comparison system: the same folds, the same figures, the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.data.records import FOLDS, DataError, ImageRecord
from ml.metrics import (
    RESAMPLES,
    area_under_curve,
    bootstrap,
    confusion_matrix,
    precision_recall_f1,
    sensitivity_specificity,
)
from ml.results import SPLITS, ResultRow

LEAK_SAFE, LEAKY = SPLITS

MALIGNANT = LABELS.index("malignant")

Scores = NDArray[np.float64]
"""(N, labels): higher is likelier; a label that the classifier never saw has the lowest score of its row."""

FitPredict = Callable[[NDArray[np.intp], NDArray[np.intp]], Scores]
"""From indices to fit on and indices to judge to the scores of the latter. Nothing else may be looked at."""


def given_folds(records: Sequence[ImageRecord]) -> NDArray[np.intp]:
    """The leak-safe fold of each record, (N,)."""
    return np.array([record.fold for record in records], dtype=np.intp)


def random_folds(records: Sequence[ImageRecord], *, seed: int) -> NDArray[np.intp]:
    """Folds dealt to single images, label by label: duplicates and images of one patient fall on both sides.

    This split leaks on purpose. It shows what the published protocol reads; nothing else may use it.
    """
    random = np.random.default_rng([seed, 1])
    folds = np.zeros(len(records), np.intp)
    for label in LABELS:
        members = np.flatnonzero([record.label == label for record in records])
        folds[random.permutation(members)] = np.arange(len(members)) % FOLDS
    return folds


def splits_of(records: Sequence[ImageRecord], *, seed: int) -> dict[str, NDArray[np.intp]]:
    """Both splits by name."""
    return {LEAK_SAFE: given_folds(records), LEAKY: random_folds(records, seed=seed)}


def out_of_fold(folds: NDArray[np.intp], fit_predict: FitPredict) -> Scores:
    """Scores of every image by a classifier that was fitted without its fold.

    Raises:
        DataError: a fold holds all images, so nothing is left to fit on.
    """
    scores = np.full((len(folds), len(LABELS)), np.nan)
    for fold in np.unique(folds):
        held_out = np.flatnonzero(folds == fold)
        train = np.flatnonzero(folds != fold)
        if not len(train):
            raise DataError("All images lie in one fold: nothing is left to fit on. Correct the fold column.")
        scores[held_out] = fit_predict(train, held_out)
    return scores


def measure(
    *,
    system: str,
    split: str,
    records: Sequence[ImageRecord],
    scores: Scores,
    command: str,
    set_name: str = "",
    resamples: int = RESAMPLES,
) -> list[ResultRow]:
    """The rows of one system on one collection.

    Args:
        system, split, command: as in :class:`ml.results.ResultRow`.
        records: the images, all of one collection.
        scores: (N, labels), out of fold.
        set_name: name of the set, the records' source by default.
        resamples: of the bootstrap over leak groups.
    """
    labels = np.array([record.label_index for record in records], dtype=np.intp)
    predicted = scores.argmax(axis=1)
    malignant = labels == MALIGNANT
    present = [index for index in range(len(LABELS)) if (labels == index).any()]

    def figures(chosen: NDArray[np.intp]) -> dict[str, float]:
        truth, guess = labels[chosen], predicted[chosen]
        f1 = np.nan_to_num(precision_recall_f1(confusion_matrix(truth, guess, classes=len(LABELS)))[present, 2])
        sensitivity, specificity = sensitivity_specificity(malignant[chosen], guess == MALIGNANT)
        return {
            "accuracy": float((truth == guess).mean()),
            "macro_f1": float(f1.mean()),
            "auc_malignant": area_under_curve(malignant[chosen], scores[chosen, MALIGNANT]),
            "sensitivity_by_label": sensitivity,
            "specificity_by_label": specificity,
        }

    found = bootstrap(figures, [record.leak_group for record in records], resamples=resamples)
    return [
        ResultRow(
            system=system,
            split=split,
            set=set_name or records[0].source,
            figure=name,
            n=figure.n,
            value=figure.as_dict()["value"],
            low=figure.as_dict()["low"],
            high=figure.as_dict()["high"],
            command=command,
        )
        for name, figure in found.items()
    ]


def by_source(records: Sequence[ImageRecord]) -> dict[str, NDArray[np.intp]]:
    """Indices of each collection's records, in order of name."""
    sources = np.array([record.source for record in records])
    return {str(source): np.flatnonzero(sources == source) for source in np.unique(sources)}


def as_markdown(rows: Sequence[ResultRow]) -> str:
    """The rows as a Markdown table, one line for each system, split and set, a column for each figure."""
    names = list(dict.fromkeys(row.figure for row in rows))
    table: dict[tuple[str, str, str, int], dict[str, ResultRow]] = {}
    for row in rows:
        table.setdefault((row.system, row.split, row.set, row.n), {})[row.figure] = row
    lines = [
        "| " + " | ".join(["System", "Split", "Set", "n", *(name.replace("_", " ") for name in names)]) + " |",
        "|" + " --- |" * (4 + len(names)),
    ]
    for (system, split, name, n), figures in table.items():
        cells = [system, split, name, str(n), *(_cell(figures.get(each)) for each in names)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: ResultRow | None) -> str:
    if row is None or row.value is None:
        return "-"
    interval = "" if row.low is None or row.high is None else f" ({row.low:.3f}-{row.high:.3f})"
    return f"{row.value:.3f}{interval}"
