"""Frozen ImageNet features of images, kept in a folder so that each variant is computed once.

The network is MobileNetV2 (Sandler et al., CVPR 2018) without its head, as it comes from ImageNet; nothing is fitted
here, so nothing can leak.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.data.readers import file_digest
from ml.data.records import ImageRecord
from ml.images import Letterbox, read_image
from ml.preprocess import Preprocessing, prepare
from ml.storage import read_arrays, write_arrays

SIDE = 224
BATCH = 32

Canvas = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""From an image as read, uint8 (H, W[, 3]), to what the network sees, uint8 (SIDE, SIDE)."""


def canvas_after(preprocessing: Preprocessing) -> Canvas:
    """What the network sees after the steps: letterboxed, uint8 (SIDE, SIDE)."""

    def canvas(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        grey = prepare(image, preprocessing).grey
        return Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=SIDE).place(grey)

    return canvas


def build_base(weights: Path | None) -> keras.Model:
    """Headless MobileNetV2 with global average pooling: (N, 224, 224, 3) in [-1, 1] to (N, 1280).

    Args:
        weights: headless ImageNet weights (``.weights.h5``), or ``None`` for random ones.
    """
    return keras.applications.MobileNetV2(
        input_shape=(SIDE, SIDE, 3), include_top=False, pooling="avg", weights=str(weights) if weights else None
    )


class FeatureStore:
    """Computes features, or finds them where an earlier run left them.

    Attributes:
        folder: holds one ``.npz`` for each variant; its name is a digest of images, weights and variant.
    """

    def __init__(self, folder: Path, *, weights: Path | None) -> None:
        self.folder = folder
        self._weights = weights
        self._digest = file_digest(weights) if weights else "random"
        self._base: keras.Model | None = None

    def of_records(
        self, records: Sequence[ImageRecord], canvas: Canvas, *, variant: object, title: str = "features"
    ) -> NDArray[np.float32]:
        """Features (N, 1280) of records.

        Args:
            records: the images, in order.
            canvas: makes what the network sees.
            variant: JSON-able description of ``canvas``; part of the identity of what is kept.
            title: of the progress bar.
        """
        identity = [[record.key, file_digest(record.path)] for record in records]
        canvases = (canvas(read_image(record.path)) for record in records)
        return self.of_canvases(canvases, identity=[identity, variant], count=len(records), title=title)

    def of_canvases(
        self, canvases: Iterable[NDArray[np.uint8]], *, identity: object, count: int, title: str = "features"
    ) -> NDArray[np.float32]:
        """Features (count, 1280) of canvases, which are not drawn when the features are already there.

        Args:
            canvases: uint8 (SIDE, SIDE) each, ``count`` of them.
            identity: JSON-able; says what the canvases are.
        """
        content = json.dumps([identity, self._digest, SIDE], sort_keys=True)
        path = self.folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.npz"
        if path.is_file():
            return read_arrays(path)["features"]
        if self._base is None:
            self._base = build_base(self._weights)
        found = [
            self._base.predict_on_batch(_scaled(np.stack(batch)))
            for batch in _batches(tqdm(canvases, total=count, desc=title, leave=False), BATCH)
        ]
        features = np.concatenate(found).astype(np.float32)
        write_arrays(path, {"features": features})
        return features


def _scaled(canvases: NDArray[np.uint8]) -> NDArray[np.float32]:
    scaled = canvases.astype(np.float32) / np.float32(127.5) - np.float32(1)
    return np.repeat(scaled[..., None], 3, axis=-1)


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
