"""``python -m ml gates``: fit the novelty gate to an installed model and measure all its gates."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ml.commands.options import add_collections, add_resamples
from ml.data.readers import read_collections
from ml.data.records import DataError
from ml.gates import MADE_EACH, SPOILT, fit_and_study, gather
from ml.novelty import EMBEDDING_WEIGHT
from ml.quality import QualityLimits
from ml.registry import active_model, find_model
from ml.runtime import LoadedModel, load_installed
from ml.storage import write_arrays, write_json

_SECTIONS = {
    "false_refusals": "good, out of fold",
    "across_sets": "good, collection never fitted on",
    "accepted_elsewhere": "good, of other origin",
    "spoilt_images": "good, spoilt",
    "other_images": "other kind, real",
    "made_images": "other kind, computed, kind left out",
    "made_families": "other kind, computed, family left out",
}


def run(arguments: Sequence[str]) -> int:
    """Fit and measure; exit 0, or 1 with a sentence on stderr when images are missing or unreadable."""
    parser = argparse.ArgumentParser(prog="python -m ml gates", description=__doc__)
    parser.add_argument("--model", help="name of an installed model; by default the active one for ultrasound")
    parser.add_argument("--version", help="with --model: its version; by default the newest")
    add_collections(parser, meaning="folder of good images with labels")
    parser.add_argument("--foreign", type=Path, action="append", default=[], help="folder of images of other kinds")
    parser.add_argument("--accepted", type=Path, action="append", default=[], help="folder of further good images")
    parser.add_argument("--made", type=int, default=MADE_EACH, help="computed images of each foreign kind")
    parser.add_argument("--spoilt", type=int, default=SPOILT, help="good images that each spoiler is tried on")
    parser.add_argument("--embedding-weight", type=float, default=EMBEDDING_WEIGHT, help="0 leaves the embedding out")
    parser.add_argument("--default-limits", action="store_true", help="this version's quality limits, not the model's")
    add_resamples(parser)
    parser.add_argument("--out", type=Path, help="write the figures there, JSON")
    parser.add_argument("--reference", type=Path, help="write the fitted reference there, .npz")
    options = parser.parse_args(arguments)
    if options.made < 1 or options.spoilt < 1:
        parser.error("--made and --spoilt must be at least 1")
    installed = find_model(options.model, options.version) if options.model else active_model("US")
    model = load_installed(installed)
    if not isinstance(model, LoadedModel):
        parser.error(f"{installed.name} is a detector with gates of its own; name a classifier with --model")
    try:
        material = gather(
            read_collections(options.data, layout=options.layout),
            model,
            limits=QualityLimits() if options.default_limits else None,
            foreign=options.foreign,
            accepted=options.accepted,
            made_each=options.made,
            spoilt=options.spoilt,
        )
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    reference, figures = fit_and_study(material, resamples=options.resamples, embedding_weight=options.embedding_weight)
    shipped = model.novelty
    figures = {
        "command": shlex.join(["python", "-m", "ml", "gates", *arguments]),
        "model": {"name": installed.name, "version": installed.version, "sha256": installed.sha256},
        "date": datetime.now(UTC).date().isoformat(),
        "shipped_reference_is_this_one": None
        if shipped is None
        else bool(np.array_equal(shipped.centers, reference.centers)),
        **figures,
    }
    if options.reference:
        write_arrays(options.reference, reference.to_arrays())
    if options.out:
        write_json(options.out, figures)
    print(refusal_table(figures))
    return 0


def refusal_table(figures: Mapping[str, Any]) -> str:
    """The figures as a Markdown table; intervals are 95 %."""
    lines = ["| images | which | n | share refused |", "| --- | --- | --- | --- |"]
    for section, title in _SECTIONS.items():
        for name, rate in figures[section].items():
            share = f"{rate['value']:.3f} ({rate['low']:.3f}-{rate['high']:.3f})"
            lines.append(f"| {title} | {name} | {rate['n']} | {share} |")
    return "\n".join(lines)
