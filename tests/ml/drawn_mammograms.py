"""Mammograms drawn by computation: a breast on black, with a bright lesion where one is wanted."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def draw_mammogram(
    *,
    height: int = 512,
    width: int = 400,
    lesion: tuple[float, float, float] | None = None,
    right: bool = False,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """One view, chest wall on the left unless ``right``; the lesion is (row, column, radius) in pixels."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    inside = ((rows - height / 2) / (0.46 * height)) ** 2 + (columns / (0.62 * width)) ** 2 <= 1
    field = cv2.GaussianBlur(random.standard_normal((height, width)).astype(np.float32), (0, 0), 6)
    grain = random.standard_normal((height, width)).astype(np.float32)
    tissue = 95 + 25 * field / field.std() + 3 * grain + 40 * (1 - columns / width)
    if lesion is not None:
        row, column, radius = lesion
        tissue += 110 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * (radius / 1.5) ** 2))
    image = np.where(inside, np.clip(tissue, 20, 250), 0).astype(np.uint8)
    return np.ascontiguousarray(image[:, ::-1]) if right else image


def write_film_collection(folder: Path, *, pairs: int) -> Path:
    """mini-MIAS in small, in the shared layout: pairs of films, normal, benign and malignant in turn."""
    (folder / "images").mkdir(parents=True)
    labels, findings = [], []
    for pair in range(pairs):
        for side in ("right", "left"):
            label = ("benign", "normal", "malignant")[(pair + (side == "left")) % 3]
            name = f"mdb{2 * pair + (side == 'left'):03d}"
            place = None if label == "normal" else (150.0 + 20 * (pair % 5), 90.0, 30.0)
            image = draw_mammogram(lesion=place, right=side == "left", seed=2 * pair + (side == "left"))
            Image.fromarray(image).save(folder / "images" / f"{name}.png")
            labels.append(
                {
                    "image": f"images/{name}.png",
                    "id": name,
                    "label": label,
                    "patient_pair": str(pair),
                    "side": side,
                    "tissue": "FGD"[pair % 3],
                    "fold": str(pair % 5),
                }
            )
            row, column, radius = place or ("", "", "")
            if place and side == "left":
                column = image.shape[1] - 1 - place[1]
            findings.append(
                {
                    "id": name,
                    "abnormality": "NORM" if place is None else "CIRC",
                    "severity": label,
                    "x": column,
                    "y_from_top": row,
                    "radius": radius,
                }
            )
    for table, rows in (("labels.csv", labels), ("abnormalities.csv", findings)):
        with (folder / table).open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder
