"""Finding masks for subtracted images, borrowed from the low-energy films of the same breasts (CDD-CESM).

In the collection as shared the low-energy films are padded to squares, black left and right, and the subtracted images
are the same crops stretched to squares. A mask is therefore cut to the film's own columns and stretched likewise.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.data.records import DataError, ImageRecord
from ml.storage import write_bytes

_BLACK = 12
"""Brightest grey of padding, 0-255: JPEG leaves some noise in it."""

_LEAST_COMPACT = 0.4
"""Share of its convex hull that a finding fills; thin arcs along the skin fill less and are left out."""


def borrow_masks(records: Sequence[ImageRecord], *, films: Path, out: Path) -> list[ImageRecord]:
    """The records, with a mask where the low-energy film of the same view has one.

    Args:
        records: subtracted images, named ``<patient>_<side>_CM_<view>``.
        films: folder with ``labels.csv`` (columns image, mask), films named ``<patient>_<side>_DM_<view>``.
        out: receives the masks, PNG of the image's size, 0 or 255.

    Raises:
        DataError: the folder holds no table, or an image of it cannot be read.
    """
    table = films / "labels.csv"
    if not table.is_file():
        raise DataError(f"{table} does not exist. Give the folder of the low-energy films.")
    with table.open(newline="", encoding="utf-8") as handle:
        row_of = {Path(row["image"]).stem: row for row in csv.DictReader(handle) if row.get("mask")}
    found = []
    for record in records:
        row = row_of.get(record.path.stem.replace("_CM_", "_DM_"))
        mask = None
        if row is not None:
            film, drawn, image = (_read(path) for path in (films / row["image"], films / row["mask"], record.path))
            placed = place_mask(drawn, film, shape=image.shape)
            if placed.any():
                mask = out / f"{record.path.stem}.png"
                write_bytes(mask, cv2.imencode(".png", placed)[1].tobytes())
        found.append(dataclasses.replace(record, mask=mask))
    return found


def place_mask(mask: NDArray[np.uint8], film: NDArray[np.uint8], *, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Carry a film's mask over to the subtracted image of the same breast.

    Args:
        mask: uint8 (H, W), above 127 inside a finding.
        film: uint8 (H, W), padded with black columns, as many left as right.
        shape: height and width of the subtracted image.

    Returns:
        uint8 of that shape, 0 or 255; findings that are thin arcs are left out.
    """
    lit = np.flatnonzero((film > _BLACK).mean(axis=0) > 0.02)
    pad = int(min(lit[0], film.shape[1] - 1 - lit[-1])) if len(lit) else 0
    inner = np.ascontiguousarray(mask[:, pad : film.shape[1] - pad] > 127).astype(np.uint8)
    stretched = np.asarray(cv2.resize(inner, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST), np.uint8)
    count, parts = cv2.connectedComponents(stretched)
    kept = np.zeros_like(stretched)
    for part in range(1, count):
        piece = (parts == part).astype(np.uint8)
        (outline, *_), _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        hull = np.zeros_like(piece)
        cv2.fillConvexPoly(hull, cv2.convexHull(outline), 1)
        if piece.sum() >= _LEAST_COMPACT * hull.sum():
            kept |= piece
    return kept * np.uint8(255)


def _read(path: Path) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise DataError(f"{path} cannot be read.")
    return np.asarray(pixels, np.uint8)
