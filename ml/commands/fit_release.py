"""``python -m ml fit_release``: turn a run of ``ml fit`` into an artefact with evaluation and card."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.data.readers import LAYOUTS, read_collections
from ml.data.records import DataError
from ml.registry import ARTIFACTS, STATUSES


def run(arguments: Sequence[str]) -> int:
    """Write an artefact; exit 0, or 1 with a sentence on stderr when run, data or status do not fit."""
    parser = argparse.ArgumentParser(prog="python -m ml fit_release", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder that ml fit wrote, with folds and final")
    parser.add_argument("--data", type=Path, action="append", required=True, help="as in training, same order")
    parser.add_argument("--layout", choices=LAYOUTS, default="shared")
    parser.add_argument("--modality", type=str.upper, choices=["CESM"], required=True)
    parser.add_argument("--name", required=True, help="such as cesm-mobilenetv2")
    parser.add_argument("--version", required=True, help="such as 1.0.0")
    parser.add_argument("--status", choices=STATUSES, default="research")
    parser.add_argument("--films", type=Path, help="low-energy films with finding masks, to test the maps on")
    parser.add_argument("--foreign", type=Path, action="append", default=[], help="images of other kinds")
    parser.add_argument("--note", action="append", default=[], help="sentence about this run for the card")
    parser.add_argument("--resamples", type=int, default=2000, help="of every bootstrap")
    parser.add_argument("--out", type=Path, help="the artefact's folder; by default ml/artifacts/NAME/VERSION")
    options = parser.parse_args(arguments)
    folder = options.out or ARTIFACTS / options.name / options.version
    try:
        records = read_collections(options.data, layout=options.layout)
        # TensorFlow takes seconds to load: wrong options are reported before.
        from ml.whole_image.release import release_whole_image

        release_whole_image(
            options.run,
            records,
            modality=options.modality,
            name=options.name,
            version=options.version,
            status=options.status,
            folder=folder,
            films=options.films,
            foreign=options.foreign,
            notes=options.note,
            resamples=options.resamples,
            arguments=["fit_release", *arguments],
        )
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Released {options.name} {options.version}: {folder}")
    return 0
