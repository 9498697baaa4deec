"""``python -m ml evaluate``: the installed model's figures on labelled images."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.contract import LABELS, ImageError
from ml.figures import Judged, all_figures, stated_reliability
from ml.images import read_image
from ml.pipeline import analyse
from ml.plots import draw_reliability, draw_roc
from ml.registry import active_model, find_model
from ml.runtime import LoadedModel, load_installed
from ml.storage import write_json


def run(arguments: Sequence[str]) -> int:
    """Measure; exit 0, or 1 with a sentence on stderr when the table or an image cannot be read."""
    options = _parser().parse_args(arguments)
    installed = find_model(options.model, options.version) if options.model else active_model(options.modality)
    try:
        rows = _read_labels(options.labels)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    model = load_installed(installed)
    metrics = measure(rows, root=options.root, model=model, resamples=options.resamples, out=options.out)
    write_json(options.out / "metrics.json", metrics)
    print(_summary(metrics))
    print(f"Written: {options.out / 'metrics.json'}")
    return 0


def measure(
    rows: Sequence[dict[str, str]], *, root: Path, model: LoadedModel, resamples: int, out: Path
) -> dict[str, Any]:
    """Analyse each image and compare with its label.

    Args:
        rows: ``image``, ``label`` and optionally ``group`` (patient or lesion, for the bootstrap).
        root: folder that the image paths are relative to.
        model: the model under test.
        resamples: of the bootstrap.
        out: receives ``roc.png`` and ``reliability.png``.

    Returns:
        figures over the images that were judged, with the refused ones counted and listed beside them.
    """
    labels, probabilities, groups = [], [], []
    refused: list[dict[str, str]] = []
    for row in rows:
        try:
            outcome = analyse(read_image(root / row["image"]), model)
        except ImageError as error:
            refused.append({"image": row["image"], "label": row["label"], "reason": str(error)})
            continue
        if outcome.prediction is None:
            refused.append({"image": row["image"], "label": row["label"], "reason": " ".join(outcome.reasons)})
            continue
        labels.append(LABELS.index(row["label"]))
        probabilities.append([outcome.prediction.probabilities[label] for label in LABELS])
        groups.append(row.get("group") or row["image"])
    report: dict[str, Any] = {
        "model": {"name": model.identity.name, "version": model.identity.version, "sha256": model.identity.sha256},
        "images": len(rows),
        "judged": len(labels),
        "refused": refused,
        "threshold": model.threshold,
    }
    if labels:
        judged = Judged(
            labels=np.array(labels, dtype=np.intp),
            probabilities=np.array(probabilities),
            thresholds=np.full(len(labels), model.threshold),
            groups=tuple(groups),
        )
        report |= all_figures(judged, resamples=resamples)
        draw_roc(out / "roc.png", {"images": (judged.malignant, judged.scores)})
        draw_reliability(out / "reliability.png", {"images": stated_reliability(judged)})
    return report


def _read_labels(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        reader = csv.DictReader(handle)
        missing = {"image", "label"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path} lacks the column {', '.join(sorted(missing))}.")
        rows = list(reader)
    if not rows:
        raise ValueError(f"{path} lists no images.")
    for number, row in enumerate(rows, start=2):
        if row["label"] not in LABELS:
            raise ValueError(f"{path}, line {number}: label {row['label']!r} is not one of {', '.join(LABELS)}.")
    return rows


def _summary(metrics: dict[str, Any]) -> str:
    lines = [f"{metrics['judged']} of {metrics['images']} images judged, {len(metrics['refused'])} refused."]
    for name in ("accuracy", "auc_malignant", "sensitivity", "specificity", "macro_f1", "brier", "ece"):
        figure = metrics.get(name)
        if figure and figure["value"] is not None:
            lines.append(f"{name}: {figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml evaluate", description=__doc__)
    parser.add_argument("--modality", default="us", type=str.lower, choices=["us", "mg", "cesm"])
    parser.add_argument("--labels", type=Path, required=True, help="CSV with image, label and optionally group")
    parser.add_argument("--root", type=Path, required=True, help="folder that the image paths are relative to")
    parser.add_argument("--out", type=Path, default=Path("evaluation"), help="folder for metrics.json and the plots")
    parser.add_argument("--model", help="name of an installed model; by default the modality's active one")
    parser.add_argument("--version", help="with --model: its version; by default the newest")
    parser.add_argument("--resamples", type=int, default=2000, help="of the bootstrap")
    return parser
