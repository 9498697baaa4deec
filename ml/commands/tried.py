"""``python -m ml tried``: what was tried on the two-look ultrasound model after its training, and what each idea brings
beside what is served. The further passes over the held-out images are kept in the run's folder."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.commands.options import add_collections, add_resamples, named_path
from ml.data.readers import read_collections
from ml.data.records import DataError
from ml.logits import LogitTable, require_same_folds
from ml.storage import write_json


def run(arguments: Sequence[str]) -> int:
    """Measure and write; exit 0, or 1 with a sentence on stderr when run or data do not fit."""
    options = _parser().parse_args(arguments)
    try:
        records = read_collections(options.data, layout=options.layout)
        keys = [record.key for record in records]
        others, instead = ([_named(text, keys) for text in given] for given in (options.member, options.instead))
        # TensorFlow takes seconds to load: wrong options are reported before.
        from ml.looks.elsewhere_trials import FILE, try_elsewhere
        from ml.looks.folds import FoldNetworks
        from ml.looks.fusion_trials import try_fusions
        from ml.looks.outline_trials import outlines_of, try_outlines
        from ml.looks.passes import collect_passes

        networks = FoldNetworks(options.run, records)
        table = LogitTable.read(options.run / "out-of-fold.csv").ordered(keys)
        require_same_folds(table, records)
        passes = collect_passes(networks, records)
        fusions = try_fusions(
            records,
            table,
            passes,
            others=[(name, each) for name, each, _ in others],
            instead=[(name, each) for name, each, _ in instead],
            resamples=options.resamples,
        )
        drawn = [(name, each, outlines_of(path.parent, records)) for name, each, path in instead]
        outlines = try_outlines(
            records,
            table,
            passes,
            instead=[(name, each, outline) for name, each, outline in drawn if outline is not None],
            resamples=options.resamples,
        )
        crossed = [(name, path.parent / FILE) for name, _, path in instead if (path.parent / FILE).is_file()]
        elsewhere = (
            try_elsewhere(
                records,
                LogitTable.read(options.run / FILE),
                [(name, LogitTable.read(path)) for name, path in crossed],
                resamples=options.resamples,
            )
            if crossed and (options.run / FILE).is_file()
            else []
        )
        content = {
            "command": shlex.join(["python", "-m", "ml", "tried", *arguments]),
            "model": options.title,
            "tried": [each.as_dict() for each in (*fusions, *elsewhere)],
            "outlines": [each.as_dict() for each in outlines],
        }
        write_json(options.out, content)
    except ModuleNotFoundError as error:
        # scikit-learn serves comparisons only, so a site that runs models does without it.
        print(f"{error.name} is not installed. Run: pip install -r requirements-dev.txt", file=sys.stderr)
        return 1
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Written: {options.out}")
    return 0


def _named(text: str, keys: Sequence[str]) -> tuple[str, LogitTable, Path]:
    name, path = named_path(text)
    return name, LogitTable.read(path).ordered(keys), path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml tried", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder that ml train wrote, with folds")
    add_collections(parser, meaning="as in training, same order")
    parser.add_argument("--member", action="append", default=[], help="NAME=FILE: out-of-fold.csv to fuse; repeatable")
    parser.add_argument(
        "--instead", action="append", default=[], help="NAME=FILE: out-of-fold.csv to judge in its place; repeatable"
    )
    parser.add_argument("--title", required=True, help="the model in words, such as 'us-mobilenetv2 2.0.1'")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the report, below docs/results")
    add_resamples(parser)
    return parser
