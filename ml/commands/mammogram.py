"""``python -m ml mammogram train | release | compare``: the detector on mammograms."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from ml.commands.options import (
    add_collections,
    add_headless_weights,
    add_recipe_entries,
    add_release,
    add_resamples,
    add_run_folder,
    artifact_folder,
    chosen_entries,
    headless_weights,
)
from ml.contract import ImageError
from ml.data.readers import read_collections
from ml.data.records import FOLDS, DataError, ImageRecord
from ml.mammogram.recipe import DetectorRecipe
from ml.mammogram.results import result_rows
from ml.storage import read_json, write_json


def run(arguments: Sequence[str]) -> int:
    """Train or release; exit 0, or 1 with a sentence on stderr when data, recipe or folder are wrong."""
    options = _parser().parse_args(arguments)
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(options.threads))
    command = ["mammogram", *arguments]
    try:
        records = read_collections(options.data, layout=options.layout)
        return _STEPS[options.step](options, records, command)
    except (DataError, ImageError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _train(options: argparse.Namespace, records: Sequence[ImageRecord], command: Sequence[str]) -> int:
    named = yaml.safe_load(options.config.read_text(encoding="utf-8")) if options.config else {}
    if not isinstance(named, dict):
        raise ValueError(f"{options.config} must hold a mapping of recipe entries.")
    recipe = DetectorRecipe.from_mapping({**named, **chosen_entries(options, DetectorRecipe)})
    weights = headless_weights(options)
    # TensorFlow takes seconds to load: wrong options are reported before.
    from ml.mammogram.training import PARTS, train_detector

    train_detector(
        records,
        weights=weights,
        recipe=recipe,
        seed=options.seed,
        out=options.out,
        resume=options.resume,
        parts=options.part or PARTS,
        arguments=command,
    )
    return 0


def _release(options: argparse.Namespace, records: Sequence[ImageRecord], command: Sequence[str]) -> int:
    folder = artifact_folder(options)
    from ml.mammogram.release import release_detector

    release_detector(
        options.run,
        records,
        name=options.name,
        version=options.version,
        folder=folder,
        foreign=options.foreign,
        notes=options.note,
        resamples=options.resamples,
        arguments=command,
    )
    if options.results:
        write_json(options.results, [row.as_dict() for row in result_rows(read_json(folder / "evaluation.json"))])
    print(f"Released {options.name} {options.version}: {folder}")
    return 0


def _compare(options: argparse.Namespace, records: Sequence[ImageRecord], command: Sequence[str]) -> int:
    if len(options.run) < 2:
        raise ValueError("Name at least two runs: --run FIRST --run LATER.")
    records = [record for record in records if options.fold is None or record.fold == options.fold]
    from ml.baselines.comparison import as_markdown
    from ml.mammogram.comparison import paired_rows
    from ml.mammogram.release import WITHOUT_MUSCLE

    rows = paired_rows(
        options.run,
        records,
        without_muscle=WITHOUT_MUSCLE,
        command=shlex.join(["python", "-m", "ml", *command]),
        resamples=options.resamples,
    )
    print(as_markdown(rows))
    if options.out:
        write_json(options.out, [row.as_dict() for row in rows])
        print(f"Written: {options.out}")
    return 0


_STEPS = {"train": _train, "release": _release, "compare": _compare}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml mammogram", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    shared = argparse.ArgumentParser(add_help=False)
    add_collections(shared)
    shared.add_argument("--threads", type=int, default=1, help="of TensorFlow")
    train = steps.add_parser("train", parents=[shared], help="five leak-safe folds, then one network on all films")
    add_headless_weights(train)
    add_run_folder(train)
    train.add_argument("--part", action="append", help="train this part alone, such as fold-0 or final; repeatable")
    add_recipe_entries(train, DetectorRecipe)
    release = steps.add_parser("release", parents=[shared], help="measure a run out of fold and write the artefact")
    add_release(release, written_by="train", name="mg-patches", statuses=())
    release.add_argument("--results", type=Path, help="JSON file that receives the rows of the one table")
    compare = steps.add_parser("compare", parents=[shared], help="what later runs have over the first, film by film")
    compare.add_argument("--run", type=Path, action="append", required=True, help="folder that train wrote; repeatable")
    compare.add_argument("--fold", type=int, choices=range(FOLDS), help="films of this fold alone, for stopped runs")
    add_resamples(compare)
    compare.add_argument("--out", type=Path, help="JSON file that receives the rows")
    return parser
