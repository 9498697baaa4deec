"""The published recipe for breast ultrasound, as the comparison asks for it.

MobileNetV2 with its ImageNet base frozen; head of pooling, dense, dropout and softmax; images squeezed to 224 x 224;
batches of 16, Adam, 20 epochs, class weights; flips and zoom. Published with a random split of 315 images and an
accuracy of 0.806; here it runs under such a split and under the leak-safe one. Because the base is frozen, the features
of a few augmented views are computed once and each epoch draws one view of each image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from ml.baselines.comparison import FitPredict, Scores, by_source, measure, out_of_fold, splits_of
from ml.baselines.frozen import SIDE, FeatureStore
from ml.contract import LABELS
from ml.data.readers import file_digest
from ml.data.records import ImageRecord
from ml.images import read_image, to_grey
from ml.metrics import RESAMPLES
from ml.results import ResultRow

SYSTEM = "published recipe (MobileNetV2, frozen base, dense head)"


@dataclass(frozen=True, slots=True)
class PaperRecipe:
    """What the publication states, and for what it leaves open the value that Keras or its tutorials use.

    Attributes:
        batch, epochs: as published.
        learning_rate: Adam's default.
        dense: units of the dense layer.
        dropout: rate before the softmax.
        views: augmented views of each image beside the plain one.
        least_zoom, most_zoom: range of the zoom; flips are left to right.
    """

    batch: int = 16
    epochs: int = 20
    learning_rate: float = 1e-3
    dense: int = 128
    dropout: float = 0.5
    views: int = 2
    least_zoom: float = 0.8
    most_zoom: float = 1.2


def paper_rows(
    records: Sequence[ImageRecord],
    store: FeatureStore,
    *,
    command: str,
    seed: int,
    recipe: PaperRecipe | None = None,
    resamples: int = RESAMPLES,
) -> Iterator[ResultRow]:
    """The recipe on each collection by itself, under the leaky and the leak-safe split."""
    recipe = recipe or PaperRecipe()
    for source, places in by_source(records).items():
        own = [records[place] for place in places]
        labels = np.array([record.label_index for record in own], dtype=np.intp)
        views = view_features(own, store, recipe=recipe, seed=seed, title=source)
        fit_predict = head_fitter(views, labels, recipe=recipe, seed=seed)
        for split, folds in splits_of(own, seed=seed).items():
            scores = out_of_fold(folds, fit_predict)
            yield from measure(
                system=SYSTEM, split=split, records=own, scores=scores, command=command, resamples=resamples
            )


def view_features(
    records: Sequence[ImageRecord], store: FeatureStore, *, recipe: PaperRecipe, seed: int, title: str
) -> NDArray[np.float32]:
    """Frozen features of the plain view (first) and of the augmented ones: float32 (1 + views, N, K)."""
    identity = [[record.key, file_digest(record.path)] for record in records]
    found = []
    for view in range(recipe.views + 1):
        described = ["paper", "plain"] if view == 0 else ["paper", view, seed, recipe.least_zoom, recipe.most_zoom]

        def canvases(view: int = view) -> Iterator[NDArray[np.uint8]]:
            for index, record in enumerate(records):
                grey = to_grey(read_image(record.path))
                squeezed = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
                random = np.random.default_rng([seed, index, view])
                yield augmented(squeezed, recipe=recipe, random=random) if view else squeezed

        found.append(
            store.of_canvases(
                canvases(), identity=[identity, described], count=len(records), title=f"{title} view {view}"
            )
        )
    return np.stack(found)


def augmented(canvas: NDArray[np.uint8], *, recipe: PaperRecipe, random: np.random.Generator) -> NDArray[np.uint8]:
    """A flipped or unflipped, zoomed view: uint8 (S, S) to uint8 (S, S); edges are reflected as Keras does."""
    side = canvas.shape[0]
    flipped = canvas[:, ::-1] if random.random() < 0.5 else canvas
    zoom = float(random.uniform(recipe.least_zoom, recipe.most_zoom))
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), 0.0, zoom)
    warped = cv2.warpAffine(np.ascontiguousarray(flipped), matrix, (side, side), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(warped, np.uint8)


def build_head(width: int, *, recipe: PaperRecipe) -> keras.Model:
    """Dense, dropout, softmax over the labels: (N, width) to probabilities (N, 3)."""
    return keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dense(recipe.dense, activation="relu"),
            keras.layers.Dropout(recipe.dropout),
            keras.layers.Dense(len(LABELS), activation="softmax"),
        ]
    )


def head_fitter(views: NDArray[np.float32], labels: NDArray[np.intp], *, recipe: PaperRecipe, seed: int) -> FitPredict:
    """Bind views (V, N, K) and labels (N,) to a function from indices to fit and to judge to probabilities."""

    def fit_predict(train: NDArray[np.intp], held_out: NDArray[np.intp]) -> Scores:
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        head = build_head(views.shape[2], recipe=recipe)
        head.compile(optimizer=keras.optimizers.Adam(recipe.learning_rate), loss="sparse_categorical_crossentropy")
        counts = np.bincount(labels[train], minlength=len(LABELS))
        weights = {
            label: len(train) / (np.count_nonzero(counts) * count) for label, count in enumerate(counts) if count
        }
        random = np.random.default_rng([seed, 3])
        for _ in range(recipe.epochs):
            shown = views[random.integers(len(views), size=len(train)), train]
            # Keras wants a weight for every label, also for one that this collection does not have.
            head.fit(
                shown,
                labels[train],
                batch_size=recipe.batch,
                epochs=1,
                class_weight={label: weights.get(label, 1.0) for label in range(len(LABELS))},
                verbose=0,
            )
        return np.asarray(head.predict(views[0, held_out], batch_size=256, verbose=0), np.float64)

    return fit_predict
