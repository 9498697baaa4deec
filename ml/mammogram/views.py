"""Augmented views of every film, carried once through the frozen part of the network, and windows cut from them.

The frozen features of a film are kept for the whole canvas, so that any window of it costs no more than reading it, and
the tissue round a window's content is that of the film, as when the detector slides. Nothing is fitted here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.data.records import ImageRecord
from ml.images import network_input
from ml.mammogram.film import CANVAS, GRID
from ml.mammogram.network import STEM_STRIDE
from ml.mammogram.targets import TaughtFilm, cell_targets, read_taught_film, targets_of
from ml.storage import read_json, write_json

PLAIN = 0
"""Index of the view without augmentation, the one that inference sees."""


@dataclass(frozen=True, slots=True)
class FilmViews:
    """All views of all films.

    Attributes:
        features: float16 (films, 1 + views, 96, 64, C), memory-mapped.
        targets: uint8 (films, 1 + views, 48, 32), :class:`ml.mammogram.targets.Cell`.
    """

    features: NDArray[np.float16]
    targets: NDArray[np.uint8]


def build_film_views(
    records: Sequence[ImageRecord], *, stem: keras.Model, views: int, seed: int, digest: str, folder: Path
) -> FilmViews:
    """Compute the views, or go on where a killed run stopped.

    Args:
        records: the films, in a fixed order.
        stem: the frozen part of the network.
        views: augmented views of each film; view ``v`` of film ``i`` depends on (seed, i, v) only.
        seed: of the augmentation.
        digest: SHA-256 of the frozen weights; part of the cache's identity.
        folder: where the cache lives.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, labels, progress = folder / "features.npy", folder / "targets.npy", folder / "views.json"
    shape = (len(records), 1 + views, CANVAS[0] // STEM_STRIDE, CANVAS[1] // STEM_STRIDE, stem.output_shape[-1])
    content = [list(shape), seed, digest, [record.key for record in records]]
    identity = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    state = read_json(progress) if progress.is_file() and table.is_file() else {}
    done = int(state["done"]) if state.get("identity") == identity else 0
    mode = "r+" if done else "w+"
    features = np.lib.format.open_memmap(table, mode=mode, dtype=np.float16, shape=shape)
    targets = np.lib.format.open_memmap(labels, mode=mode, dtype=np.uint8, shape=(len(records), 1 + views, *GRID))
    for index in tqdm(range(done, len(records)), desc="views"):
        taught = read_taught_film(records[index])
        for view in range(1 + views):
            if view == PLAIN:
                canvas, cells = taught.film.canvas, cell_targets(taught)
            else:
                canvas, cells = augmented(taught, np.random.default_rng([seed, index, view]))
            features[index, view] = stem.predict_on_batch(network_input(canvas))[0]
            targets[index, view] = cells
        if index % 50 == 49 or index == len(records) - 1:
            features.flush()
            targets.flush()
            write_json(progress, {"identity": identity, "done": index + 1})
    return FilmViews(features=np.load(table, mmap_mode="r"), targets=np.load(labels))


def augmented(taught: TaughtFilm, random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One random view: flips, rotation, zoom and shift; gamma, contrast, local contrast, noise and blur.

    Returns:
        the canvas, uint8 ``CANVAS``, and its targets, uint8 ``GRID``.
    """
    matrix = _motion(random)

    def moved(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        size = (CANVAS[1], CANVAS[0])
        return np.asarray(cv2.warpAffine(mask.astype(np.uint8), matrix, size, flags=cv2.INTER_NEAREST) > 0)

    canvas = np.asarray(
        cv2.warpAffine(taught.film.canvas, matrix, (CANVAS[1], CANVAS[0]), flags=cv2.INTER_LINEAR), np.uint8
    )
    breast = moved(taught.film.breast)
    joined = {"benign": np.zeros(CANVAS, bool), "malignant": np.zeros(CANVAS, bool)}
    for lesion in taught.lesions:
        joined[lesion.label] |= lesion.mask
    cells = targets_of(
        breast=breast,
        benign=moved(joined["benign"]),
        malignant=moved(joined["malignant"]),
        unclear=np.ones(CANVAS, bool) if taught.unplaced else moved(taught.unclear),
    )
    return _developed(canvas, breast, random), cells


def _motion(random: np.random.Generator) -> NDArray[np.float64]:
    angle = np.deg2rad(random.uniform(-20, 20))
    zoom = float(np.exp(random.uniform(-0.2, 0.2)))
    flip = [1.0 if random.random() < 0.5 else -1.0, 1.0 if random.random() < 0.7 else -1.0]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * zoom @ np.diag(flip)
    centre = np.array([CANVAS[1], CANVAS[0]]) / 2
    offset = centre + random.uniform(-16, 16, 2) - turn @ centre
    return np.column_stack([turn, offset])


def _developed(canvas: NDArray[np.uint8], breast: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.uint8]:
    """The same breast on another film or detector."""
    if random.random() < 0.3:
        clip = float(random.uniform(1.0, 3.0))
        canvas = np.asarray(cv2.createCLAHE(clipLimit=clip, tileGridSize=(8, 8)).apply(canvas), np.uint8)
    pixels = canvas.astype(np.float32) / np.float32(255)
    pixels = np.power(pixels, np.float32(np.exp(random.uniform(-0.35, 0.35))))
    pixels = pixels * np.float32(random.uniform(0.8, 1.15)) + np.float32(random.uniform(-0.05, 0.05))
    if random.random() < 0.3:
        noise = random.standard_normal(pixels.shape, dtype=np.float32)
        pixels += noise * np.float32(random.uniform(0.005, 0.03))
    if random.random() < 0.3:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), float(random.uniform(0.4, 1.0))), np.float32)
    out = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    out[~breast] = 0
    return out
