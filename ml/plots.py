"""Small figures for people: learning curves, ROC, reliability."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from ml.metrics import Reliability, area_under_curve, roc_curve

DPI = 80


@dataclass(frozen=True, slots=True)
class MapExample:
    """One map with the lesion that it should point at.

    Attributes:
        name: of the image.
        label: whose map it is.
        lift: share of the map's energy inside the lesion over the lesion's share of the image; 1 for an even map.
        values: float32 (H, W) in 0-1.
        inside: (H, W), the lesion.
    """

    name: str
    label: str
    lift: float
    values: NDArray[np.float32]
    inside: NDArray[np.bool_]


CURVES = {"train_loss": "training loss", "held_out_loss": "held-out loss", "held_out_auc": "held-out AUC"}


def draw_learning_curves(run: Path) -> Path | None:
    """Draw every ``history.csv`` of a run into ``learning-curves.png``; ``None`` when there is none."""
    return draw_curves(run, panels=CURVES)


def draw_curves(run: Path, *, panels: Mapping[str, str]) -> Path | None:
    """As :func:`draw_learning_curves`, with the columns and titles of one's own."""
    histories = {path.parent.name: _columns(path) for path in sorted(run.glob("*/history.csv"))}
    if not histories:
        return None
    canvas, axes = plt.subplots(1, len(panels), figsize=(12, 3.5), layout="constrained")
    for axis, (column, title) in zip(axes, panels.items(), strict=True):
        for number, (name, history) in enumerate(histories.items()):
            if column in history:
                # The colour belongs to the run, also in a panel where another run has no curve.
                axis.plot(history["epoch"], history[column], label=name, linewidth=1, color=f"C{number}")
        axis.set(title=title, xlabel="epoch")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    return _save(canvas, run / "learning-curves.png")


def draw_roc(path: Path, sets: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.floating]]]) -> Path:
    """Draw ROC curves of (is malignant, probability of malignancy) by name."""
    canvas, axis = plt.subplots(figsize=(5, 4.5), layout="constrained")
    for name, (positive, scores) in sets.items():
        if positive.any() and not positive.all():
            false, true = roc_curve(positive, scores)
            axis.plot(false, true, label=f"{name}, AUC {area_under_curve(positive, scores):.3f}, n = {len(positive)}")
    axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
    axis.set(xlabel="1 - specificity", ylabel="sensitivity", title="Malignant against the rest")
    axis.legend(loc="lower right", fontsize=8)
    axis.grid(alpha=0.3)
    return _save(canvas, path)


def draw_reliability(
    path: Path, sets: Mapping[str, Reliability], *, risk: Mapping[str, Reliability] | None = None
) -> Path:
    """Draw stated confidence against observed frequency by name.

    Args:
        path: the file.
        sets: reliability of the label's stated probability.
        risk: reliability of the stated probability of malignancy, for a second panel.
    """
    panels = {"stated probability of the label": sets, **({"stated probability of malignancy": risk} if risk else {})}
    canvas, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 4.5), layout="constrained", squeeze=False)
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for name, bins in curves.items():
            filled = bins.count > 0
            label = f"{name}, ECE {bins.expected_error:.3f}"
            axis.plot(bins.confidence[filled], bins.frequency[filled], marker="o", markersize=3, label=label)
        axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
        axis.set(xlabel=title, ylabel="observed frequency", title="Reliability, 15 bins")
        axis.legend(loc="upper left", fontsize=8)
        axis.grid(alpha=0.3)
    return _save(canvas, path)


def draw_examples(path: Path, examples: Sequence[MapExample]) -> Path:
    """Draw maps with the lesion's outline, best first, without the image under them.

    The images belong to their publishers and do not leave the collection; the map is the model's own, and an outline
    is enough to see whether it points at the lesion.
    """
    columns = -(-len(examples) // 2)
    canvas, axes = plt.subplots(2, columns, figsize=(2.6 * columns, 5), layout="constrained", squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    for axis, example in zip(axes.ravel(), examples, strict=False):
        axis.imshow(example.values, cmap="inferno", vmin=0, vmax=1)
        axis.contour(example.inside, levels=[0.5], colors="white", linewidths=1.2)
        axis.set_title(f"{example.name}\nlift {example.lift:.1f}", fontsize=7)
    canvas.suptitle("Grad-CAM of the true label, lesion outlined: the best above, the worst below", fontsize=9)
    return _save(canvas, path)


def _columns(path: Path) -> dict[str, list[float]]:
    with path.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def _save(canvas: Canvas, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the software version in it, the file is the same for the same figures.
    canvas.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(canvas)
    return path
