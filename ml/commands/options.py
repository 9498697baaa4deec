"""Options that several commands share: declared once, so that they are named, typed and explained alike everywhere."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml.batch import default_workers
from ml.data.readers import LAYOUTS
from ml.data.records import DataError
from ml.metrics import RESAMPLES
from ml.registry import ARTIFACTS, STATUSES
from ml.runtime import THREADS


def add_collections(parser: argparse.ArgumentParser, *, meaning: str = "folder of a collection; repeatable") -> None:
    """``--data``, repeatable and required, and ``--layout``."""
    parser.add_argument("--data", type=Path, action="append", required=True, help=meaning)
    add_layout(parser)


def add_layout(parser: argparse.ArgumentParser) -> None:
    """``--layout`` alone, for commands that name their folders otherwise."""
    parser.add_argument("--layout", choices=LAYOUTS, default="shared", help="how the folders are laid out")


def add_resamples(parser: argparse.ArgumentParser) -> None:
    """``--resamples`` of every bootstrap."""
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="of every bootstrap")


def add_run_folder(parser: argparse.ArgumentParser) -> None:
    """``--out``, ``--seed`` and ``--resume`` of a training."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--seed", type=int, default=20, help="of everything random")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")


def add_recipe_entries(parser: argparse.ArgumentParser, recipe: type) -> None:
    """``--config`` and one option for every number of a recipe, a dataclass whose entries are int or float."""
    parser.add_argument("--config", type=Path, help="YAML file with recipe entries; flags override it")
    group = parser.add_argument_group("recipe")
    for name, kind in _entries(recipe).items():
        group.add_argument(f"--{name.replace('_', '-')}", dest=name, type=kind)


def chosen_entries(options: argparse.Namespace, recipe: type) -> dict[str, Any]:
    """The recipe's entries that were given as options."""
    return {name: getattr(options, name) for name in _entries(recipe) if getattr(options, name) is not None}


def add_headless_weights(parser: argparse.ArgumentParser) -> None:
    """``--weights`` of the MobileNetV2 that training starts from."""
    parser.add_argument("--weights", required=True, help="headless ImageNet weights (.weights.h5), or none")


def headless_weights(options: argparse.Namespace) -> Path | None:
    """The file that ``--weights`` names; ``None`` for random weights.

    Raises:
        DataError: there is no such file.
    """
    if options.weights == "none":
        return None
    path = Path(options.weights)
    if not path.is_file():
        raise DataError(f"{path} does not exist. Give the headless MobileNetV2 weights, or none.")
    return path


def add_release(
    parser: argparse.ArgumentParser, *, written_by: str, name: str | None = None, statuses: Sequence[str] = STATUSES
) -> None:
    """Everything that names a run and the artefact made of it, ``--data`` apart.

    Args:
        parser: receives the options.
        written_by: the command that wrote the run.
        name: default of ``--name``; without one it is required.
        statuses: what ``--status`` may be; without any there is no such option.
    """
    parser.add_argument("--run", type=Path, required=True, help=f"folder that {written_by} wrote, with folds and final")
    parser.add_argument("--name", default=name, required=name is None, help="such as us-mobilenetv2")
    parser.add_argument("--version", required=True, help="such as 1.0.0")
    if statuses:
        parser.add_argument("--status", choices=statuses, default="research")
    parser.add_argument("--foreign", type=Path, action="append", default=[], help="folder of images of other kinds")
    parser.add_argument("--note", action="append", default=[], help="sentence about this run for the card")
    add_resamples(parser)
    parser.add_argument("--out", type=Path, help="the artefact's folder; by default ml/artifacts/NAME/VERSION")


def artifact_folder(options: argparse.Namespace) -> Path:
    """Where :func:`add_release`'s options say that the artefact goes."""
    return options.out or ARTIFACTS / options.name / options.version


def add_installed_model(parser: argparse.ArgumentParser) -> None:
    """``--modality``, ``--model`` and ``--version`` of an installed model."""
    parser.add_argument("--modality", default="us", type=str.lower, choices=["us", "mg", "cesm"])
    parser.add_argument("--model", help="name of an installed model; by default the modality's active one")
    parser.add_argument("--version", help="with --model: its version; by default the newest")


def add_speed(parser: argparse.ArgumentParser, *, workers: str = "images analysed at the same time") -> None:
    """``--workers`` and ``--threads`` of an analysis."""
    parser.add_argument("--workers", type=int, default=default_workers(), help=workers)
    parser.add_argument("--threads", type=int, default=THREADS, help="threads of one forward pass")


def named_path(text: str) -> tuple[str, Path]:
    """``NAME=PATH``, for options that say of a run what it is called in a table.

    Raises:
        DataError: it is not of that form.
    """
    name, separator, path = text.partition("=")
    if not separator or not name.strip():
        raise DataError(f"{text!r} must be NAME=PATH, such as 'one look=runs/us-1.0.0/out-of-fold.csv'.")
    return name.strip(), Path(path)


def _entries(recipe: type) -> dict[str, type]:
    return {entry.name: int if entry.type == "int" else float for entry in dataclasses.fields(recipe)}
