"""``python -m ml predict``: one line for each image file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml.batch import Analysed, analyse_files, load_workers
from ml.commands.files import image_files, printable
from ml.commands.options import add_installed_model, add_speed
from ml.contract import ModelIdentity, Outcome, OutcomeState
from ml.registry import active_model, find_model

Pixels = NDArray[np.uint8]


class CannotWriteError(Exception):
    """A map or mask could not be stored; the message names the file and the remedy."""


def run(arguments: Sequence[str]) -> int:
    """Analyse files.

    Returns:
        0, also when images are refused; 1 when there was nothing to analyse, a folder could not be listed or a map not
        be stored; 2 on bad usage.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    drawn = {name: folder for name, folder in (("map", options.maps), ("mask", options.masks)) if folder}
    if len(drawn) == 2 and options.maps.resolve() == options.masks.resolve():
        parser.error("--maps and --masks need folders of their own: their files have the same names")
    if options.workers < 1 or options.threads < 1:
        parser.error("--workers and --threads must be at least 1")
    installed = find_model(options.model, options.version) if options.model else active_model(options.modality)
    paths, unlisted = image_files(options.files)
    if not paths and not unlisted:
        print("No image files were found. Pass files, or folders that hold PNG, JPEG, BMP or TIFF.", file=sys.stderr)
        return 1
    problem = _overwritten(paths, folders=list(drawn.values()))
    if problem:
        print(problem, file=sys.stderr)
        return 1
    models = load_workers(installed, workers=min(options.workers, max(1, len(paths))), threads=options.threads)
    if options.masks and not models[0].outlines:
        parser.error(
            f"{installed.name} {installed.version} outlines no lesions, so there are no masks to write; "
            "leave --masks out"
        )
    try:
        for folder in drawn.values():
            _make_folder(folder)
        unreadable = _analyse(paths, models=models, options=options)
    except CannotWriteError as error:
        print(error, file=sys.stderr)
        return 1
    if unreadable:
        print(f"{len(unreadable)} of {len(paths)} files could not be read:", file=sys.stderr)
        for each in unreadable:
            print(f"  {printable(each.path)}: {printable(each.problem)}", file=sys.stderr)
    for folder in unlisted:
        print(f"The folder {printable(folder)} could not be listed. Change its permissions.", file=sys.stderr)
    return 1 if unlisted else 0


def _analyse(paths: Sequence[Path], *, models: Sequence[Any], options: argparse.Namespace) -> list[Analysed[Any]]:
    """Print a line for each file; the files that could not be read."""

    def finish(path: Path, pixels: Pixels, outcome: Outcome) -> dict[str, Any]:
        if options.maps:
            _write_map(outcome, options.maps / f"{path.stem}.png")
        if options.masks:
            _write_mask(outcome, pixels, options.masks / f"{path.stem}.png")
        return _line(path, outcome)

    unreadable = []
    for each in analyse_files(paths, models, finish=finish):
        if each.kept is None:
            unreadable.append(each)
        line = each.kept if each.kept is not None else _unreadable(each.path, each.problem, models[0].identity)
        print(json.dumps(line) if options.json else _sentence(line), flush=True)
    return unreadable


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml predict", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="image files or folders of them")
    add_installed_model(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--maps", type=Path, metavar="DIR", help="write the malignant Grad-CAM map of each image")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="write the outline of each lesion, 0 or 255")
    add_speed(parser)
    return parser


def _overwritten(paths: Sequence[Path], *, folders: Sequence[Path]) -> str:
    """Why writing ``<stem>.png`` for each path would destroy something, in words; empty when it would not."""
    if not folders:
        return ""
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            return (
                f"{printable(other)} and {printable(path)} are both named {printable(path.stem)}: their maps or masks "
                "would overwrite each other. Run them apart."
            )
    images = {path.resolve() for path in paths}
    for folder in folders:
        for stem in seen:
            target = folder / f"{stem}.png"
            if target.resolve() in images:
                return f"{printable(target)} is one of the images and would be overwritten. Choose another folder."
    return ""


def _line(path: Path, outcome: Outcome) -> dict[str, Any]:
    prediction, lesion = outcome.prediction, outcome.segmentation
    return {
        "file": str(path),
        "state": outcome.state.value,
        "label": prediction.label if prediction else None,
        "confidence": prediction.confidence if prediction else None,
        "probabilities": dict(prediction.probabilities) if prediction else None,
        "suspicion": prediction.suspicion if prediction else None,
        "uncertain": prediction.uncertain if prediction else None,
        "segmentation": {
            "area_share": lesion.area_share,
            "area_px": lesion.area_px,
            "diameter_px": lesion.diameter_px,
            "box": list(lesion.box),
        }
        if lesion
        else None,
        "marks": [
            {"row": mark.row, "column": mark.column, "radius": mark.radius, "score": mark.score}
            for mark in outcome.marks
        ],
        "similar": [
            {"case": each.case, "source": each.source, "label": each.label, "similarity": each.similarity}
            for each in outcome.similar
        ],
        "quality": {
            "passed": outcome.quality.passed,
            "checks": [
                {"name": check.name, "value": check.value, "passed": check.passed} for check in outcome.quality.checks
            ],
        },
        "reasons": list(outcome.reasons),
        "model": _model(outcome.model),
    }


def _unreadable(path: Path, reason: str, model: ModelIdentity) -> dict[str, Any]:
    return {
        "file": str(path),
        "state": OutcomeState.REJECTED.value,
        "label": None,
        "confidence": None,
        "probabilities": None,
        "suspicion": None,
        "uncertain": None,
        "segmentation": None,
        "marks": [],
        "similar": [],
        "quality": {"passed": False, "checks": []},
        "reasons": [reason],
        "model": _model(model),
    }


def _model(identity: ModelIdentity) -> dict[str, str]:
    return {"name": identity.name, "version": identity.version, "status": identity.status}


def _sentence(line: dict[str, Any]) -> str:
    file = printable(line["file"])
    if line["state"] == OutcomeState.REJECTED.value:
        return f"{file}: rejected. {printable(' '.join(line['reasons']))}"
    shares = ", ".join(f"{label} {value:.1%}" for label, value in line["probabilities"].items())
    lesion = line["segmentation"]
    more = f", lesion on {lesion['area_share']:.1%} of the image" if lesion else ""
    more += f", {len(line['marks'])} marks" if line["marks"] else ""
    more += ", uncertain: do not lean on it" if line["uncertain"] else ""
    return f"{file}: {line['label']} ({shares}), suspicion {line['suspicion']} of 10{more}"


def _write_map(outcome: Outcome, path: Path) -> None:
    """The malignant class's Grad-CAM as 8-bit grey of the image's size; nothing for a refused image."""
    if outcome.class_maps is not None:
        _save(path, np.rint(outcome.class_maps["malignant"] * 255).astype(np.uint8))


def _write_mask(outcome: Outcome, pixels: Pixels, path: Path) -> None:
    """The lesion as 0 and 255, 8-bit grey of the image's size, all 0 without a lesion; nothing for a refused image."""
    if outcome.state is OutcomeState.SUCCEEDED:
        lesion = outcome.segmentation
        _save(path, lesion.mask if lesion is not None else np.zeros(pixels.shape[:2], np.uint8))


def _save(path: Path, grey: Pixels) -> None:
    _stored(path, lambda: Image.fromarray(grey).save(path))


def _make_folder(path: Path) -> None:
    _stored(path, lambda: path.mkdir(parents=True, exist_ok=True))


def _stored(path: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise CannotWriteError(
            f"{printable(path)} cannot be written ({error.strerror or error}). Choose another folder."
        ) from error
