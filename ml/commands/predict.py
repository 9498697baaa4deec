"""``python -m ml predict``: one line for each image file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ml.contract import ImageError, ModelIdentity, Outcome, OutcomeState
from ml.images import IMAGE_SUFFIXES, read_image
from ml.pipeline import analyse
from ml.registry import active_model, find_model
from ml.runtime import load_installed


def run(arguments: Sequence[str]) -> int:
    """Analyse files; exit 0 also when images are refused, 1 when nothing could be analysed at all, 2 on bad usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.masks:
        parser.error("the installed model outlines no lesions, so there are no masks to write; leave --masks out")
    installed = find_model(options.model, options.version) if options.model else active_model(options.modality)
    paths = list(_image_files(options.files))
    if not paths:
        print("No image files were found. Pass files, or folders that hold PNG, JPEG, BMP or TIFF.", file=sys.stderr)
        return 1
    clash = _repeated_stem(paths) if options.maps else None
    if clash:
        print(f"Two files are named {clash}: their maps would overwrite each other. Run them apart.", file=sys.stderr)
        return 1
    model = load_installed(installed)
    if options.maps:
        options.maps.mkdir(parents=True, exist_ok=True)
    unreadable = []
    for path in paths:
        try:
            outcome = analyse(read_image(path), model)
        except ImageError as error:
            unreadable.append(path)
            line = _unreadable(path, str(error), model.identity)
        else:
            line = _line(path, outcome)
            if options.maps:
                _write_map(outcome, options.maps / f"{path.stem}.png")
        print(json.dumps(line) if options.json else _sentence(line), flush=True)
    if unreadable:
        names = ", ".join(str(path) for path in unreadable)
        print(f"{len(unreadable)} of {len(paths)} files could not be read: {names}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml predict", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="image files or folders of them")
    parser.add_argument("--modality", default="us", type=str.lower, choices=["us", "mg", "cesm"])
    parser.add_argument("--model", help="name of an installed model; by default the modality's active one")
    parser.add_argument("--version", help="with --model: its version; by default the newest")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--maps", type=Path, metavar="DIR", help="write the malignant Grad-CAM map of each image")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="write the outline of each lesion")
    return parser


def _image_files(named: Sequence[Path]) -> Iterator[Path]:
    """The files as named; of a folder, the image files in it in order of their names, subfolders included."""
    for path in named:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.suffix.lower() in IMAGE_SUFFIXES)
        else:
            yield path


def _repeated_stem(paths: Sequence[Path]) -> str | None:
    seen: set[str] = set()
    for path in paths:
        if path.stem in seen:
            return path.stem
        seen.add(path.stem)
    return None


def _line(path: Path, outcome: Outcome) -> dict[str, Any]:
    prediction = outcome.prediction
    return {
        "file": str(path),
        "state": outcome.state.value,
        "label": prediction.label if prediction else None,
        "confidence": prediction.confidence if prediction else None,
        "probabilities": dict(prediction.probabilities) if prediction else None,
        "suspicion": prediction.suspicion if prediction else None,
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
        "quality": {"passed": False, "checks": []},
        "reasons": [reason],
        "model": _model(model),
    }


def _model(identity: ModelIdentity) -> dict[str, str]:
    return {"name": identity.name, "version": identity.version, "status": identity.status}


def _sentence(line: dict[str, Any]) -> str:
    if line["state"] == OutcomeState.REJECTED.value:
        return f"{line['file']}: rejected. {' '.join(line['reasons'])}"
    shares = ", ".join(f"{label} {value:.1%}" for label, value in line["probabilities"].items())
    return f"{line['file']}: {line['label']} ({shares}), suspicion {line['suspicion']} of 10"


def _write_map(outcome: Outcome, path: Path) -> None:
    """The malignant class's Grad-CAM as 8-bit grey of the image's size; nothing for a refused image."""
    if outcome.class_maps is not None:
        grey = np.rint(outcome.class_maps["malignant"] * 255).astype(np.uint8)
        Image.fromarray(grey).save(path)
