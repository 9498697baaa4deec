"""``python -m ml fit_speed``: how much faster an epoch is from cached frozen features."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.commands.options import add_collections
from ml.data.readers import read_collections
from ml.data.records import DataError
from ml.whole_image.recipe import WholeImageRecipe


def run(arguments: Sequence[str]) -> int:
    """Print both times and their ratio; exit 0, or 1 with a sentence on stderr when recipe or data are wrong."""
    parser = argparse.ArgumentParser(prog="python -m ml fit_speed", description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True, help="YAML file of a recipe that freezes layers")
    add_collections(parser)
    parser.add_argument("--weights", help="headless weights, imagenet or none; by default as the recipe says")
    parser.add_argument("--images", type=int, default=128, help="images of the epoch")
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args(arguments)
    try:
        recipe = WholeImageRecipe.from_yaml(options.recipe)
        records = read_collections(options.data, layout=options.layout)[: options.images]
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    # TensorFlow takes seconds to load: wrong options are reported before.
    from ml.networks.zoo import WeightsError
    from ml.whole_image.speed import measure_cache

    try:
        gain = measure_cache(records, recipe=recipe, weights=options.weights or recipe.weights, seed=options.seed)
    except (DataError, WeightsError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{recipe.network}, {recipe.side} px, frozen: {recipe.freeze}, epoch of {gain.images} images: recomputed "
        f"{gain.recomputed_s:.2f} s, from cached features {gain.cached_s:.3f} s: {gain.ratio:.1f} times faster. "
        f"Largest relative difference of a logit: {gain.largest_difference:.1e}."
    )
    return 0
