"""Images, collections and models that the library's tests share. No test here needs the portal."""

from __future__ import annotations

import csv
import json
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


@pytest.fixture
def two_look_run(untrained_run: Path, tmp_path: Path) -> Path:
    """A finished run of an untrained network on :func:`collection`; the test may change it."""
    return shutil.copytree(untrained_run, tmp_path / "run")


@pytest.fixture
def one_look_run(untrained_run: Path, tmp_path: Path) -> Path:
    """The same as a run of us-mobilenetv2 1.0.0 was: one look at the whole image, a recipe without a decoder."""
    import keras

    from ml.data.records import FOLDS
    from ml.networks.mobilenet import build_classifier
    from ml.recipe import Recipe
    from ml.runs import save_network

    folder = shutil.copytree(untrained_run, tmp_path / "one-look")
    described = json.loads((folder / "run.json").read_text())
    del described["kind"]
    described["recipe"] = Recipe(side=32, alpha=0.35).as_dict()
    (folder / "run.json").write_text(json.dumps(described))
    keras.utils.set_random_seed(5)
    network = build_classifier(weights=None, side=32, alpha=0.35).full
    for name in ("final", *(f"fold-{fold}" for fold in range(FOLDS))):
        save_network(folder / name / "network.npz", network)
    table = folder / "out-of-fold.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(keepends=True) if ",close," not in line))
    return folder


@pytest.fixture(scope="session")
def untrained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `ml train` leaves, without the training: made once, for it takes seconds. Not to be written to."""
    from ml.contract import LABELS
    from ml.data.readers import read_collections
    from ml.data.records import FOLDS
    from ml.looks.recipe import TwoLookRecipe
    from ml.looks.training import read_held_out
    from ml.networks.two_looks import LOOKS, build_two_looks
    from ml.runs import fold_split, save_network

    root = tmp_path_factory.mktemp("untrained")
    folder = root / "run"
    recipe = TwoLookRecipe(side=32, alpha=0.35)
    records = read_collections([make_collection(root / "clinic", patients=10)])
    network = build_two_looks(weights=None, side=32, alpha=0.35)
    for name in ("final", *(f"fold-{fold}" for fold in range(FOLDS))):
        save_network(folder / name / "network.npz", network.full)
    for fold in range(FOLDS):
        split = fold_split(records, fold)
        read_held_out(records, split=split, network=network, side=32, path=folder / split.name / "readings.npz")
    (folder / "learning-curves.png").write_bytes(b"a plot")
    described = {
        "command": "python -m ml train",
        "kind": "two_looks",
        "recipe": recipe.as_dict(),
        "seed": 1,
        "weights_sha256": "random",
        "data": {"clinic": {"benign": 10, "malignant": 10, "normal": 0, "groups": 10}},
        "images": [record.key for record in records],
    }
    (folder / "run.json").write_text(json.dumps(described))
    random = np.random.default_rng(0)
    logits = [f"logit_{label}" for label in LABELS]
    with (folder / "out-of-fold.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["key", "source", "label", "group", "fold", "model", "look", *logits])
        for record in records:
            for look in LOOKS:
                values = random.normal(size=3) + 2 * np.eye(3)[record.label_index]
                known = [record.key, record.source, record.label, record.leak_group, record.fold, "m", look]
                writer.writerow([*known, *values])
    return folder


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
