"""``python -m ml mammogram train | release``: the detector on mammograms."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from ml.contract import ImageError
from ml.data.readers import LAYOUTS, read_collections
from ml.data.records import DataError, ImageRecord
from ml.mammogram.recipe import DetectorRecipe
from ml.mammogram.results import result_rows
from ml.registry import ARTIFACTS
from ml.storage import read_json, write_json


def run(arguments: Sequence[str]) -> int:
    """Train or release; exit 0, or 1 with a sentence on stderr when data, recipe or folder are wrong."""
    options = _parser().parse_args(arguments)
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(options.threads))
    command = ["mammogram", *arguments]
    try:
        records = read_collections(options.data, layout=options.layout)
        return _train(options, records, command) if options.step == "train" else _release(options, records, command)
    except (DataError, ImageError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _train(options: argparse.Namespace, records: Sequence[ImageRecord], command: Sequence[str]) -> int:
    named = yaml.safe_load(options.config.read_text(encoding="utf-8")) if options.config else {}
    if not isinstance(named, dict):
        raise ValueError(f"{options.config} must hold a mapping of recipe entries.")
    chosen = {name: getattr(options, name) for name in _entries() if getattr(options, name) is not None}
    recipe = DetectorRecipe.from_mapping({**named, **chosen})
    weights = None if options.weights == "none" else Path(options.weights)
    if weights is not None and not weights.is_file():
        raise DataError(f"{weights} does not exist. Give the headless MobileNetV2 weights, or none.")
    # TensorFlow takes seconds to load: wrong options are reported before.
    from ml.mammogram.training import PARTS, train_detector

    train_detector(
        records,
        weights=weights,
        recipe=recipe,
        seed=options.seed,
        out=options.out,
        resume=options.resume,
        parts=options.part or PARTS,
        arguments=command,
    )
    return 0


def _release(options: argparse.Namespace, records: Sequence[ImageRecord], command: Sequence[str]) -> int:
    folder = options.out or ARTIFACTS / options.name / options.version
    from ml.mammogram.release import release_detector

    release_detector(
        options.run,
        records,
        name=options.name,
        version=options.version,
        folder=folder,
        foreign=options.foreign,
        notes=options.note,
        resamples=options.resamples,
        arguments=command,
    )
    if options.results:
        write_json(options.results, [row.as_dict() for row in result_rows(read_json(folder / "evaluation.json"))])
    print(f"Released {options.name} {options.version}: {folder}")
    return 0


def _entries() -> dict[str, type]:
    return {field.name: int if field.type == "int" else float for field in dataclasses.fields(DetectorRecipe)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml mammogram", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", type=Path, action="append", required=True, help="folder of a collection; repeatable")
    shared.add_argument("--layout", choices=LAYOUTS, default="shared", help="how the folders are laid out")
    shared.add_argument("--threads", type=int, default=1, help="of TensorFlow")
    train = steps.add_parser("train", parents=[shared], help="five leak-safe folds, then one network on all films")
    train.add_argument("--weights", required=True, help="headless ImageNet weights (.weights.h5), or none")
    train.add_argument("--out", type=Path, required=True, help="folder of the run")
    train.add_argument("--config", type=Path, help="YAML file with recipe entries; flags override it")
    train.add_argument("--seed", type=int, default=20)
    train.add_argument("--part", action="append", help="train this part alone, such as fold-0 or final; repeatable")
    train.add_argument("--resume", action="store_true", help="go on with the run in --out")
    recipe = train.add_argument_group("recipe")
    for name, kind in _entries().items():
        recipe.add_argument(f"--{name.replace('_', '-')}", dest=name, type=kind)
    release = steps.add_parser("release", parents=[shared], help="measure a run out of fold and write the artefact")
    release.add_argument("--run", type=Path, required=True, help="folder that train wrote")
    release.add_argument("--name", default="mg-patches")
    release.add_argument("--version", required=True, help="such as 1.0.0")
    release.add_argument("--foreign", type=Path, action="append", default=[], help="images that are no mammograms")
    release.add_argument("--note", action="append", default=[], help="sentence about this run for the card")
    release.add_argument("--resamples", type=int, default=2000, help="of every bootstrap")
    release.add_argument("--results", type=Path, help="JSON file that receives the rows of the one table")
    release.add_argument("--out", type=Path, help="the artefact's folder; by default ml/artifacts/NAME/VERSION")
    return parser
