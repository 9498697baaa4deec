"""``python -m ml paper``: the published ultrasound recipe, under the leaky split and under the leak-safe one."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.commands.options import add_collections, add_resamples
from ml.data.readers import read_collections
from ml.data.records import DataError
from ml.storage import write_json


def run(arguments: Sequence[str]) -> int:
    """Train and measure; exit 0, or 1 with a sentence on stderr when data or weights are wrong."""
    options = _parser().parse_args(arguments)
    command = shlex.join(["python", "-m", "ml", "paper", *arguments])
    try:
        records = read_collections(options.data, layout=options.layout)
        if not options.weights.is_file():
            raise DataError(f"{options.weights} does not exist. Give the headless MobileNetV2 weights.")
        # TensorFlow takes seconds to load: wrong options are reported before.
        from ml.baselines.comparison import as_markdown
        from ml.baselines.frozen import FeatureStore
        from ml.baselines.paper import paper_rows

        store = FeatureStore(options.cache, weights=options.weights)
        rows = list(paper_rows(records, store, command=command, seed=options.seed, resamples=options.resamples))
        write_json(options.out, [row.as_dict() for row in rows])
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(as_markdown(rows))
    print(f"Written: {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml paper", description=__doc__)
    add_collections(parser)
    parser.add_argument("--weights", type=Path, required=True, help="headless ImageNet weights (.weights.h5)")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the frozen features")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the rows")
    add_resamples(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the leaky split, the augmentation and the head")
    return parser
