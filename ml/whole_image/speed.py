"""What the cache of frozen features saves: one epoch with it against one that computes them anew."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from ml.data.records import DataError, ImageRecord
from ml.networks.zoo import FREEZE_NONE
from ml.whole_image.fitting import Samples, new_network, predict_logits, steps_of
from ml.whole_image.recipe import WholeImageRecipe
from ml.whole_image.run import class_indices
from ml.whole_image.views import PLAIN, ViewTable, build_views


@dataclass(frozen=True, slots=True)
class CacheGain:
    """Seconds of one epoch over the same images.

    Attributes:
        images: images of the epoch.
        cached_s: from cached features: the trained part alone.
        recomputed_s: every image through the frozen part again.
        largest_difference: of a logit between the two ways, relative to the largest logit.
    """

    images: int
    cached_s: float
    recomputed_s: float
    largest_difference: float

    @property
    def ratio(self) -> float:
        """How many times faster the cache is."""
        return self.recomputed_s / self.cached_s


def measure_cache(
    records: Sequence[ImageRecord], *, recipe: WholeImageRecipe, weights: str, seed: int, repeats: int = 3
) -> CacheGain:
    """Time one training epoch both ways; the best of ``repeats``, after a warm-up.

    Args:
        records: the images of the epoch.
        recipe: freezes at least a part of the base.
        weights: as in :func:`ml.networks.zoo.build_network`.
        seed: of weights and views.
        repeats: timed epochs of each kind.

    Raises:
        DataError: the recipe freezes nothing, so there is nothing to cache.
    """
    if recipe.freeze == FREEZE_NONE:
        raise DataError("This recipe freezes nothing, so there is nothing to cache. Set freeze.")
    network = new_network(recipe, weights=weights, seed=seed)
    everything = np.arange(len(records))
    labels = np.eye(len(recipe.classes), dtype=np.float32)[class_indices(records, recipe)]
    with tempfile.TemporaryDirectory() as folder:
        cached = build_views(
            records, network=network, recipe=recipe, weights_digest=weights, seed=seed, folder=Path(folder) / "features"
        )
        pixels = build_views(
            records,
            network=dataclasses.replace(network, stem=None),
            recipe=recipe,
            weights_digest=weights,
            seed=seed,
            folder=Path(folder) / "pixels",
        )
        samples = Samples(images=everything, views=np.full(len(records), PLAIN))
        first, second = predict_logits(network.trunk, cached, samples), predict_logits(network.full, pixels, samples)
        difference = float(np.abs(first - second).max() / max(np.abs(second).max(), 1e-9))
        seconds = []
        for model, table in ((network.trunk, cached), (network.full, pixels)):
            model.compile(
                optimizer=keras.optimizers.Adam(1e-6), loss=keras.losses.CategoricalCrossentropy(from_logits=True)
            )
            timed = [_epoch(model, table, labels, batch=recipe.training.batch) for _ in range(1 + repeats)]
            seconds.append(min(timed[1:]))
    return CacheGain(images=len(records), cached_s=seconds[0], recomputed_s=seconds[1], largest_difference=difference)


def _epoch(model: keras.Model, table: ViewTable, labels: NDArray[np.float32], *, batch: int) -> float:
    began = time.perf_counter()
    for number in range(steps_of(len(labels), batch=batch)):
        chosen = np.arange(len(labels))[number * batch : (number + 1) * batch]
        model.train_on_batch(table.batch(chosen, np.full(len(chosen), PLAIN)), labels[chosen])
    return time.perf_counter() - began
