"""``python -m ml fit``: train any network of the zoo on whole images, by a recipe in YAML."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.commands.options import add_collections, add_run_folder
from ml.data.readers import read_collections
from ml.data.records import DataError
from ml.whole_image.recipe import WholeImageRecipe


def run(arguments: Sequence[str]) -> int:
    """Train; exit 0, or 1 with a sentence on stderr when recipe, data, weights or folder are wrong."""
    options = _parser().parse_args(arguments)
    everything = not (options.folds or options.final or options.leaky)
    try:
        recipe = WholeImageRecipe.from_yaml(options.recipe)
        records = read_collections(options.data, layout=options.layout)
        weights = options.weights or recipe.weights
        if weights not in ("none", "imagenet") and not Path(weights).is_file():
            raise DataError(f"{weights} does not exist. Give a file of headless weights, imagenet or none.")
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    # TensorFlow takes seconds to load: wrong options are reported before.
    from ml.networks.zoo import WeightsError
    from ml.whole_image.run import train_run

    try:
        train_run(
            records,
            recipe=recipe,
            weights=weights,
            seed=options.seed,
            out=options.out,
            folds=options.folds or everything,
            final=options.final or everything,
            leaky=options.leaky,
            resume=options.resume,
            arguments=["fit", *arguments],
        )
    except (DataError, WeightsError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml fit", description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True, help="YAML file, such as ml/recipes/vgg16.yaml")
    add_collections(parser)
    parser.add_argument("--weights", help="headless weights, imagenet or none; by default as the recipe says")
    add_run_folder(parser)
    parser.add_argument("--folds", action="store_true", help="cross-validate on the given folds")
    parser.add_argument("--final", action="store_true", help="train on all images")
    parser.add_argument("--leaky", action="store_true", help="show what splitting augmented copies at random reads")
    return parser
