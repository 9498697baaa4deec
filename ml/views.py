"""Augmented views of every image, carried once through the frozen part of the network.

The frozen blocks hold more than half of the arithmetic of a training step. Their output depends on the image and
its augmentation alone, not on the fold, so it is computed once and shared by the folds and the final model. Nothing
is fitted here, hence nothing can leak.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.data.augment import plain_view, random_view
from ml.data.readers import file_digest
from ml.data.records import ImageRecord
from ml.images import read_image, to_grey
from ml.recipe import Recipe
from ml.storage import read_json, write_json

PLAIN = 0
"""Index of the view without augmentation, the one that inference sees."""


@dataclass(frozen=True, slots=True)
class ViewCache:
    """Frozen features of all views.

    Attributes:
        features: float16 (images, 1 + views, h, w, C), memory-mapped; view ``PLAIN`` is the unaugmented one.
    """

    features: NDArray[np.float16]

    def batch(self, images: NDArray[np.intp], views: NDArray[np.intp]) -> NDArray[np.float32]:
        """Features of chosen views: float32 (N, h, w, C)."""
        return np.asarray(self.features[images, views], dtype=np.float32)


def build_views(
    records: Sequence[ImageRecord], *, stem: keras.Model, recipe: Recipe, weights_digest: str, seed: int, folder: Path
) -> ViewCache:
    """Compute the views, or go on where a killed run stopped.

    Args:
        records: the images, in a fixed order.
        stem: the frozen part of the network.
        recipe: gives the side and the number of views.
        weights_digest: SHA-256 of the frozen weights' file; part of the cache's identity.
        seed: of the augmentation; view ``v`` of image ``i`` depends on (seed, i, v) only.
        folder: where ``views.npy`` and ``views.json`` live.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, progress = folder / "views.npy", folder / "views.json"
    shape = (len(records), 1 + recipe.views, *stem.output_shape[1:])
    identity = _identity(records, shape=shape, recipe=recipe, weights_digest=weights_digest, seed=seed)
    state = read_json(progress) if progress.is_file() and table.is_file() else {}
    done = int(state["done"]) if state.get("identity") == identity else 0
    if done:
        features = np.lib.format.open_memmap(table, mode="r+")
    else:
        features = np.lib.format.open_memmap(table, mode="w+", dtype=np.float16, shape=shape)
    with ThreadPoolExecutor(max_workers=2) as pool:
        todo = range(done, len(records))

        def canvases(index: int) -> NDArray[np.uint8]:
            return _canvases(records[index], index=index, recipe=recipe, seed=seed)

        for index, views in tqdm(zip(todo, pool.map(canvases, todo), strict=True), total=len(todo), desc="views"):
            scaled = views.astype(np.float32) / np.float32(127.5) - np.float32(1)
            features[index] = stem.predict_on_batch(np.repeat(scaled[..., None], 3, axis=-1))
            if index % 100 == 99 or index == len(records) - 1:
                features.flush()
                write_json(progress, {"identity": identity, "done": index + 1})
    return ViewCache(features=np.load(table, mmap_mode="r"))


def _canvases(record: ImageRecord, *, index: int, recipe: Recipe, seed: int) -> NDArray[np.uint8]:
    grey = to_grey(read_image(record.path))
    views = [plain_view(grey, side=recipe.side)]
    for number in range(1, recipe.views + 1):
        random = np.random.default_rng([seed, index, number])
        views.append(random_view(grey, side=recipe.side, random=random))
    return np.stack(views)


def _identity(
    records: Sequence[ImageRecord], *, shape: tuple[int, ...], recipe: Recipe, weights_digest: str, seed: int
) -> str:
    content = [
        list(shape),
        recipe.side,
        recipe.alpha,
        weights_digest,
        seed,
        [[record.key, file_digest(record.path)] for record in records],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
