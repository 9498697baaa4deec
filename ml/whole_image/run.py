"""One run: leak-safe folds (or a leaky split, on purpose) and a final network, by one recipe."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.data.readers import file_digest
from ml.data.records import FOLDS, DataError, ImageRecord, summary
from ml.networks.zoo import IMAGENET, RANDOM
from ml.plots import draw_curves
from ml.runs import History, claim_run, save_network
from ml.storage import write_text
from ml.whole_image.fitting import Fitted, Samples, fit, new_network, predict_logits
from ml.whole_image.recipe import Training, WholeImageRecipe
from ml.whole_image.views import ViewTable, build_views

CURVES = {"train_loss": "training loss", "validation_loss": "validation loss", "validation_auc": "validation AUC"}

_HELD_OUT = 0.2
"""Share of the augmented copies that the leaky split measures on, as in the publications."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one network is trained on and measured on.

    Attributes:
        name: names its folder, such as ``fold-0``, ``leaky`` or ``final``.
        train, held_out: samples; nothing of ``held_out`` is fitted on. Empty for the final network.
    """

    name: str
    train: Samples
    held_out: Samples


def class_indices(records: Sequence[ImageRecord], recipe: WholeImageRecipe) -> NDArray[np.intp]:
    """Class of each record under the recipe's task, (N,)."""
    classes = recipe.classes
    names = [record.label if record.label in classes else "abnormal" for record in records]
    return np.array([classes.index(name) for name in names], dtype=np.intp)


def leak_safe_parts(records: Sequence[ImageRecord]) -> list[Part]:
    """One part for each of the given folds.

    Raises:
        DataError: a fold without images, or without images outside it.
    """
    parts = []
    for fold in range(FOLDS):
        held_out = np.array([record.fold == fold for record in records])
        if held_out.all() or not held_out.any():
            raise DataError(f"Fold {fold} has no images to train on or none to measure. Check the fold column.")
        train = Samples(images=np.flatnonzero(~held_out))
        parts.append(Part(name=f"fold-{fold}", train=train, held_out=Samples(images=np.flatnonzero(held_out))))
    return parts


def all_copies(images: NDArray[np.intp], recipe: WholeImageRecipe) -> Samples:
    """Every view of every image, the plain one too."""
    count = 1 + recipe.augmentation.views
    return Samples(images=np.repeat(images, count), views=np.tile(np.arange(count), len(images)))


def leaky_part(records: Sequence[ImageRecord], recipe: WholeImageRecipe, *, seed: int) -> Part:
    """The mistake of the publications: augment first, split the copies at random afterwards.

    Copies of one image, and the two breasts of one woman, come to lie on both sides. Its figure is only ever shown
    beside the leak-safe one.
    """
    copies = all_copies(np.arange(len(records)), recipe)
    order = np.random.default_rng([seed, 11]).permutation(len(copies.images))
    cut = round(len(order) * _HELD_OUT)
    return Part(name="leaky", train=copies.take(order[cut:]), held_out=copies.take(order[:cut]))


def has_learnt(history: History, settings: Training) -> bool:
    """Whether the training loss fell by the recipe's ``least_fall``. Nothing but training images is asked."""
    first, last = history[0]["train_loss"], history[-1]["train_loss"]
    return last <= (1 - settings.least_fall) * first


def train_run(
    records: Sequence[ImageRecord],
    *,
    recipe: WholeImageRecipe,
    weights: str,
    seed: int,
    out: Path,
    folds: bool,
    final: bool,
    leaky: bool = False,
    resume: bool,
    arguments: Sequence[str] = (),
) -> None:
    """Train what is asked for and leave everything that an evaluation needs in ``out``.

    Writes ``run.json`` (recipe, data, digests, command), for each network a folder with ``history.csv``,
    ``checkpoint.npz``, ``network.npz`` and ``failed-<n>.csv`` for each training that was begun again, the raw logits of
    images that their network never saw in ``out-of-fold.csv`` (leak-safe) or ``leaky.csv``, and
    ``learning-curves.png``.

    Args:
        records: all images, leak-safe.
        recipe: the recipe.
        weights: path, ``imagenet`` or ``none``.
        seed: of everything random.
        out: the folder of the run.
        folds: cross-validate on the given folds.
        final: train on all images.
        leaky: run the leaky split.
        resume: go on with the run found in ``out``; without it such a folder is refused.
        arguments: the command line, for the record.

    Raises:
        DataError: ``out`` holds a run of other data, weights, recipe or seed, or holds one and ``resume`` is off.
    """
    digest = weights if weights in (RANDOM, IMAGENET) else file_digest(Path(weights))
    identity = {
        "kind": "whole-image",
        "recipe": recipe.as_dict(),
        "seed": seed,
        "weights_sha256": digest,
        "data": summary(records),
        "images": [record.key for record in records],
    }
    claim_run(out, identity, resume=resume, arguments=arguments)
    began = time.monotonic()
    network = new_network(recipe, weights=weights, seed=seed)
    table = build_views(records, network=network, recipe=recipe, weights_digest=digest, seed=seed, folder=out / "cache")
    labels = class_indices(records, recipe)
    groups = [record.leak_group for record in records]

    def train(part: Part) -> Fitted:
        folder = out / part.name
        folder.mkdir(parents=True, exist_ok=True)
        shown = part.train
        if recipe.training.show == "all" and shown.views is None:
            shown = all_copies(shown.images, recipe)
        while True:
            attempt = len(list(folder.glob("failed-*.csv")))
            fitted = fit(
                name=part.name,
                recipe=recipe,
                table=table,
                labels=labels,
                groups=groups,
                samples=shown,
                weights=weights,
                seed=seed + attempt,
                folder=folder,
            )
            if attempt >= recipe.training.restarts or has_learnt(fitted.history, recipe.training):
                break
            # The checkpoint goes first: a run killed between the two lines repeats this attempt and ends here again.
            (folder / "checkpoint.npz").unlink()
            (folder / "history.csv").rename(folder / f"failed-{attempt + 1}.csv")
        save_network(folder / "network.npz", fitted.network.full)
        return fitted

    if folds:
        measured = [(part, _measure(train(part), table, part)) for part in leak_safe_parts(records)]
        write_text(out / "out-of-fold.csv", _logit_table(records, measured, recipe))
    if leaky:
        part = leaky_part(records, recipe, seed=seed)
        write_text(out / "leaky.csv", _logit_table(records, [(part, _measure(train(part), table, part))], recipe))
    if final:
        train(Part(name="final", train=Samples(np.arange(len(records))), held_out=Samples(np.array([], np.intp))))
    draw_curves(out, panels=CURVES)
    print(f"Finished in {(time.monotonic() - began) / 60:.1f} min: {out}")


def _measure(fitted: Fitted, table: ViewTable, part: Part) -> NDArray[np.float32]:
    return predict_logits(fitted.network.trunk, table, part.held_out)


def _logit_table(
    records: Sequence[ImageRecord],
    measured: Sequence[tuple[Part, NDArray[np.float32]]],
    recipe: WholeImageRecipe,
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["key", "source", "label", "group", "fold", "model", *(f"logit_{name}" for name in recipe.classes)])
    for part, logits in measured:
        for index, values in zip(part.held_out.images, logits, strict=True):
            record = records[index]
            identity = [record.key, record.source, record.label, record.leak_group, record.fold, part.name]
            writer.writerow([*identity, *(f"{value:.7g}" for value in values)])
    return text.getvalue()
