"""``python -m ml baselines``: classical classifiers and frozen features, leaky and leak-safe, on the same folds."""

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
    """Measure; exit 0, or 1 with a sentence on stderr when data or weights are wrong."""
    options = _parser().parse_args(arguments)
    command = shlex.join(["python", "-m", "ml", "baselines", *arguments])
    try:
        records = read_collections(options.data, layout=options.layout)
        if options.weights is not None and not options.weights.is_file():
            raise DataError(
                f"{options.weights} does not exist. Give the headless MobileNetV2 weights, or leave it out."
            )
        if (options.weights is None) != (options.cache is None):
            raise DataError("--weights and --cache belong together: give both, or neither.")
        from ml.baselines.comparison import as_markdown
        from ml.baselines.run import classical_rows

        rows = list(classical_rows(records, command=command, seed=options.seed, resamples=options.resamples))
        if options.weights is not None:
            # TensorFlow takes seconds to load: without weights it is not needed.
            from ml.baselines.frozen import FeatureStore
            from ml.baselines.run import frozen_rows

            store = FeatureStore(options.cache, weights=options.weights)
            rows += frozen_rows(records, store, command=command, seed=options.seed, resamples=options.resamples)
        write_json(options.out, [row.as_dict() for row in rows])
    except ModuleNotFoundError as error:
        # scikit-learn serves comparisons only, so a site that runs models does without it.
        print(f"{error.name} is not installed. Run: pip install -r requirements-dev.txt", file=sys.stderr)
        return 1
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(as_markdown(rows))
    print(f"Written: {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml baselines", description=__doc__)
    add_collections(parser)
    parser.add_argument("--weights", type=Path, help="headless ImageNet weights: adds the frozen features")
    parser.add_argument("--cache", type=Path, help="folder that keeps the frozen features")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the rows")
    add_resamples(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the leaky split")
    return parser
