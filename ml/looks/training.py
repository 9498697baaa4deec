"""``python -m ml train``: leak-safe cross-validation of the two-look model, then one final network on all images."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.contract import LABELS
from ml.data.pixels import lesion_mask
from ml.data.readers import file_digest
from ml.data.records import FOLDS, DataError, ImageRecord, summary
from ml.images import read_image, to_grey
from ml.looks.fitting import fit_two_looks
from ml.looks.reading import LookForward, Network, Reading, look_twice
from ml.looks.recipe import TwoLookRecipe
from ml.looks.teaching import NETWORK, EarlierRun
from ml.looks.views import build_looks
from ml.networks.two_looks import LOOKS, TwoLookNetwork, build_two_looks, explained_two_looks
from ml.plots import draw_learning_curves
from ml.runs import Split, claim_run, fold_split, save_network, source_splits
from ml.runtime import TWO_LOOKS
from ml.segment import lesion_mask as outlined
from ml.segment import overlap
from ml.storage import read_arrays, write_arrays, write_text

READINGS = "readings.npz"

_COLUMNS = ("key", "source", "label", "group", "fold", "model", "look", *(f"logit_{label}" for label in LABELS))


def train_two_looks(
    records: Sequence[ImageRecord],
    *,
    weights: Path | None,
    recipe: TwoLookRecipe,
    seed: int,
    out: Path,
    folds: bool,
    final: bool,
    cross_set: bool,
    resume: bool,
    start: Path | None = None,
    teachers: Sequence[Path] = (),
    arguments: Sequence[str] = (),
) -> None:
    """Train what is asked for and leave everything that a release needs in ``out``.

    Writes ``run.json`` (recipe, data, digests, command), ``fold-<k>/``, ``final/``, ``train-<source>/`` with
    ``history.csv``, ``network.npz`` and, where images were held out, ``readings.npz`` (see :func:`read_held_out`);
    ``out-of-fold.csv`` and ``cross-set.csv`` with the raw logits of both looks; and ``learning-curves.png``.

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
        start: a finished run; each network begins with the weights of that run's network of the same split.
        teachers: finished runs whose networks of the same split teach; see :mod:`ml.looks.teaching`.
        arguments: the command line, for the record.

    Raises:
        DataError: ``out`` holds a run of other data, weights, recipe or seed, or holds one and ``resume`` is off;
            ``start`` or a teacher is unfinished or of other images or folds; teachers without ``recipe.teaching``, or
            the reverse.
    """
    digest = file_digest(weights) if weights else "random"
    identity = {
        "kind": TWO_LOOKS,
        "recipe": recipe.as_dict(),
        "seed": seed,
        "weights_sha256": digest,
        "data": summary(records),
        "images": [record.key for record in records],
    }
    if bool(teachers) != bool(recipe.teaching):
        raise DataError("Give teachers (--teacher) and their share of the target (--teaching) together, or neither.")
    earlier = {
        folder: EarlierRun.open(folder, records=records, recipe=recipe, weights_digest=digest)
        for folder in (*([start] if start else ()), *teachers)
    }
    if start:
        identity["start"] = earlier[start].identity()
    if teachers:
        identity["teachers"] = [earlier[folder].identity() for folder in teachers]
    claim_run(out, identity, resume=resume, arguments=arguments)
    began = time.monotonic()
    stem = build_two_looks(weights=weights, side=recipe.side, alpha=recipe.alpha, width=recipe.width).stem
    cache = build_looks(records, stem=stem, recipe=recipe, weights_digest=digest, seed=seed, folder=out / "cache")

    def run(split: Split) -> None:
        folder = out / split.name
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / READINGS).is_file():
            return
        network, _ = fit_two_looks(
            records,
            split=split,
            cache=cache,
            weights=weights,
            recipe=recipe,
            seed=seed,
            folder=folder,
            start=earlier[start] if start else None,
            teachers=[earlier[each] for each in teachers],
        )
        save_network(folder / NETWORK, network.full)
        if len(split.held_out):
            read_held_out(records, split=split, network=network, side=recipe.side, path=folder / READINGS)

    if folds:
        _run_splits(records, [fold_split(records, fold) for fold in range(FOLDS)], run, out, "out-of-fold.csv")
    if final:
        run(Split(name="final", train=np.arange(len(records)), held_out=np.array([], dtype=np.intp)))
    if cross_set:
        _run_splits(records, source_splits(records), run, out, "cross-set.csv")
    draw_learning_curves(out)
    print(f"Finished in {(time.monotonic() - began) / 60:.1f} min: {out}")


def keras_network(network: TwoLookNetwork) -> Network:
    """Run the Keras network one canvas at a time, as the runtime runs its graph."""
    graph = explained_two_looks(network)
    return lambda pixels: run_graph(graph, pixels)[0]


def run_graph(graph: keras.Model, pixels: NDArray[np.float32]) -> list[LookForward]:
    """What :func:`ml.networks.two_looks.explained_two_looks` says of each canvas, float32 (N, S, S, 3) in [-1, 1]."""
    stated = {name: np.asarray(value) for name, value in graph.predict_on_batch(pixels).items()}
    rows, columns = stated["activation_maps"].shape[1:3]
    return [
        LookForward(
            logits=stated["logits"][place],
            maps=stated["activation_maps"][place] * np.float32(1 / (rows * columns)),
            embedding=stated["embedding"][place],
            mask=stated["mask"][place, ..., 0],
        )
        for place in range(len(pixels))
    ]


def read_held_out(
    records: Sequence[ImageRecord], *, split: Split, network: TwoLookNetwork, side: int, path: Path
) -> None:
    """Read every held-out image as the runtime would, and store what a release measures.

    Writes an ``.npz`` with one row for each held-out image: ``index`` into the records; ``whole_logits`` and
    ``close_logits`` (3,); ``whole_maps`` and ``close_maps`` (h, w, 3), Grad-CAM before the ReLU; ``embedding`` (K,);
    ``square`` (top, left, size); ``found_area`` and ``true_area``, the outlined share of the image; ``dice`` and
    ``iou`` of the outline made by both looks, ``dice_whole`` of the first look's alone (NaN where there is no true
    lesion). The outlines are those before the classification has a say.
    """
    forward = keras_network(network)
    rows: list[dict[str, NDArray[np.float32]]] = []
    for index in tqdm(split.held_out, desc=f"{split.name}: reading"):
        record = records[index]
        grey = to_grey(read_image(record.path))
        reading = look_twice(grey, forward, side=side)
        rows.append(_row(reading, lesion_mask(record, height=grey.shape[0], width=grey.shape[1])))
    columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    write_arrays(path, {"index": np.asarray(split.held_out), **columns})


def _row(reading: Reading, true: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    found = outlined(reading.lesion_probability())
    alone = outlined(reading.first.lesion_probability())
    square = reading.first.square
    nothing = (float("nan"), float("nan"))
    dice, iou = overlap(found, true) if true.any() else nothing
    dice_whole, _ = overlap(alone, true) if true.any() else nothing
    values: dict[str, object] = {
        "whole_logits": reading.whole_logits,
        "close_logits": reading.close_logits,
        "whole_maps": reading.first.forward.maps[..., : len(LABELS)],
        "close_maps": reading.second.maps[..., len(LABELS) :],
        "embedding": reading.first.forward.embedding,
        "square": (square.top, square.left, square.size),
        "found_area": (found > 0).mean(),
        "true_area": (true > 0).mean(),
        "dice": dice,
        "iou": iou,
        "dice_whole": dice_whole,
    }
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def _run_splits(
    records: Sequence[ImageRecord], splits: Sequence[Split], run: Callable[[Split], None], out: Path, table: str
) -> None:
    rows: list[list[object]] = []
    for split in splits:
        if not len(split.train) or not len(split.held_out):
            raise DataError(f"{split.name} has no images to train on or none to measure. Check the fold column.")
        run(split)
        readings = read_arrays(out / split.name / READINGS)
        for position, index in enumerate(readings["index"]):
            record = records[int(index)]
            known = [record.key, record.source, record.label, record.leak_group, record.fold, split.name]
            for look in LOOKS:
                rows.append([*known, look, *(f"{value:.7g}" for value in readings[f"{look}_logits"][position])])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows)
    write_text(out / table, text.getvalue())
