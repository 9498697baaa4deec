"""``python -m ml ensemble``: runs side by side and fused by calibrated averaging, as rows for the one table."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.commands.options import add_resamples, named_path
from ml.data.records import DataError
from ml.evaluate import cross_validation
from ml.logits import LogitTable, joined
from ml.results import ResultRow, model_rows
from ml.storage import write_json


def run(arguments: Sequence[str]) -> int:
    """Measure, write and print; exit 0, or 1 with a sentence on stderr."""
    options = _parser().parse_args(arguments)
    command = shlex.join(["python", "-m", "ml", "ensemble", *arguments])
    try:
        runs = [named_path(text) for text in options.run]
        tables = [(name, LogitTable.read(path)) for name, path in runs]
        rows: list[ResultRow] = []
        if options.members:
            for name, table in tables:
                rows += _rows(table, system=name, command=command, resamples=options.resamples)
        if len(tables) > 1:
            passes = sum(len(table.looks) for _, table in tables)
            system = f"ensemble of {' and '.join(name for name, _ in tables)} ({passes} forward passes)"
            rows += _rows(joined(tables), system=system, command=command, resamples=options.resamples)
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    write_json(options.out, [row.as_dict() for row in rows])
    for row in rows:
        if row.figure in ("accuracy", "auc_malignant", "sensitivity_on_roc", "ece"):
            print(f"{row.system}: {row.set} {row.figure} {row.value:.3f} ({row.low:.3f}-{row.high:.3f}), n = {row.n}")
    print(f"Written: {options.out}")
    return 0


def _rows(table: LogitTable, *, system: str, command: str, resamples: int) -> list[ResultRow]:
    report, _ = cross_validation(table, resamples=resamples, looks=False)
    return model_rows({**report, "command": command}, system=system)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml ensemble", description=__doc__)
    parser.add_argument("--run", action="append", required=True, help="NAME=FILE: a run's out-of-fold.csv; repeat")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the rows, below docs/results")
    parser.add_argument("--members", action="store_true", help="also the rows of each run by itself")
    add_resamples(parser)
    return parser
