"""``python -m ml fit_compare``: finished runs of ``ml fit`` in one table, leaky beside leak-safe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.data.records import DataError
from ml.storage import write_json
from ml.whole_image.comparison import as_table, comparison_rows


def run(arguments: Sequence[str]) -> int:
    """Print the table; exit 0, or 1 with a sentence on stderr when a folder holds no finished run."""
    parser = argparse.ArgumentParser(prog="python -m ml fit_compare", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder that ml fit wrote")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    parser.add_argument("--resamples", type=int, default=2000, help="of the bootstrap")
    options = parser.parse_args(arguments)
    try:
        rows = comparison_rows(options.runs, resamples=options.resamples)
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(as_table(rows))
    if options.out:
        write_json(options.out, rows)
        print(f"Written: {options.out}")
    return 0
