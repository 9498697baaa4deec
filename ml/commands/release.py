"""``python -m ml release``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.data.readers import LAYOUTS, read_collections
from ml.data.records import DataError
from ml.registry import ARTIFACTS, STATUSES


def run(arguments: Sequence[str]) -> int:
    """Write an artefact; exit 0, or 1 with a sentence on stderr when run or data do not fit."""
    parser = argparse.ArgumentParser(prog="python -m ml release", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder that ml train wrote")
    parser.add_argument("--data", type=Path, action="append", required=True, help="as in training, same order")
    parser.add_argument("--layout", choices=LAYOUTS, default="shared")
    parser.add_argument("--name", default="us-mobilenetv2")
    parser.add_argument("--version", required=True, help="such as 1.0.0")
    parser.add_argument("--status", choices=STATUSES, default="research")
    parser.add_argument("--foreign", type=Path, action="append", default=[], help="folder of images of other kinds")
    parser.add_argument("--accepted", type=Path, action="append", default=[], help="folder of further good images")
    parser.add_argument("--note", action="append", default=[], help="sentence about this run for the card")
    parser.add_argument("--resamples", type=int, default=2000, help="of every bootstrap")
    parser.add_argument("--out", type=Path, help="the artefact's folder; by default ml/artifacts/NAME/VERSION")
    options = parser.parse_args(arguments)
    folder = options.out or ARTIFACTS / options.name / options.version
    try:
        records = read_collections(options.data, layout=options.layout)
        # TensorFlow takes seconds to load: wrong options are reported before.
        from ml.looks.release import release_two_looks

        release_two_looks(
            options.run,
            records,
            name=options.name,
            version=options.version,
            status=options.status,
            folder=folder,
            foreign=options.foreign,
            accepted=options.accepted,
            notes=options.note,
            resamples=options.resamples,
            arguments=["release", *arguments],
        )
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Released {options.name} {options.version}: {folder}")
    return 0
