"""``python -m ml train``: the two-look ultrasound model."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.data.readers import LAYOUTS, read_collections
from ml.data.records import DataError
from ml.looks.recipe import TwoLookRecipe


def run(arguments: Sequence[str]) -> int:
    """Train; exit 0, or 1 with a sentence on stderr when data, recipe or folder are wrong."""
    options = _parser().parse_args(arguments)
    chosen = {name: getattr(options, name) for name in _entries() if getattr(options, name) is not None}
    everything = not (options.folds or options.final or options.cross_set)
    try:
        recipe = TwoLookRecipe.from_yaml(options.config) if options.config else TwoLookRecipe()
        recipe = TwoLookRecipe.from_mapping({**recipe.as_dict(), **chosen})
        records = read_collections(options.data, layout=options.layout)
        weights = None if options.weights == "none" else Path(options.weights)
        if weights is not None and not weights.is_file():
            raise DataError(f"{weights} does not exist. Give the headless MobileNetV2 weights, or none.")
        # TensorFlow takes seconds to load: wrong options are reported before.
        from ml.looks.training import train_two_looks

        train_two_looks(
            records,
            weights=weights,
            recipe=recipe,
            seed=options.seed,
            out=options.out,
            folds=options.folds or everything,
            final=options.final or everything,
            cross_set=options.cross_set,
            resume=options.resume,
            arguments=["train", *arguments],
        )
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _entries() -> dict[str, type]:
    return {field.name: int if field.type == "int" else float for field in dataclasses.fields(TwoLookRecipe)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml train", description=__doc__)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of a collection; repeatable")
    parser.add_argument("--layout", choices=LAYOUTS, default="shared", help="how the folders are laid out")
    parser.add_argument("--weights", required=True, help="headless ImageNet weights (.weights.h5), or none")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--config", type=Path, help="YAML file with recipe entries; flags override it")
    parser.add_argument("--folds", action="store_true", help="cross-validate")
    parser.add_argument("--final", action="store_true", help="train on all images")
    parser.add_argument("--cross-set", action="store_true", help="train on each collection, predict the others")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    recipe = parser.add_argument_group("recipe")
    for name, kind in _entries().items():
        recipe.add_argument(f"--{name.replace('_', '-')}", dest=name, type=kind)
    return parser
