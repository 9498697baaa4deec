"""Fit one network on chosen records, epoch by epoch, so that a killed run goes on where it stopped."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.data.records import ImageRecord
from ml.metrics import area_under_curve, softmax
from ml.networks.mobilenet import Classifier, build_classifier
from ml.recipe import Recipe
from ml.storage import read_arrays, write_arrays, write_text
from ml.views import PLAIN, ViewCache

History = list[dict[str, float]]


@dataclass(frozen=True, slots=True)
class Split:
    """What is trained on and what is only looked at.

    Attributes:
        name: names the folder of the run, such as ``fold-0`` or ``final``.
        train: indices into the records.
        held_out: indices that are never fitted on; empty for the final model.
    """

    name: str
    train: NDArray[np.intp]
    held_out: NDArray[np.intp]


Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


class _Batches:
    """Batches of one epoch: frozen features with mixup, soft targets and image weights."""

    def __init__(
        self,
        *,
        cache: ViewCache,
        images: NDArray[np.intp],
        labels: NDArray[np.intp],
        weights: NDArray[np.float32],
        recipe: Recipe,
        seed: int,
        epoch: int,
    ) -> None:
        self._cache, self._recipe = cache, recipe
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(len(images))
        self._images, self._labels, self._weights = images[order], labels[order], weights[order]
        # Each image walks through its own order of views, so a view returns only after all others were shown.
        first = np.random.default_rng([seed]).integers(recipe.views, size=len(images))
        self._views = 1 + (first[order] + epoch) % recipe.views
        self._partner = [
            random.permutation(min(recipe.batch, len(images) - start)) for start in range(0, len(images), recipe.batch)
        ]
        self._share = random.beta(recipe.mixup, recipe.mixup, len(images)) if recipe.mixup else np.ones(len(images))

    def __len__(self) -> int:
        return len(self._partner)

    def __iter__(self) -> Iterator[Batch]:
        """The batches in order; the next one is read from disk while the caller works on this one."""
        with ThreadPoolExecutor(max_workers=1) as reader:
            coming = reader.submit(self._read, 0)
            for number in range(1, len(self) + 1):
                batch = coming.result()
                if number < len(self):
                    coming = reader.submit(self._read, number)
                yield batch

    def _read(self, number: int) -> Batch:
        here = slice(number * self._recipe.batch, (number + 1) * self._recipe.batch)
        features = self._cache.batch(self._images[here], self._views[here])
        targets = np.eye(len(LABELS), dtype=np.float32)[self._labels[here]]
        weights = self._weights[here]
        partner = self._partner[number]
        share = self._share[here].astype(np.float32)
        column = share[:, None]
        features = features * column[..., None, None] + features[partner] * (1 - column[..., None, None])
        targets = targets * column + targets[partner] * (1 - column)
        return features, targets, weights * share + weights[partner] * (1 - share)


def image_weights(records: Sequence[ImageRecord], *, balance: float) -> NDArray[np.float32]:
    """Weight of each image: (images of its source and label) ** -balance, with mean 1. float32 (N,)."""
    sizes: dict[tuple[str, str], int] = {}
    for record in records:
        sizes[record.source, record.label] = sizes.get((record.source, record.label), 0) + 1
    raw = np.array([sizes[record.source, record.label] ** -balance for record in records])
    return (raw / raw.mean()).astype(np.float32)


def fit(
    records: Sequence[ImageRecord],
    *,
    split: Split,
    cache: ViewCache,
    weights: Path | None,
    recipe: Recipe,
    seed: int,
    folder: Path,
) -> tuple[Classifier, History]:
    """Train one network.

    Args:
        records: all images; ``split`` chooses among them.
        split: which images are fitted on and which are only measured, epoch by epoch, for the learning curve.
        cache: frozen features of all records.
        weights: headless ImageNet weights, or ``None``.
        recipe: the training recipe; the number of epochs is fixed, nothing is chosen on the held-out images.
        seed: of weights, order and dropout.
        folder: receives ``checkpoint.npz`` after every epoch and ``history.csv``. A checkpoint found there is
            continued.

    Returns:
        the trained network (moving average of the weights) and the learning curve, one row per epoch.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    classifier = build_classifier(weights=weights, side=recipe.side, alpha=recipe.alpha, dropout=recipe.dropout)
    trunk = classifier.trunk
    steps = math.ceil(len(split.train) / recipe.batch)
    warmup = max(1, round(recipe.warmup_epochs * steps))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=recipe.learning_rate / 10,
        decay_steps=max(1, recipe.epochs * steps - warmup),
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=recipe.weight_decay,
        use_ema=recipe.average > 0,
        ema_momentum=recipe.average or 0.99,
        ema_overwrite_frequency=None,
    )
    optimizer.build(trunk.trainable_variables)
    trunk.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        jit_compile=False,
    )
    state = folder / "checkpoint.npz"
    history = restore_state(state, trunk) if state.is_file() else []
    labels = np.array([record.label_index for record in records], dtype=np.intp)
    chosen = [records[index] for index in split.train]
    balanced = image_weights(chosen, balance=recipe.balance)
    for epoch in range(len(history), recipe.epochs):
        batches = _Batches(
            cache=cache,
            images=split.train,
            labels=labels[split.train],
            weights=balanced,
            recipe=recipe,
            seed=seed,
            epoch=epoch,
        )
        row = {"epoch": float(epoch + 1), "train_loss": _train_epoch(trunk, batches)}
        if len(split.held_out):
            row |= _held_out_row(predict_logits(trunk, cache, split.held_out), labels[split.held_out])
        history.append(row)
        save_state(state, trunk, history)
        write_text(folder / "history.csv", history_table(history))
        print(f"{split.name}: " + ", ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
    if recipe.average:
        optimizer.finalize_variable_values(trunk.trainable_variables)
    return classifier, history


def _train_epoch(trunk: keras.Model, batches: _Batches) -> float:
    """One pass over the batches; the mean loss.

    ``Model.fit`` is not used: it puts the moving average in the place of the weights after every call.
    """
    total, count = 0.0, 0
    for features, targets, weights in batches:
        # Reset each time: Keras would otherwise return a running mean over some of the batches.
        trunk.reset_metrics()
        total += float(trunk.train_on_batch(features, targets, sample_weight=weights)) * len(features)
        count += len(features)
    return total / count


def predict_logits(trunk: keras.Model, cache: ViewCache, images: NDArray[np.intp]) -> NDArray[np.float32]:
    """Logits of unaugmented images: float32 (N, 3)."""
    rows = []
    for start in range(0, len(images), 64):
        chosen = images[start : start + 64]
        rows.append(trunk.predict_on_batch(cache.batch(chosen, np.full(len(chosen), PLAIN))))
    return np.concatenate(rows).astype(np.float32)


def _held_out_row(logits: NDArray[np.float32], labels: NDArray[np.intp]) -> dict[str, float]:
    probabilities = softmax(logits)
    malignant = LABELS.index("malignant")
    return {
        "held_out_loss": float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-9)).mean()),
        "held_out_accuracy": float((probabilities.argmax(1) == labels).mean()),
        "held_out_auc": area_under_curve(labels == malignant, probabilities[:, malignant]),
    }


def history_table(history: History) -> str:
    """The learning curve as CSV, one row per epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in history)
    return text.getvalue()


def _variables(trunk: keras.Model) -> list[Any]:
    """All that an epoch changes: weights, dropout's random state, moments, moving averages, step count."""
    return [*trunk.variables, *trunk.optimizer.variables]


def save_state(path: Path, trunk: keras.Model, history: History) -> None:
    """Store all that an epoch changes, so that :func:`restore_state` can go on."""
    arrays = {f"{number:05d}": np.asarray(variable) for number, variable in enumerate(_variables(trunk))}
    arrays["history"] = np.frombuffer(json.dumps(history).encode(), dtype=np.uint8)
    write_arrays(path, arrays)


def restore_state(path: Path, trunk: keras.Model) -> History:
    """Put a stored state back into the compiled network; the learning curve so far.

    Raises:
        ValueError: the file belongs to another network or recipe.
    """
    stored = read_arrays(path)
    history: History = json.loads(stored.pop("history").tobytes().decode())
    variables = _variables(trunk)
    if len(stored) != len(variables):
        raise ValueError(f"{path} belongs to another network or recipe. Remove it, or train into another folder.")
    for number, variable in enumerate(variables):
        variable.assign(stored[f"{number:05d}"])
    return history
