"""``python -m ml data check``: counts of a labelled collection, and whether its folds leak."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.data.readers import LAYOUTS, read_collections
from ml.data.records import FOLDS, DataError, summary


def run(arguments: Sequence[str]) -> int:
    """Check; exit 0 when the folds are leak-safe, 1 with the reason on stderr when not."""
    parser = argparse.ArgumentParser(prog="python -m ml data", description=__doc__)
    parser.add_argument("action", choices=["check"])
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--layout", choices=LAYOUTS, default="shared")
    options = parser.parse_args(arguments)
    try:
        records = read_collections(options.folders, layout=options.layout)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    for source, counts in summary(records).items():
        print(f"{source}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    sizes = [sum(record.fold == fold for record in records) for fold in range(FOLDS)]
    print(f"Images by fold: {', '.join(map(str, sizes))}. No group lies in two folds.")
    return 0
