"""``python -m ml evaluate``: the installed model's figures on labelled images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.batch import analyse_files, load_workers
from ml.commands.files import printable
from ml.commands.options import add_installed_model, add_resamples, add_speed
from ml.contract import LABELS, Outcome, Prediction
from ml.data.records import DataError
from ml.data.tables import read_labels, read_table
from ml.figures import Judged, all_figures, stated_reliability
from ml.plots import draw_reliability, draw_roc
from ml.registry import active_model, find_model
from ml.runtime import AnyModel
from ml.storage import write_json

_SHOWN = 10


def run(arguments: Sequence[str]) -> int:
    """Measure.

    Returns:
        0, also when images are refused or cannot be read, which are listed; 1 with a sentence on stderr when the table
        is faulty, the figures cannot be stored or no image at all could be judged; 2 on bad usage.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.workers < 1 or options.threads < 1:
        parser.error("--workers and --threads must be at least 1")
    installed = find_model(options.model, options.version) if options.model else active_model(options.modality)
    try:
        rows = _read_labels(options.labels, root=options.root)
    except (DataError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    models = load_workers(installed, workers=min(options.workers, len(rows)), threads=options.threads)
    try:
        metrics = measure(rows, root=options.root, models=models, resamples=options.resamples, out=options.out)
        write_json(options.out / "metrics.json", metrics)
    except OSError as error:
        print(f"{options.out} cannot be written to ({error.strerror or error}). Choose another --out.", file=sys.stderr)
        return 1
    print(_summary(metrics))
    print(f"Written: {options.out / 'metrics.json'}")
    if metrics["unreadable"]:
        print(f"{len(metrics['unreadable'])} of {len(rows)} images could not be read:", file=sys.stderr)
        for each in metrics["unreadable"]:
            print(f"  {printable(each['image'])}: {printable(each['reason'])}", file=sys.stderr)
    if not metrics["judged"]:
        print("No image could be judged, so there are no figures. Check --root and the images.", file=sys.stderr)
        return 1
    return 0


def measure(
    rows: Sequence[dict[str, str]], *, root: Path, models: Sequence[AnyModel], resamples: int, out: Path
) -> dict[str, Any]:
    """Analyse each image and compare with its label.

    Args:
        rows: columns ``image``, ``label`` and optionally ``group`` (patient or lesion, for the bootstrap).
        root: folder that the image paths are relative to.
        models: the model under test, once for each worker.
        resamples: of the bootstrap.
        out: receives ``roc.png`` and ``reliability.png``.

    Returns:
        figures over the images that were judged, with the refused ones counted and listed beside them; those of them
        that could not be read are listed a second time under ``unreadable``.
    """
    model = models[0]
    labels, probabilities, groups = [], [], []
    refused: list[dict[str, str]] = []
    unreadable: list[dict[str, str]] = []
    uncertain = 0
    paths = [root / row["image"] for row in rows]
    for row, each in zip(rows, analyse_files(paths, models, finish=_decision), strict=True):
        if each.kept is None or isinstance(each.kept, str):
            refused.append({"image": row["image"], "label": row["label"], "reason": each.kept or each.problem})
            unreadable += [refused[-1]] if each.kept is None else []
            continue
        labels.append(LABELS.index(row["label"]))
        probabilities.append([each.kept.probabilities[label] for label in LABELS])
        groups.append(row.get("group") or row["image"])
        uncertain += each.kept.uncertain
    report: dict[str, Any] = {
        "model": {"name": model.identity.name, "version": model.identity.version, "sha256": model.identity.sha256},
        "images": len(rows),
        "judged": len(labels),
        "refused": refused,
        "unreadable": unreadable,
        "uncertain": uncertain,
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


def _decision(_path: Path, _pixels: object, outcome: Outcome) -> Prediction | str:
    """The prediction, or the reasons of a refusal."""
    return outcome.prediction if outcome.prediction is not None else " ".join(outcome.reasons) or "refused"


def _read_labels(path: Path, *, root: Path) -> list[dict[str, str]]:
    """The table's rows; an image that does not exist stays among them and is refused when its turn comes.

    Raises:
        DataError: the table cannot be read, or a label, a name or a repetition leaves open what would be measured; the
            message names the first ten such lines, each with its remedy.
    """
    faults: list[DataError] = []
    read_labels(path, root=root, faults=faults)
    grave = [fault for fault in faults if fault.code != "missing_file"]
    if grave:
        more = [f"... and {len(grave) - _SHOWN} more lines."] if len(grave) > _SHOWN else []
        raise DataError("\n".join([*map(str, grave[:_SHOWN]), *more, "Nothing was measured."]), code=grave[0].code)
    return [dict(row.values) for row in read_table(path, required=("image", "label"))]


def _summary(metrics: dict[str, Any]) -> str:
    lines = [f"{metrics['judged']} of {metrics['images']} images judged, {len(metrics['refused'])} refused."]
    for name in ("accuracy", "auc_malignant", "sensitivity", "specificity", "macro_f1", "brier", "ece"):
        figure = metrics.get(name)
        if figure and figure["value"] is not None:
            lines.append(f"{name}: {figure['value']:.3f} ({figure['low']:.3f}-{figure['high']:.3f})")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml evaluate", description=__doc__)
    add_installed_model(parser)
    parser.add_argument("--labels", type=Path, required=True, help="CSV with image, label and optionally group")
    parser.add_argument("--root", type=Path, required=True, help="folder that the image paths are relative to")
    parser.add_argument("--out", type=Path, default=Path("evaluation"), help="folder for metrics.json and the plots")
    add_resamples(parser)
    add_speed(parser)
    return parser
