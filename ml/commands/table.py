"""``python -m ml table``: every system in one table, written into ``docs/models.md``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ml.models_page import copy_plots, fill_page, newest_of_each, page_sections
from ml.registry import installed_models
from ml.storage import write_text

DOCS = Path(__file__).resolve().parents[2] / "docs"


def run(arguments: Sequence[str]) -> int:
    """Write the page and copy the plots; exit 0, or 1 with a sentence on stderr, also when ``--check`` fails."""
    options = _parser().parse_args(arguments)
    try:
        models = newest_of_each(installed_models(options.models))
        before = options.page.read_text(encoding="utf-8")
        plots = options.results / "plots"
        linked = Path(os.path.relpath(plots, options.page.parent)).as_posix()
        after = fill_page(before, page_sections(models, results=options.results, plots=linked))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.check:
        if before != after:
            print(f"{options.page} is not what its sources say. Run `python -m ml table`.", file=sys.stderr)
            return 1
        return 0
    write_text(options.page, after)
    copy_plots(models, plots)
    print(f"Written: {options.page}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml table", description=__doc__)
    parser.add_argument("--results", type=Path, default=DOCS / "results", help="folder of JSON rows; plots go below it")
    parser.add_argument("--page", type=Path, default=DOCS / "models.md", help="page with the markers")
    parser.add_argument("--models", type=Path, help="folder of artefacts; by default those that are installed")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is stale")
    return parser
