"""``python -m ml bench``: the cost of an analysis beside its alternatives, one table."""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.bench_suite import BenchError, Plan, as_json, as_text, measure
from ml.commands.files import image_files
from ml.commands.options import add_installed_model, add_speed
from ml.registry import active_model, find_model
from ml.storage import write_text


def run(arguments: Sequence[str]) -> int:
    """Print the table.

    Returns:
        0, also when a goal is missed; 1 with a sentence on stderr when nothing can be measured; 2 on bad usage.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    runs = options.runs or (30 if options.quick else 200)
    if min(runs, options.threads, options.workers) < 1:
        parser.error("--runs, --threads and --workers must be at least 1")
    images, _ = image_files([options.images]) if options.images else ([], [])
    if options.images and not images:
        print(f"{options.images} holds no images. Name a folder with PNG or JPEG files.", file=sys.stderr)
        return 1
    plan = Plan(
        runs=runs,
        threads=options.threads,
        workers=options.workers,
        images=tuple(images),
        epoch_images=0 if options.no_training else 64,
        keras=not options.no_keras,
    )
    installed = find_model(options.model, options.version) if options.model else active_model(options.modality)
    try:
        measured = measure(installed, plan)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    said = as_json(measured) if options.json else as_text(measured)
    print(said)
    if options.out:
        command = shlex.join(["python", "-m", "ml", "bench", *arguments])
        title = "# Speed and memory of the models"
        made = f"`{command}`, {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}."
        try:
            write_text(options.out, said + "\n" if options.json else f"{title}\n\n{made}\n\n{said}\n")
        except OSError as error:
            print(f"{options.out} cannot be written ({error.strerror or error}). Choose another file.", file=sys.stderr)
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml bench", description=__doc__)
    add_installed_model(parser)
    parser.add_argument("--images", type=Path, metavar="DIR", help="images to time with; by default made ones")
    parser.add_argument("--quick", action="store_true", help="30 runs of each row instead of 200")
    parser.add_argument("--runs", type=int, help="runs of each single-image row")
    add_speed(parser, workers="images of the batch at the same time")
    parser.add_argument("--no-keras", action="store_true", help="leave out what needs TensorFlow")
    parser.add_argument("--no-training", action="store_true", help="leave out the training epochs")
    parser.add_argument("--json", action="store_true", help="JSON instead of the table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write it there, such as docs/results/bench.md")
    return parser
