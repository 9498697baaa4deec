"""All views of all images, made once: as canvases, and carried through the frozen part of the network.

What is frozen does not depend on the fold, so its output is computed once and shared by every epoch, fold and the
final network. Nothing is fitted here, hence nothing can leak.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.data.augment import plain_view
from ml.data.readers import file_digest
from ml.data.records import DataError, ImageRecord
from ml.images import read_image, to_grey
from ml.networks.zoo import Network
from ml.storage import read_json, write_json
from ml.whole_image.augmentation import augmented_view
from ml.whole_image.recipe import WholeImageRecipe

PLAIN = 0
"""Index of the view without augmentation, the one that inference sees."""

_SAVE_EVERY = 50


@dataclass(frozen=True, slots=True)
class ViewTable:
    """What the trained part of the network is fed with.

    Attributes:
        values: (images, 1 + views, ...), memory-mapped: frozen features (float16 or float32), or canvases uint8.
        prepare: from stored values (N, ...) to the trunk's input, float32.
    """

    values: NDArray[Any]
    prepare: Callable[[NDArray[Any]], NDArray[np.float32]]

    def batch(self, images: NDArray[np.intp], views: NDArray[np.intp]) -> NDArray[np.float32]:
        """The trunk's input for chosen views of chosen images."""
        return self.prepare(self.values[images, views])


def build_views(
    records: Sequence[ImageRecord],
    *,
    network: Network,
    recipe: WholeImageRecipe,
    weights_digest: str,
    seed: int,
    folder: Path,
) -> ViewTable:
    """Make the table, or go on where a killed run stopped.

    Args:
        records: the images, in a fixed order.
        network: its stem, where it has one, carries the views to the frozen features.
        recipe: gives side and augmentation.
        weights_digest: identifies the frozen weights.
        seed: of the augmentation; view ``v`` of image ``i`` depends on (seed, i, v) only.
        folder: where ``views.npy`` and ``views.json`` live.

    Raises:
        DataError: a frozen feature is too large for half precision, as with random weights of a deep network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, progress = folder / "views.npy", folder / "views.json"
    stem = network.stem
    # Pooled features are few and may be large; maps of features are many, and half precision halves the disk.
    kind: Any = np.uint8 if stem is None else np.float32 if len(stem.output_shape) == 2 else np.float16
    item = (recipe.side, recipe.side) if stem is None else stem.output_shape[1:]
    shape = (len(records), 1 + recipe.augmentation.views, *item)
    identity = _identity(records, shape=shape, recipe=recipe, weights_digest=weights_digest, seed=seed)
    state = read_json(progress) if progress.is_file() and table.is_file() else {}
    done = int(state["done"]) if state.get("identity") == identity else 0
    values = (
        np.lib.format.open_memmap(table, mode="r+")
        if done
        else np.lib.format.open_memmap(table, mode="w+", dtype=kind, shape=shape)
    )
    for index in tqdm(range(done, len(records)), desc="views", disable=done == len(records)):
        canvases = make_canvases(records[index], index=index, recipe=recipe, seed=seed)
        made: NDArray[Any] = canvases
        if stem is not None:
            made = np.asarray(stem.predict_on_batch(network.scale(canvases))).astype(kind)
            if not np.isfinite(made).all():
                raise DataError(
                    f"A frozen feature of {records[index].key} does not fit half precision. "
                    "Freeze less, or use trained weights."
                )
        values[index] = made
        if index % _SAVE_EVERY == _SAVE_EVERY - 1 or index == len(records) - 1:
            values.flush()
            write_json(progress, {"identity": identity, "done": index + 1})
    prepare = network.scale if stem is None else _to_single
    return ViewTable(values=np.load(table, mmap_mode="r"), prepare=prepare)


def make_canvases(record: ImageRecord, *, index: int, recipe: WholeImageRecipe, seed: int) -> NDArray[np.uint8]:
    """The plain view and the random ones of one image, uint8 (1 + views, S, S)."""
    grey = to_grey(read_image(record.path))
    views = [plain_view(grey, side=recipe.side)]
    for number in range(1, recipe.augmentation.views + 1):
        random = np.random.default_rng([seed, index, number])
        views.append(augmented_view(grey, side=recipe.side, augmentation=recipe.augmentation, random=random))
    return np.stack(views)


def _to_single(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


def _identity(
    records: Sequence[ImageRecord], *, shape: tuple[int, ...], recipe: WholeImageRecipe, weights_digest: str, seed: int
) -> str:
    described = recipe.as_dict()
    content = [
        list(shape),
        [described[name] for name in ("network", "side", "width", "freeze", "augmentation")],
        described["head"]["pooling"],
        weights_digest,
        seed,
        [[record.key, file_digest(record.path)] for record in records],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
