"""Free-response and learning curves, for people."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from ml.mammogram.froc import RATES
from ml.plots import DPI


def draw_free_response(path: Path, sets: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Path:
    """Draw the share of lesions marked against false marks a film, by collection."""
    canvas, axis = plt.subplots(figsize=(5, 4.5), layout="constrained")
    for name, (false, share) in sets.items():
        axis.plot(false, share, label=name, drawstyle="steps-post")
    axis.set(
        xlabel="false marks a film",
        ylabel="share of lesions marked",
        title="Free response, out of fold",
        xlim=(0, max(RATES)),
        ylim=(0, 1),
    )
    axis.legend(loc="lower right", fontsize=8)
    axis.grid(alpha=0.3)
    return _save(canvas, path)


def draw_detector_curves(run: Path) -> Path | None:
    """Draw training loss and held-out cell AUC of every part of a run into ``learning-curves.png``."""
    histories = {path.parent.name: _read_history(path) for path in sorted(run.glob("*/history.csv"))}
    if not histories:
        return None
    columns = list(dict.fromkeys(name for history in histories.values() for name in history if name != "epoch"))
    canvas, axes = plt.subplots(1, len(columns), figsize=(4 * len(columns), 3.5), layout="constrained", squeeze=False)
    for axis, column in zip(axes[0], columns, strict=True):
        for number, (name, history) in enumerate(histories.items()):
            if column in history:
                measured = ~np.isnan(history[column])
                axis.plot(
                    history["epoch"][measured],
                    history[column][measured],
                    label=name,
                    linewidth=1,
                    marker=".",
                    color=f"C{number}",
                )
        axis.set(title=column.replace("_", " "), xlabel="epoch")
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=7)
    return _save(canvas, run / "learning-curves.png")


def _read_history(path: Path) -> dict[str, NDArray[np.float64]]:
    with path.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def _save(canvas: Canvas, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the software version in it, the file is the same for the same figures.
    canvas.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(canvas)
    return path
