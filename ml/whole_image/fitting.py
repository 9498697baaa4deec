"""Fit one network on chosen views of chosen images, epoch by epoch; a killed run goes on where it stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.metrics import area_under_curve, softmax
from ml.networks.rates import DiscriminativeAdam
from ml.networks.zoo import Network, build_network
from ml.runs import History, history_table
from ml.storage import read_arrays, write_arrays, write_text
from ml.whole_image.recipe import WholeImageRecipe, positive_class
from ml.whole_image.views import PLAIN, ViewTable

Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

_PREDICT_BATCH = 64
_BEST = "best_"


@dataclass(frozen=True, slots=True)
class Samples:
    """Images to learn from or to be measured on.

    Attributes:
        images: (N,) indices into the records.
        views: (N,) the view of each; ``None`` lets training walk through all views, and measuring use the plain one.
    """

    images: NDArray[np.intp]
    views: NDArray[np.intp] | None = None

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Samples:
        """The chosen samples only."""
        return Samples(images=self.images[chosen], views=None if self.views is None else self.views[chosen])


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network and how it got there.

    Attributes:
        network: with the weights that are kept.
        history: one row an epoch.
        kept_epoch: the epoch, counted from 1, whose weights are kept.
    """

    network: Network
    history: History
    kept_epoch: int


def new_network(recipe: WholeImageRecipe, *, weights: str, seed: int) -> Network:
    """Build the recipe's network; the same seed gives the same random weights, whatever was built before."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    return build_network(
        recipe.network,
        classes=len(recipe.classes),
        side=recipe.side,
        weights=weights,
        width=recipe.width,
        freeze=recipe.freeze,
        train_normalisation=recipe.batch_norm == "train",
        pooling=recipe.head.pooling,
        dense=recipe.head.dense,
        dropout=recipe.head.dropout,
    )


def split_off_validation(
    samples: Samples, *, groups: Sequence[str], labels: NDArray[np.intp], share: float, seed: int
) -> tuple[Samples, Samples]:
    """Set whole groups aside, label by label, for the learning curve and early stopping.

    Args:
        samples: what may be trained on.
        groups: leak group of every record.
        labels: (records,) class of every record.
        share: of the groups of each label, 0-1; at least one group of a label that has two. A group counts under the
            highest label of its images.
        seed: of the choice.

    Returns:
        training and validation samples; no group is in both.
    """
    label_of: dict[str, int] = {}
    for index in samples.images:
        label_of[groups[index]] = max(label_of.get(groups[index], 0), int(labels[index]))
    random = np.random.default_rng([seed, 7])
    aside: set[str] = set()
    for label in sorted(set(label_of.values())):
        names = sorted(name for name, own in label_of.items() if own == label)
        count = min(len(names) - 1, max(1, round(share * len(names)))) if share else 0
        aside |= {names[place] for place in random.permutation(len(names))[:count]}
    inside = np.array([groups[index] in aside for index in samples.images], dtype=bool)
    return samples.take(~inside), samples.take(inside)


def fit(
    *,
    name: str,
    recipe: WholeImageRecipe,
    table: ViewTable,
    labels: NDArray[np.intp],
    groups: Sequence[str],
    samples: Samples,
    weights: str,
    seed: int,
    folder: Path,
) -> Fitted:
    """Train one network.

    Args:
        name: shown beside the progress bar.
        recipe: the training recipe.
        table: the trunk's input of all records.
        labels: (records,) class of every record.
        groups: leak group of every record.
        samples: what may be fitted on; validation images are set aside among them.
        weights: as in :func:`ml.networks.zoo.build_network`.
        seed: of weights, order, dropout, mixup and the validation split.
        folder: receives ``checkpoint.npz`` and ``history.csv`` after every epoch; a checkpoint found there is
            continued.
    """
    network = new_network(recipe, weights=weights, seed=seed)
    settings = recipe.training
    learn, watch = split_off_validation(samples, groups=groups, labels=labels, share=settings.validation, seed=seed)
    trunk = _compiled(network, recipe, steps=steps_of(len(learn.images), batch=settings.batch))
    state = folder / "checkpoint.npz"
    history, best = _restore(state, trunk) if state.is_file() else ([], None)
    sample_weights = class_weights(labels[learn.images], classes=len(recipe.classes), rule=settings.class_weights)
    while len(history) < settings.epochs and not _should_stop(history, patience=settings.patience):
        epoch = len(history)
        batches = _Batches(
            table, learn, labels=labels, weights=sample_weights, recipe=recipe, random=_random(seed, epoch), epoch=epoch
        )
        bar = tqdm(batches, total=len(batches), desc=f"{name} {epoch + 1}/{settings.epochs}", leave=False)
        row = {"epoch": float(epoch + 1), "train_loss": _train_epoch(trunk, bar)}
        if len(watch.images):
            row |= _validation_row(predict_logits(trunk, table, watch), labels[watch.images], classes=recipe.classes)
        history.append(row)
        if settings.patience and _best_epoch(history) == len(history):
            best = [np.array(weight) for weight in trunk.get_weights()]
        _save(state, trunk, history, best)
        write_text(folder / "history.csv", history_table(history))
        tqdm.write(f"{name}: " + ", ".join(f"{title} {value:.4g}" for title, value in row.items()))
    if best is not None:
        trunk.set_weights(best)
    return Fitted(
        network=network, history=history, kept_epoch=_best_epoch(history) if settings.patience else len(history)
    )


def steps_of(count: int, *, batch: int) -> int:
    """Full batches in ``count`` samples; one smaller batch where they fill none."""
    return max(1, count // batch)


def class_weights(labels: NDArray[np.intp], *, classes: int, rule: str) -> NDArray[np.float32]:
    """Weight of each sample, mean 1: all classes that occur weigh the same with ``balanced``. float32 (N,)."""
    if rule == "none":
        return np.ones(len(labels), np.float32)
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)


def predict_logits(trunk: keras.Model, table: ViewTable, samples: Samples) -> NDArray[np.float32]:
    """Logits of samples, the plain view where none is named: float32 (N, C)."""
    views = np.full(len(samples.images), PLAIN) if samples.views is None else samples.views
    rows = []
    for start in range(0, len(samples.images), _PREDICT_BATCH):
        here = slice(start, start + _PREDICT_BATCH)
        rows.append(np.asarray(trunk.predict_on_batch(table.batch(samples.images[here], views[here]))))
    return np.concatenate(rows).astype(np.float32)


class _Batches:
    """Batches of one epoch: inputs with mixup, one-hot targets, sample weights.

    All batches have the same size, because a new size makes Keras trace the step anew: what is left over after the
    last full one rests for this epoch; the order is another in each.
    """

    def __init__(
        self,
        table: ViewTable,
        samples: Samples,
        *,
        labels: NDArray[np.intp],
        weights: NDArray[np.float32],
        recipe: WholeImageRecipe,
        random: np.random.Generator,
        epoch: int,
    ) -> None:
        order = random.permutation(len(samples.images))
        self._table, self._random, self._recipe = table, random, recipe
        self._images, self._weights = samples.images[order], weights[order]
        self._targets = np.eye(len(recipe.classes), dtype=np.float32)[labels[self._images]]
        count = recipe.augmentation.views
        if samples.views is not None:
            self._views = samples.views[order]
        elif count:
            # Each image walks through its views in turn, so that none returns before all were shown.
            self._views = 1 + (self._images * 7 + epoch) % count
        else:
            self._views = np.full(len(order), PLAIN)

    def __len__(self) -> int:
        return steps_of(len(self._images), batch=self._recipe.training.batch)

    def __iter__(self) -> Iterator[Batch]:
        size, mixup = self._recipe.training.batch, self._recipe.augmentation.mixup
        for number in range(len(self)):
            here = slice(number * size, (number + 1) * size)
            inputs = self._table.batch(self._images[here], self._views[here])
            targets, weights = self._targets[here], self._weights[here]
            if mixup:
                share = self._random.beta(mixup, mixup, len(inputs)).astype(np.float32)
                partner = self._random.permutation(len(inputs))
                inputs, targets, weights = (
                    _mix(values, values[partner], share) for values in (inputs, targets, weights)
                )
            yield inputs, targets, weights


def _mix(first: NDArray[np.float32], second: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    column = share.reshape(-1, *[1] * (first.ndim - 1))
    return first * column + second * (1 - column)


def _compiled(network: Network, recipe: WholeImageRecipe, *, steps: int) -> keras.Model:
    settings = recipe.training
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        rise = min(steps, max(1, settings.epochs * steps - 1))
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=settings.learning_rate / 10,
            decay_steps=max(1, settings.epochs * steps - rise),
            warmup_target=settings.learning_rate,
            warmup_steps=rise,
        )
    trunk = network.trunk
    optimizer = DiscriminativeAdam(learning_rate=rate, factors=network.rate_factors(recipe.rates))
    optimizer.build(trunk.trainable_variables)
    trunk.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing),
        jit_compile=False,
    )
    return trunk


def _train_epoch(trunk: keras.Model, batches: tqdm[Batch]) -> float:
    total, count = 0.0, 0
    for inputs, targets, weights in batches:
        # Reset each time: Keras would otherwise return a running mean over some of the batches.
        trunk.reset_metrics()
        loss = float(trunk.train_on_batch(inputs, targets, sample_weight=weights))
        if not math.isfinite(loss):
            raise ValueError("The loss is no longer a number. Lower training.learning_rate or use trained weights.")
        total += loss * len(inputs)
        count += len(inputs)
    return total / count


def _validation_row(
    logits: NDArray[np.float32], labels: NDArray[np.intp], *, classes: Sequence[str]
) -> dict[str, float]:
    probabilities = softmax(logits)
    positive = positive_class(classes)
    return {
        "validation_loss": float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-9)).mean()),
        "validation_accuracy": float((probabilities.argmax(1) == labels).mean()),
        "validation_auc": area_under_curve(labels == positive, probabilities[:, positive]),
    }


def _best_epoch(history: History) -> int:
    return 1 + int(np.argmin([row["validation_loss"] for row in history]))


def _should_stop(history: History, *, patience: int) -> bool:
    return bool(patience and history) and len(history) - _best_epoch(history) >= patience


def _random(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch])


def _variables(trunk: keras.Model) -> list[Any]:
    """All that an epoch changes: weights, dropout's random state, moments, step count."""
    return [*trunk.variables, *trunk.optimizer.variables]


def _save(path: Path, trunk: keras.Model, history: History, best: list[NDArray[np.float32]] | None) -> None:
    arrays = {f"{number:05d}": np.asarray(variable) for number, variable in enumerate(_variables(trunk))}
    arrays |= {f"{_BEST}{number:05d}": weight for number, weight in enumerate(best or [])}
    arrays["history"] = np.frombuffer(json.dumps(history).encode(), dtype=np.uint8)
    write_arrays(path, arrays)


def _restore(path: Path, trunk: keras.Model) -> tuple[History, list[NDArray[np.float32]] | None]:
    stored = read_arrays(path)
    history: History = json.loads(stored.pop("history").tobytes().decode())
    best = [stored.pop(name) for name in sorted(stored) if name.startswith(_BEST)]
    variables = _variables(trunk)
    if len(stored) != len(variables):
        raise ValueError(f"{path} belongs to another network or recipe. Remove it, or train into another folder.")
    for number, variable in enumerate(variables):
        variable.assign(stored[f"{number:05d}"])
    return history, best or None
