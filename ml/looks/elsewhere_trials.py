"""What an idea brings on images of a hospital that the network was not trained on, beside what is served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ml.calibrate import MALIGNANT
from ml.data.records import ImageRecord
from ml.logits import LogitTable
from ml.looks.tried import Tried, compare
from ml.metrics import RESAMPLES, Floats, area_under_curve, softmax

FILE = "cross-set.csv"
"""What ``python -m ml train --cross-set`` leaves: for each collection, a network trained on it alone, asked about the
others."""


def try_elsewhere(
    records: Sequence[ImageRecord],
    served: LogitTable,
    instead: Sequence[tuple[str, LogitTable]],
    *,
    resamples: int = RESAMPLES,
    say: Callable[[str], None] = print,
) -> list[Tried]:
    """Accuracy and AUC of malignancy from collection to collection; uncalibrated, the looks' logits averaged.

    Args:
        records: the images of all runs.
        served: cross-set logits of the run that is served.
        instead: name and cross-set logits of other runs.
        resamples: of the bootstrap over leak groups.
        say: told each finished idea.

    Raises:
        ValueError: a run lacks a network or an image that another one has.
    """
    record_of = {record.key: record for record in records}
    found: list[Tried] = []
    for model in sorted(set(served.models)):
        own = _of_model(served, model)
        asked = [record_of[key] for key in own.keys]
        labels = np.array([record.label_index for record in asked], dtype=np.intp)
        now = softmax(own.plain)
        ideas = {name: softmax(_of_model(table, model).ordered(own.keys).plain) for name, table in instead}
        for idea, stated in ({"as served: whole and close look fused": now} | ideas).items():
            rows = compare(
                idea,
                passes=len(own.looks),
                records=asked,
                rows=np.arange(len(asked)),
                measure=partial(_figures, labels, stated, now),
                resamples=resamples,
            )
            rows = [replace(row, set=f"{model.removeprefix('train-')} -> {row.set}") for row in rows]
            say(f"{idea}: {'; '.join(map(str, rows))}")
            found += rows
    return found


def _of_model(table: LogitTable, model: str) -> LogitTable:
    chosen = np.array([name == model for name in table.models])
    if not chosen.any():
        raise ValueError(f"A run has no network {model}. Train it with --cross-set.")
    return table.take(chosen)


def _figures(
    labels: NDArray[np.intp], stated: Floats, now: Floats, source: str, chosen: NDArray[np.intp]
) -> dict[str, tuple[float, float]]:
    truth = labels[chosen]
    accuracy = [float((each[chosen].argmax(axis=1) == truth).mean()) for each in (stated, now)]
    area = [area_under_curve(truth == MALIGNANT, each[chosen, MALIGNANT]) for each in (stated, now)]
    return {"accuracy": (accuracy[0], accuracy[1]), "auc_malignant": (area[0], area[1])}
