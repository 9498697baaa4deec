"""``python -m ml release``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.commands.options import add_collections, add_release, artifact_folder
from ml.data.readers import read_collections
from ml.data.records import DataError


def run(arguments: Sequence[str]) -> int:
    """Write an artefact; exit 0, or 1 with a sentence on stderr when run or data do not fit."""
    parser = argparse.ArgumentParser(prog="python -m ml release", description=__doc__)
    add_collections(parser, meaning="as in training, same order")
    add_release(parser, written_by="ml train", name="us-mobilenetv2")
    parser.add_argument("--accepted", type=Path, action="append", default=[], help="folder of further good images")
    options = parser.parse_args(arguments)
    folder = artifact_folder(options)
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
