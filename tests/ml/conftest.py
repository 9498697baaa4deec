"""Images, collections and models that the library's tests share. No test here needs the portal."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ml.bench import synthetic_image
from ml.registry import ARTIFACTS, InstalledModel, find_model

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def ultrasound() -> NDArray[np.uint8]:
    """A made image with the grain of ultrasound, 460 x 620."""
    return synthetic_image()


@pytest.fixture(scope="session")
def shipped() -> InstalledModel:
    """The ultrasound model of the repository, as its manifest describes it."""
    return find_model("us-mobilenetv2", root=ARTIFACTS)


@pytest.fixture(scope="session")
def loaded():
    """The shipped model in memory."""
    from ml.runtime import load

    return load("us-mobilenetv2", root=ARTIFACTS)


@pytest.fixture
def copied(shipped: InstalledModel, tmp_path: Path) -> Path:
    """A root with a copy of the shipped model that a test may damage, in the folder <root>/<name>/<version>."""
    root = tmp_path / "models"
    shutil.copytree(shipped.folder, root / shipped.name / shipped.version)
    return root


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A labelled folder of 20 small images, two of each of ten patients, five folds."""
    return make_collection(tmp_path / "clinic", patients=10)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real images beside the checkout; the test is skipped where they are absent."""
    if not (SHARED / "busi" / "labels.csv").is_file():
        pytest.skip("the shared data folder is not beside this checkout")
    return SHARED


def make_collection(folder: Path, *, patients: int, size: int = 96) -> Path:
    """Write ``labels.csv``, ``images/`` and ``masks/``: two images of each patient, labels in turn."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    rows = []
    for patient in range(patients):
        for side in "lr":
            name = f"p{patient:02d}{side}"
            image = synthetic_image(height=size, width=size + 8, seed=patient * 2 + (side == "r"))
            Image.fromarray(image).save(folder / "images" / f"{name}.png")
            mask = np.zeros_like(image)
            mask[size // 3 : size // 2, size // 3 : size // 2] = 255
            Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
            rows.append(
                {
                    "image": f"images/{name}.png",
                    "mask": f"masks/{name}.png",
                    "label": ("benign", "malignant")[patient % 2],
                    "patient": str(patient),
                    "fold": str(patient // 2 % 5),
                }
            )
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder
