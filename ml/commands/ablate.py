"""``python -m ml ablate``: what each preprocessing step brings or costs, by itself."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.commands.options import add_layout, add_resamples
from ml.data.readers import read_collections
from ml.data.records import DataError
from ml.storage import write_json, write_text


def run(arguments: Sequence[str]) -> int:
    """Measure; exit 0, or 1 with a sentence on stderr when data, weights or folder are wrong."""
    options = _parser().parse_args(arguments)
    try:
        ultrasound = [read_collections([folder], layout=options.layout) for folder in options.data]
        mammograms = [read_collections([folder], layout=options.layout) for folder in options.mammograms]
        if not ultrasound and not mammograms:
            raise DataError("Nothing to measure. Give --data or --mammograms.")
        if not options.weights.is_file():
            raise DataError(f"{options.weights} does not exist. Give the headless MobileNetV2 weights.")
        # TensorFlow takes seconds to load: wrong options are reported before.
        from ml.ablations import STEP_NAMES, Effect, ablate_mammograms, ablate_ultrasound, as_markdown
        from ml.baselines.frozen import FeatureStore

        unknown = sorted(set(options.step) - set(STEP_NAMES))
        if unknown:
            raise DataError(f"There is no step {unknown[0]!r}. Known: {', '.join(STEP_NAMES)}.")
        store = FeatureStore(options.cache, weights=options.weights)
        command = shlex.join(["python", "-m", "ml", "ablate", *arguments])
        effects: list[Effect] = []
        for place, records in enumerate([*ultrasound, *mammograms]):
            if place < len(ultrasound):
                effects += ablate_ultrasound(records, store, steps=options.step, resamples=options.resamples)
            else:
                effects += ablate_mammograms(
                    records, store, steps=options.step, seed=options.seed, resamples=options.resamples
                )
            # After each collection, so that a run that is stopped leaves what it has.
            content = {"command": command, "effects": [each.as_dict() for each in effects]}
            write_json(options.out / f"{options.name}.json", content)
            write_text(options.out / f"{options.name}.md", as_markdown(effects))
    except ModuleNotFoundError as error:
        # scikit-learn serves comparisons only, so a site that runs models does without it.
        print(f"{error.name} is not installed. Run: pip install -r requirements-dev.txt", file=sys.stderr)
        return 1
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Written: {options.out / options.name}.json and {options.name}.md")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml ablate", description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[], help="ultrasound collection; repeatable")
    parser.add_argument("--mammograms", type=Path, action="append", default=[], help="mammograms; repeatable")
    add_layout(parser)
    parser.add_argument("--weights", type=Path, required=True, help="headless ImageNet weights (.weights.h5)")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the features")
    parser.add_argument("--out", type=Path, required=True, help="folder of the two reports")
    parser.add_argument("--name", default="ablations", help="of the reports, NAME.json and NAME.md")
    parser.add_argument("--step", action="append", default=[], help="measure this step only; repeatable")
    add_resamples(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the places of normal tissue")
    return parser
