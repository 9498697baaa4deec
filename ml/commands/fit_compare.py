"""``python -m ml fit_compare``: finished runs of ``ml fit`` in one table, leaky beside leak-safe, or paired."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.commands.options import add_resamples
from ml.data.records import DataError
from ml.storage import write_json
from ml.whole_image.comparison import as_table, comparison_rows, paired_rows


def run(arguments: Sequence[str]) -> int:
    """Print the table; exit 0, or 1 with a sentence on stderr when a folder holds no finished run."""
    parser = argparse.ArgumentParser(prog="python -m ml fit_compare", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder that ml fit wrote")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    add_resamples(parser)
    parser.add_argument("--paired", action="store_true", help="what each later run has over the first, leak-safe")
    options = parser.parse_args(arguments)
    if options.paired and len(options.runs) < 2:
        parser.error("--paired needs at least two runs")
    try:
        if options.paired:
            command = shlex.join(["python", "-m", "ml", "fit_compare", *arguments])
            rows = paired_rows(options.runs, command=command, resamples=options.resamples)
        else:
            rows = comparison_rows(options.runs, resamples=options.resamples)
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(as_table(rows))
    if options.out:
        write_json(options.out, rows)
        print(f"Written: {options.out}")
    return 0
