"""``python -m ml fit_release``: turn a run of ``ml fit`` into an artefact with evaluation and card."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.commands.options import add_collections, add_release, artifact_folder
from ml.data.readers import read_collections
from ml.data.records import DataError


def run(arguments: Sequence[str]) -> int:
    """Write an artefact; exit 0, or 1 with a sentence on stderr when run, data or status do not fit."""
    parser = argparse.ArgumentParser(prog="python -m ml fit_release", description=__doc__)
    add_collections(parser, meaning="as in training, same order")
    add_release(parser, written_by="ml fit")
    parser.add_argument("--modality", type=str.upper, choices=["CESM"], required=True)
    parser.add_argument("--taught", type=Path, action="append", default=[], help="of other kinds, taught to the gate")
    parser.add_argument("--films", type=Path, help="low-energy films with finding masks, to test the maps on")
    options = parser.parse_args(arguments)
    folder = artifact_folder(options)
    try:
        records = read_collections(options.data, layout=options.layout)
        taught = read_collections(options.taught, layout=options.layout) if options.taught else ()
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
            taught=taught,
            notes=options.note,
            resamples=options.resamples,
            arguments=["fit_release", *arguments],
        )
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Released {options.name} {options.version}: {folder}")
    return 0
