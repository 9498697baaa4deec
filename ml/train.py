"""``python -m ml train``: leak-safe cross-validation, then one final network on all images by the same recipe."""

from __future__ import annotations

import csv
import io
import shlex
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.data.readers import file_digest
from ml.data.records import FOLDS, DataError, ImageRecord, summary
from ml.fitting import Split, fit, predict_logits
from ml.networks.mobilenet import Classifier, build_classifier
from ml.plots import draw_learning_curves
from ml.recipe import Recipe
from ml.storage import read_json, write_arrays, write_json, write_text
from ml.views import ViewCache, build_views


def train(
    records: Sequence[ImageRecord],
    *,
    weights: Path | None,
    recipe: Recipe,
    seed: int,
    out: Path,
    folds: bool,
    final: bool,
    cross_set: bool,
    resume: bool,
    arguments: Sequence[str] = (),
) -> None:
    """Train what is asked for and leave everything that an evaluation needs in ``out``.

    Writes ``run.json`` (recipe, data, digests, command), ``fold-<k>/``, ``final/``, ``train-<source>/`` with
    ``history.csv`` and ``network.npz``, ``out-of-fold.csv`` and ``cross-set.csv`` with raw logits, and
    ``learning-curves.png``.

    Args:
        records: all images, leak-safe.
        weights: headless ImageNet weights, or ``None`` for random ones.
        recipe: the training recipe.
        seed: of everything random.
        out: the folder of the run.
        folds: run the five-fold cross-validation.
        final: train on all images.
        cross_set: train on each source alone and predict the others.
        resume: go on with the run found in ``out``; without it such a folder is refused.
        arguments: the command line, for the record.

    Raises:
        DataError: ``out`` holds a run of other data, weights, recipe or seed, or holds one and ``resume`` is off.
    """
    digest = file_digest(weights) if weights else "random"
    identity = {
        "recipe": recipe.as_dict(),
        "seed": seed,
        "weights_sha256": digest,
        "data": summary(records),
        "images": [record.key for record in records],
    }
    _claim(out, identity, resume=resume, arguments=arguments)
    began = time.monotonic()
    stem = build_classifier(weights=weights, side=recipe.side, alpha=recipe.alpha).stem
    cache = build_views(records, stem=stem, recipe=recipe, weights_digest=digest, seed=seed, folder=out / "cache")

    def run(split: Split) -> Classifier:
        folder = out / split.name
        folder.mkdir(parents=True, exist_ok=True)
        network, _ = fit(records, split=split, cache=cache, weights=weights, recipe=recipe, seed=seed, folder=folder)
        save_network(folder / "network.npz", network.full)
        return network

    if folds:
        _run_splits(records, [fold_split(records, fold) for fold in range(FOLDS)], run, cache, out / "out-of-fold.csv")
    if final:
        run(Split(name="final", train=np.arange(len(records)), held_out=np.array([], dtype=np.intp)))
    if cross_set:
        _run_splits(records, source_splits(records), run, cache, out / "cross-set.csv")
    draw_learning_curves(out)
    print(f"Finished in {(time.monotonic() - began) / 60:.1f} min: {out}")


def fold_split(records: Sequence[ImageRecord], fold: int) -> Split:
    """Hold out one fold of every source."""
    held_out = np.array([record.fold == fold for record in records])
    return Split(name=f"fold-{fold}", train=np.flatnonzero(~held_out), held_out=np.flatnonzero(held_out))


def source_splits(records: Sequence[ImageRecord]) -> list[Split]:
    """For each source: train on it alone, hold out all others.

    Raises:
        DataError: there is only one source.
    """
    sources = sorted({record.source for record in records})
    if len(sources) < 2:
        raise DataError("Training across sets needs two collections. Pass --data twice.")
    splits = []
    for source in sources:
        own = np.array([record.source == source for record in records])
        splits.append(Split(name=f"train-{source}", train=np.flatnonzero(own), held_out=np.flatnonzero(~own)))
    return splits


def _run_splits(
    records: Sequence[ImageRecord],
    splits: Sequence[Split],
    run: Callable[[Split], Classifier],
    cache: ViewCache,
    table: Path,
) -> None:
    rows: list[tuple[Split, NDArray[np.float32]]] = []
    for split in splits:
        if not len(split.train) or not len(split.held_out):
            raise DataError(f"{split.name} has no images to train on or none to measure. Check the fold column.")
        network = run(split)
        rows.append((split, predict_logits(network.trunk, cache, split.held_out)))
    write_text(table, _logit_table(records, rows))


def _logit_table(records: Sequence[ImageRecord], rows: Sequence[tuple[Split, NDArray[np.float32]]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["key", "source", "label", "group", "fold", "model", *(f"logit_{label}" for label in LABELS)])
    for split, logits in rows:
        for index, values in zip(split.held_out, logits, strict=True):
            record = records[index]
            identity = [record.key, record.source, record.label, record.leak_group, record.fold, split.name]
            writer.writerow([*identity, *(f"{value:.7g}" for value in values)])
    return text.getvalue()


def save_network(path: Path, network: keras.Model) -> None:
    """Store all weights in order of creation, as float32 ``.npz``."""
    write_arrays(path, {f"{number:04d}": weight for number, weight in enumerate(network.get_weights())})


def _claim(out: Path, identity: dict[str, object], *, resume: bool, arguments: Sequence[str]) -> None:
    description = out / "run.json"
    if description.is_file():
        found = read_json(description)
        if not resume:
            raise DataError(f"{out} already holds a run. Add --resume to go on with it, or choose another --out.")
        different = [name for name, value in identity.items() if found.get(name) != value]
        if different:
            raise DataError(
                f"{out} holds a run with another {', '.join(different)}. Use the same options, or another --out."
            )
        return
    command = shlex.join(["python", "-m", "ml", *arguments])
    started = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(description, {"command": command, "started": started, "keras": keras.__version__, **identity})
