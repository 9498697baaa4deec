"""``python -m ml train``: the two-look ultrasound model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.commands.options import (
    add_collections,
    add_headless_weights,
    add_recipe_entries,
    add_run_folder,
    chosen_entries,
    headless_weights,
)
from ml.data.readers import read_collections
from ml.data.records import DataError
from ml.looks.recipe import TwoLookRecipe


def run(arguments: Sequence[str]) -> int:
    """Train; exit 0, or 1 with a sentence on stderr when data, recipe or folder are wrong."""
    options = _parser().parse_args(arguments)
    chosen = chosen_entries(options, TwoLookRecipe)
    everything = not (options.folds or options.final or options.cross_set)
    try:
        recipe = TwoLookRecipe.from_yaml(options.config) if options.config else TwoLookRecipe()
        recipe = TwoLookRecipe.from_mapping({**recipe.as_dict(), **chosen})
        records = read_collections(options.data, layout=options.layout)
        weights = headless_weights(options)
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
            start=options.start,
            teachers=options.teacher,
            arguments=["train", *arguments],
        )
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml train", description=__doc__)
    add_collections(parser)
    add_headless_weights(parser)
    add_run_folder(parser)
    parser.add_argument("--folds", action="store_true", help="cross-validate")
    parser.add_argument("--final", action="store_true", help="train on all images")
    parser.add_argument("--cross-set", action="store_true", help="train on each collection, predict the others")
    parser.add_argument("--start", type=Path, help="finished run whose networks these ones begin as, split by split")
    parser.add_argument(
        "--teacher",
        type=Path,
        action="append",
        default=[],
        help="finished run that teaches; repeatable; see --teaching",
    )
    add_recipe_entries(parser, TwoLookRecipe)
    return parser
