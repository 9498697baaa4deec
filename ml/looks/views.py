"""Augmented views of both looks of every image, carried once through the frozen part of the network.

The frozen blocks hold more than half of the arithmetic of a training step. Their output depends on the image and its
augmentation alone, not on the fold, so it is computed once and shared by the folds and the final network. Nothing is
fitted here, hence nothing can leak: the close views are cut round the lesion masks, which are part of the data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.data.augment import plain_view, random_clear_view, random_close_view, random_view_with_mask
from ml.data.pixels import lesion_mask
from ml.data.readers import file_digest
from ml.data.records import ImageRecord
from ml.images import read_image, to_grey
from ml.looks.recipe import TwoLookRecipe
from ml.networks.two_looks import LOOKS
from ml.storage import read_json, write_json

PLAIN = 0
"""Index of the whole view without augmentation, the one that the first look of inference sees."""

_PARTS = {"fine": np.float16, "cut": np.float16, "mask": np.uint8, "drawn": np.bool_}


@dataclass(frozen=True, slots=True)
class LookCache:
    """Frozen features of all views.

    Attributes:
        fine: float16 (images, 1 + 2 views + clear, h, w, C), memory-mapped: the plain whole view, then the augmented
            whole views, then the augmented close ones, then the squares without a lesion.
        cut: float16 likewise.
        mask: uint8 (images, 1 + 2 views + clear, h, w), 0-255, on the grid of ``fine``.
        drawn: bool (images, 1 + 2 views + clear): false, and the view black, where no square without a lesion was
            found.
        masked: bool (images,): the image's lesion mask is known; a normal image's is known to be empty.
        views: augmented views of each look.
    """

    fine: NDArray[np.float16]
    cut: NDArray[np.float16]
    mask: NDArray[np.uint8]
    drawn: NDArray[np.bool_]
    masked: NDArray[np.bool_]
    views: int

    def column(self, look: str, views: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where the given augmented views (0 to ``views - 1``) of a look lie on the second axis."""
        return 1 + LOOKS.index(look) * self.views + views

    def clear_column(self, squares: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where the given squares without a lesion (0 to ``clear - 1``) lie on the second axis."""
        return 1 + len(LOOKS) * self.views + squares


def build_looks(
    records: Sequence[ImageRecord],
    *,
    stem: keras.Model,
    recipe: TwoLookRecipe,
    weights_digest: str,
    seed: int,
    folder: Path,
) -> LookCache:
    """Compute the views, or go on where a killed run stopped.

    Args:
        records: the images, in a fixed order.
        stem: the frozen part of the network.
        recipe: gives the side and the numbers of views and of squares without a lesion.
        weights_digest: SHA-256 of the frozen weights' file; part of the cache's identity.
        seed: of the augmentation; view ``v`` of image ``i`` depends on (seed, i, v) only.
        folder: where the arrays and ``views.json`` live.
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress = folder / "views.json"
    columns = 1 + 2 * recipe.views + recipe.clear
    fine, cut = (stem.output[name].shape[1:] for name in ("fine", "cut"))
    shapes = {"fine": fine, "cut": cut, "mask": fine[:2], "drawn": ()}
    identity = _identity(records, recipe=recipe, weights_digest=weights_digest, seed=seed)
    stored = all((folder / f"{part}.npy").is_file() for part in _PARTS) and progress.is_file()
    state = read_json(progress) if stored else {}
    done = int(state["done"]) if state.get("identity") == identity else 0
    arrays = {
        part: np.lib.format.open_memmap(
            folder / f"{part}.npy",
            mode="r+" if done else "w+",
            dtype=None if done else kind,
            shape=None if done else (len(records), columns, *shapes[part]),
        )
        for part, kind in _PARTS.items()
    }
    grid = (int(fine[1]), int(fine[0]))
    with ThreadPoolExecutor(max_workers=2) as pool:
        todo = range(done, len(records))

        def looks(index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
            return _looks(records[index], index=index, recipe=recipe, seed=seed, grid=grid)

        made = zip(todo, pool.map(looks, todo), strict=True)
        for index, (views, masks, drawn) in tqdm(made, total=len(todo), desc="views"):
            scaled = views.astype(np.float32) / np.float32(127.5) - np.float32(1)
            features = stem.predict_on_batch(np.repeat(scaled[..., None], 3, axis=-1))
            arrays["fine"][index], arrays["cut"][index] = features["fine"], features["cut"]
            arrays["mask"][index], arrays["drawn"][index] = masks, drawn
            if index % 100 == 99 or index == len(records) - 1:
                for array in arrays.values():
                    array.flush()
                write_json(progress, {"identity": identity, "done": index + 1})
    opened = {part: np.load(folder / f"{part}.npy", mmap_mode="r") for part in _PARTS}
    masked = np.array([record.marked or record.label == "normal" for record in records])
    return LookCache(**opened, masked=masked, views=recipe.views)


def _looks(
    record: ImageRecord, *, index: int, recipe: TwoLookRecipe, seed: int, grid: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    grey = to_grey(read_image(record.path))
    mask = lesion_mask(record, height=grey.shape[0], width=grey.shape[1])
    pairs = [(plain_view(grey, side=recipe.side), plain_view(mask, side=recipe.side))]
    for number in range(1, 1 + 2 * recipe.views):
        random = np.random.default_rng([seed, index, number])
        draw = random_view_with_mask if number <= recipe.views else random_close_view
        pairs.append(draw(grey, mask, side=recipe.side, random=random))
    drawn = [True] * len(pairs)
    known = record.marked or record.label == "normal"
    for number in range(1 + 2 * recipe.views, 1 + 2 * recipe.views + recipe.clear):
        random = np.random.default_rng([seed, index, number])
        view = random_clear_view(grey, mask, side=recipe.side, random=random) if known else None
        nothing = np.zeros((recipe.side, recipe.side), np.uint8)
        pairs.append((nothing if view is None else view, nothing))
        drawn.append(view is not None)
    small = [cv2.resize(each, grid, interpolation=cv2.INTER_AREA) for _, each in pairs]
    return np.stack([view for view, _ in pairs]), np.stack(small).astype(np.uint8), np.array(drawn)


def _identity(records: Sequence[ImageRecord], *, recipe: TwoLookRecipe, weights_digest: str, seed: int) -> str:
    content = [
        "looks",
        recipe.side,
        recipe.alpha,
        recipe.views,
        recipe.clear,
        weights_digest,
        seed,
        [[record.key, *map(file_digest, (record.path, *_mask_files(record)))] for record in records],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _mask_files(record: ImageRecord) -> tuple[Path, ...]:
    return (*((record.mask,) if record.mask else ()), *record.more_masks)
