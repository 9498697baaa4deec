"""The command line: ``python -m ml <command>``. Each command imports what it needs, so a prediction loads no Keras."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from ml.contract import ImageError, ModelError

COMMANDS = {
    "train": "train with leak-safe cross-validation",
    "fit": "train any network of the zoo by a recipe in YAML",
    "fit_compare": "finished runs of fit in one table, leaky beside leak-safe",
    "fit_release": "turn a run of fit into a model artefact",
    "fit_speed": "time an epoch from cached frozen features against one without",
    "release": "turn a training run into a model artefact with evaluation and card",
    "mammogram": "train or release the detector on mammograms",
    "table": "write every system's figures into docs/models.md",
    "ensemble": "fuse finished runs by calibrated averaging and measure them",
    "evaluate": "measure an installed model on labelled images",
    "predict": "analyse image files",
    "bench": "time the pipeline against its alternatives",
    "gates": "fit the novelty gate to a model and measure all its gates",
    "verify": "check the installed models file by file",
    "data": "list, fetch and check labelled collections",
    "ablate": "measure what each preprocessing step brings",
    "baselines": "cross-validate classical classifiers and frozen features",
    "paper": "run the published recipe, leaky and leak-safe",
    "tried": "measure what was tried on the ultrasound model beside what is served",
    "shortcuts": "test whether the hospital or burned-in marks give the answer",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 on success, 1 on a failure with a sentence on stderr, 2 on bad usage."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m ml", description="Senolens' learning library.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    chosen = parser.parse_args(arguments[:1]).command
    command = importlib.import_module(f"ml.commands.{chosen}")
    try:
        return int(command.run(arguments[1:]))
    except ModelError as error:
        print(f"{error} {error.remedy}".strip(), file=sys.stderr)
    except ImageError as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. What is left must not fail again when Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
