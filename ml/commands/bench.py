"""``python -m ml bench``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ml.bench import bench
from ml.registry import active_model
from ml.runtime import THREADS


def run(arguments: Sequence[str]) -> int:
    """Print the table; exit 0."""
    parser = argparse.ArgumentParser(prog="python -m ml bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--threads", type=int, default=THREADS, help="threads of one LiteRT forward pass")
    parser.add_argument("--modality", default="us", type=str.lower, choices=["us", "mg", "cesm"])
    options = parser.parse_args(arguments)
    print(bench(active_model(options.modality), runs=30 if options.quick else 200, threads=options.threads))
    return 0
