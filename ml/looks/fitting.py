"""Fit one two-look network on chosen records, epoch by epoch, so that a killed run goes on where it stopped."""

from __future__ import annotations

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
from ml.looks.recipe import TwoLookRecipe
from ml.looks.teaching import EarlierRun, Teachers
from ml.looks.views import PLAIN, LookCache
from ml.metrics import area_under_curve, softmax
from ml.networks.two_looks import LOOKS, TwoLookNetwork, build_two_looks
from ml.runs import History, Split, history_table, image_weights, restore_state, save_state
from ml.storage import write_text

Arrays = dict[str, NDArray[np.float32]]

MASKS = {"mask": 1, "mask_8": 2, "mask_16": 4}
"""The decoder's outputs and by how much each is coarser than the finest."""


NORMAL = LABELS.index("normal")


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the trunk takes for one step.

    Attributes:
        inputs, targets, weights: by name of input or output.
        taught: bool (N,): the teachers may speak of this view.
    """

    inputs: Arrays
    targets: Arrays
    weights: Arrays
    taught: NDArray[np.bool_]

    def joined(self, other: _Batch) -> _Batch:
        def both(first: Arrays, second: Arrays) -> Arrays:
            return {name: np.concatenate([first[name], second[name]]) for name in first}

        return _Batch(
            inputs=both(self.inputs, other.inputs),
            targets=both(self.targets, other.targets),
            weights=both(self.weights, other.weights),
            taught=np.concatenate([self.taught, other.taught]),
        )


class _Batches:
    """Batches of one epoch: whole and close views of the same images, with mixup inside each look."""

    def __init__(
        self,
        *,
        cache: LookCache,
        images: NDArray[np.intp],
        labels: NDArray[np.intp],
        weights: NDArray[np.float32],
        recipe: TwoLookRecipe,
        seed: int,
        epoch: int,
    ) -> None:
        self._cache, self._recipe = cache, recipe
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(len(images))
        self._images, self._labels, self._weights = images[order], labels[order], weights[order]
        # Each image walks through its own order of views, so a view returns only after all others were shown.
        first = np.random.default_rng([seed]).integers(recipe.views, size=(len(images), len(LOOKS)))
        self._views = (first[order] + epoch) % recipe.views
        self._partner = [
            [random.permutation(min(recipe.batch, len(images) - start)) for _ in LOOKS]
            for start in range(0, len(images), recipe.batch)
        ]
        share = random.beta(recipe.mixup, recipe.mixup, (len(images), 2)) if recipe.mixup else np.ones((len(images), 2))
        self._share = share.astype(np.float32)
        # Drawn apart, so that a recipe without such squares sees its images in the order that it always did.
        lots = np.random.default_rng([seed, epoch, len(LOOKS)])
        self._square = lots.integers(max(1, recipe.clear), size=(len(images), len(LOOKS)))
        self._clear = lots.random((len(images), len(LOOKS))) < recipe.clear_share

    def __len__(self) -> int:
        return len(self._partner)

    def __iter__(self) -> Iterator[_Batch]:
        """The batches; the next one is read from disk while the caller works on this one."""
        with ThreadPoolExecutor(max_workers=1) as reader:
            coming = reader.submit(self._read, 0)
            for number in range(1, len(self) + 1):
                batch = coming.result()
                if number < len(self):
                    coming = reader.submit(self._read, number)
                yield batch

    def _read(self, number: int) -> _Batch:
        whole, close = (self._look(number, position) for position in range(len(LOOKS)))
        return whole.joined(close)

    def _look(self, number: int, position: int) -> _Batch:
        here = slice(number * self._recipe.batch, (number + 1) * self._recipe.batch)
        images, cache = self._images[here], self._cache
        columns = cache.column(LOOKS[position], self._views[here, position])
        labels = self._labels[here]
        if self._recipe.clear:
            squares = cache.clear_column(self._square[here, position])
            clear = self._clear[here, position] & cache.drawn[images, squares]
            columns, labels = np.where(clear, squares, columns), np.where(clear, NORMAL, labels)
        else:
            clear = np.zeros(len(images), np.bool_)
        partner, share = self._partner[number][position], self._share[here, position]

        def mixed(values: NDArray[Any]) -> NDArray[np.float32]:
            exact = values.astype(np.float32)
            factor = share.reshape(-1, *[1] * (exact.ndim - 1))
            return np.asarray(exact * factor + exact[partner] * (1 - factor), np.float32)

        inputs = {
            "fine": mixed(cache.fine[images, columns]),
            "cut": mixed(cache.cut[images, columns]),
            "look": np.full((len(images), 1), position, np.float32),
        }
        finest = mixed(cache.mask[images, columns])[..., None] / np.float32(255)
        targets = {name: _coarser(finest, factor) for name, factor in MASKS.items()}
        targets["logits"] = mixed(np.eye(len(LABELS), dtype=np.float32)[labels])
        known = (cache.masked[images] & cache.masked[images[partner]]).astype(np.float32)
        weights = {"logits": mixed(self._weights[here]), **dict.fromkeys(MASKS, known)}
        # An earlier network was never told that such a square is normal tissue: there the label alone speaks.
        taught = ~(clear | clear[partner])
        return _Batch(inputs=inputs, targets=targets, weights=weights, taught=taught)


def _coarser(mask: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    number, height, width, _ = mask.shape
    return mask.reshape(number, height // factor, factor, width // factor, factor, 1).mean(axis=(2, 4))


@keras.saving.register_keras_serializable(package="senolens")
class MaskLoss(keras.losses.Loss):
    """Binary cross-entropy plus soft Dice loss (Milletari et al., 3DV 2016), per image, on mask logits (N, h, w, 1)."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        ops = keras.ops
        crossed = ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=True), axis=(1, 2, 3))
        found = ops.sigmoid(y_pred)
        common = ops.sum(found * y_true, axis=(1, 2, 3))
        total = ops.sum(found, axis=(1, 2, 3)) + ops.sum(y_true, axis=(1, 2, 3))
        return crossed + 1 - (2 * common + 1) / (total + 1)


def fit_two_looks(
    records: Sequence[ImageRecord],
    *,
    split: Split,
    cache: LookCache,
    weights: Path | None,
    recipe: TwoLookRecipe,
    seed: int,
    folder: Path,
    start: EarlierRun | None = None,
    teachers: Sequence[EarlierRun] = (),
) -> tuple[TwoLookNetwork, History]:
    """Train one network; the moving average of its weights, and the learning curve.

    Args:
        records: all images; ``split`` chooses among them.
        split: which images are fitted on and which are only measured, epoch by epoch, for the learning curve.
        cache: frozen features of all records.
        weights: headless ImageNet weights, or ``None``.
        recipe: the training recipe; the number of epochs is fixed, nothing is chosen on the held-out images.
        seed: of weights, order and dropout.
        folder: receives ``checkpoint.npz`` after every epoch and ``history.csv``. A checkpoint found there is
            continued.
        start: the run whose network of this split gives the first weights, instead of ``weights`` alone.
        teachers: the runs whose networks of this split teach; ``recipe.teaching`` says how much.

    Raises:
        DataError: ``start`` or a teacher has no network of this split.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    network = build_two_looks(
        weights=weights, side=recipe.side, alpha=recipe.alpha, dropout=recipe.dropout, width=recipe.width
    )
    trunk = network.trunk
    if start is not None:
        start.start(network, split=split.name)
    told = Teachers(teachers, split=split.name) if teachers else None
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
    judged = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    trunk.compile(
        optimizer=optimizer,
        loss={"logits": judged, **{name: MaskLoss() for name in MASKS}},
        loss_weights={
            "logits": 1.0,
            **{name: recipe.mask_weight if name == "mask" else recipe.deep_supervision for name in MASKS},
        },
        jit_compile=False,
    )
    state = folder / "checkpoint.npz"
    history = restore_state(state, trunk) if state.is_file() else []
    labels = np.array([record.label_index for record in records], dtype=np.intp)
    balanced = image_weights([records[index] for index in split.train], balance=recipe.balance)
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
        row = {"epoch": float(epoch + 1), **_train_epoch(trunk, batches, told, recipe.teaching)}
        if len(split.held_out):
            row |= _held_out_row(trunk, cache, split.held_out, labels[split.held_out])
        history.append(row)
        save_state(state, trunk, history)
        write_text(folder / "history.csv", history_table(history))
        print(f"{split.name}: " + ", ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
    if recipe.average:
        optimizer.finalize_variable_values(trunk.trainable_variables)
    return network, history


def _train_epoch(trunk: keras.Model, batches: _Batches, teachers: Teachers | None, teaching: float) -> dict[str, float]:
    """One pass over the batches; mean total loss and its classification and mask parts."""
    totals: dict[str, float] = {}
    count = 0
    for batch in batches:
        targets = batch.targets
        if teachers is not None:
            share = np.float32(teaching) * batch.taught[:, None].astype(np.float32)
            taught = targets["logits"] * (1 - share) + teachers.probabilities(batch.inputs) * share
            targets = {**targets, "logits": taught}
        # Reset each time: Keras would otherwise return a running mean over some of the batches.
        trunk.reset_metrics()
        stated = trunk.train_on_batch(batch.inputs, targets, sample_weight=batch.weights, return_dict=True)
        number = len(batch.taught)
        for name in ("loss", "logits_loss", "mask_loss"):
            totals[name] = totals.get(name, 0.0) + float(stated[name]) * number
        count += number
    return {f"train_{name}": total / count for name, total in totals.items()}


def _held_out_row(
    trunk: keras.Model, cache: LookCache, images: NDArray[np.intp], labels: NDArray[np.intp]
) -> dict[str, float]:
    """The first look on unaugmented images, and the overlap of its masks on the decoder's grid."""
    logits, dice = [], []
    for start in range(0, len(images), 64):
        chosen = images[start : start + 64]
        stated = trunk.predict_on_batch(
            {
                "fine": cache.fine[chosen, PLAIN].astype(np.float32),
                "cut": cache.cut[chosen, PLAIN].astype(np.float32),
                "look": np.zeros((len(chosen), 1), np.float32),
            }
        )
        logits.append(stated["logits"])
        found, true = stated["mask"][..., 0] > 0, cache.mask[chosen, PLAIN] > 127
        sizes = found.sum((1, 2)) + true.sum((1, 2))
        overlap = 2 * (found & true).sum((1, 2)) / np.maximum(sizes, 1)
        dice.append(overlap[true.any((1, 2))])
    probabilities = softmax(np.concatenate(logits).astype(np.float32))
    malignant = LABELS.index("malignant")
    return {
        "held_out_loss": float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-9)).mean()),
        "held_out_accuracy": float((probabilities.argmax(1) == labels).mean()),
        "held_out_auc": area_under_curve(labels == malignant, probabilities[:, malignant]),
        "held_out_dice": float(np.concatenate(dice).mean()) if sum(map(len, dice)) else 0.0,
    }
