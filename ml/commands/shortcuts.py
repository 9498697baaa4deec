"""``python -m ml shortcuts``: can the hospital be guessed from an installed model's embedding, do burned-in marks give
the answer away, and what do frozen features and the model's fold networks lose when the marks are painted over."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml.commands.options import add_collections, add_resamples, named_path
from ml.data.readers import read_collections
from ml.data.records import DataError
from ml.registry import find_model
from ml.runtime import LoadedModel, load_installed
from ml.storage import write_json


def run(arguments: Sequence[str]) -> int:
    """Measure; exit 0, or 1 with a sentence on stderr when data, model or weights are wrong."""
    options = _parser().parse_args(arguments)
    try:
        records = read_collections(options.data, layout=options.layout)
        if (options.weights is None) != (options.cache is None):
            raise DataError("--weights and --cache belong together: give both, or neither.")
        if options.weights is not None and not options.weights.is_file():
            raise DataError(
                f"{options.weights} does not exist. Give the headless MobileNetV2 weights, or leave it out."
            )
        beside = [named_path(text) for text in options.beside]
        model = load_installed(find_model(options.model, options.version))
        if not isinstance(model, LoadedModel):
            raise DataError(
                f"{options.model} is no classifier of whole images: it has no embedding of a hospital to test."
            )
        from ml.shortcuts import embed, hospital_figures, marks_figures, marks_only, masked_figures, paired_figures

        report: dict[str, Any] = {
            "command": shlex.join(["python", "-m", "ml", "shortcuts", *arguments]),
            "model": f"{model.identity.name} {model.identity.version}",
            "origin": hospital_figures(embed(records, model), records, resamples=options.resamples),
        }
        if options.marks:
            report["marks_only"] = marks_figures(marks_only(records), records, resamples=options.resamples)
        if options.run is not None:
            from ml.looks.folds import FoldNetworks

            networks = FoldNetworks(options.run, records)
            report["masked"] = masked_figures(networks.probabilities, records, resamples=options.resamples)
        for name, folder in beside:
            from ml.looks.folds import open_folds

            asked = open_folds(folder, records).probabilities
            figures = masked_figures(asked, records, resamples=options.resamples)
            report.setdefault("masked_beside", {})[name] = figures
        if options.weights is not None:
            # TensorFlow takes seconds to load: without weights it is not needed.
            from ml.baselines.frozen import FeatureStore
            from ml.baselines.run import frozen_when_masked

            scores = frozen_when_masked(records, FeatureStore(options.cache, weights=options.weights))
            report["frozen_when_masked"] = paired_figures(*scores, records, resamples=options.resamples)
        write_json(options.out, report)
    except ModuleNotFoundError as error:
        # scikit-learn serves comparisons only, so a site that runs models does without it.
        print(f"{error.name} is not installed. Run: pip install -r requirements-dev.txt", file=sys.stderr)
        return 1
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for question, figures in report["origin"].items():
        accuracy = figures["accuracy"]
        print(
            f"{question}: accuracy {accuracy['value']:.3f} ({accuracy['low']:.3f}-{accuracy['high']:.3f}), "
            f"largest share {figures['largest_share']:.3f}, n = {accuracy['n']}"
        )
    print(f"Written: {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml shortcuts", description=__doc__)
    add_collections(parser)
    parser.add_argument("--model", default="us-mobilenetv2", help="installed model")
    parser.add_argument("--version", help="by default the newest")
    parser.add_argument(
        "--run", type=Path, help="the model's training run: tests its fold networks on masked images they never saw"
    )
    parser.add_argument(
        "--beside", action="append", default=[], help="NAME=RUN: another run to test like --run; repeatable"
    )
    parser.add_argument("--marks", action="store_true", help="measure what marks alone give away")
    parser.add_argument(
        "--weights", type=Path, help="headless ImageNet weights: tests frozen features on masked images"
    )
    parser.add_argument("--cache", type=Path, help="folder that keeps the frozen features")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the report")
    add_resamples(parser)
    return parser
