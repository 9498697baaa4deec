"""``python -m ml release``: a training run becomes an artefact that the portal may install."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ml.card import write_card
from ml.contract import LABELS
from ml.data.records import ImageRecord
from ml.evaluate import Calibration, evaluate_run
from ml.explainer import explainer_from
from ml.explanations import explanation_entry, study_explanations
from ml.export import export_graph, probability_gaps, restore_network, store_half_precision
from ml.images import Letterbox, network_input, read_image, to_grey
from ml.metrics import RESAMPLES
from ml.networks.mobilenet import explained_graph
from ml.quality import QualityLimits
from ml.recipe import Recipe
from ml.refusals import study_refusals
from ml.registry import MANIFEST, manifest_seal
from ml.runtime import load_folder
from ml.storage import read_json, write_json

MODEL_FILE = "model.tflite"
WEIGHTS_FILE = "weights.npz"
LIBRARIES = ("tensorflow-cpu", "keras", "ai-edge-litert", "numpy", "opencv-python-headless")

_PARITY_IMAGES = 200


def release(
    run: Path,
    records: Sequence[ImageRecord],
    *,
    name: str,
    version: str,
    status: str,
    folder: Path,
    foreign: Sequence[Path] = (),
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
    arguments: Sequence[str] = (),
) -> None:
    """Write the artefact: graph, half-precision weights, manifest, evaluation, card and plots.

    Args:
        run: a finished run with ``final/network.npz`` and ``out-of-fold.csv``.
        records: the images of the run.
        name, version, status: identity for the manifest.
        folder: the artefact's folder; replaced as a whole when everything is written.
        foreign: folders of images of other kinds, to measure refusals.
        notes: sentences about this run that a reader of the card must know.
        resamples: of every bootstrap.
        arguments: the command line, for the record.

    Raises:
        ValueError: the run is of other images, or unfinished.
    """
    described = read_json(run / "run.json")
    if described["images"] != [record.key for record in records]:
        raise ValueError(f"{run} was trained on other images. Pass the same --data in the same order.")
    for needed in ("final/network.npz", "out-of-fold.csv"):
        if not (run / needed).is_file():
            raise ValueError(f"{run / needed} does not exist. Finish the training first.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and renamed at the end: a worker never sees half a model.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as staging:
        written = Path(staging) / folder.name
        written.mkdir()
        _write_artifact(
            written,
            run,
            records,
            described=described,
            identity={"name": name, "version": version, "status": status},
            foreign=foreign,
            notes=notes,
            resamples=resamples,
            command=shlex.join(["python", "-m", "ml", *arguments]),
        )
        if folder.exists():
            shutil.rmtree(folder)
        written.rename(folder)


def _write_artifact(
    folder: Path,
    run: Path,
    records: Sequence[ImageRecord],
    *,
    described: dict[str, Any],
    identity: dict[str, str],
    foreign: Sequence[Path],
    notes: Sequence[str],
    resamples: int,
    command: str,
) -> None:
    """Everything that an artefact holds, in the order in which each part needs the ones before."""
    recipe = Recipe.from_mapping(described["recipe"])
    parts, calibration = evaluate_run(run, records, plots=folder, resamples=resamples)
    parts["explanations"] = study_explanations(
        records,
        explainer_of=lambda fold: explainer_from(
            explained_graph(restore_network(run / f"fold-{fold}" / "network.npz", recipe=recipe)), side=recipe.side
        ),
        resamples=resamples,
        plots=folder,
    )
    limits = QualityLimits()
    parts["refusals"] = study_refusals(records, limits=limits, foreign=foreign, resamples=resamples)
    for name in ("learning-curves.png", "out-of-fold.csv"):
        shutil.copyfile(run / name, folder / name)

    keras.backend.clear_session()
    trained = restore_network(run / "final" / "network.npz", recipe=recipe)
    twin = restore_network(run / "final" / "network.npz", recipe=recipe)
    store_half_precision(folder / WEIGHTS_FILE, twin)
    export_graph(folder / MODEL_FILE, twin)
    manifest = _manifest(
        described, identity=identity, calibration=calibration, recipe=recipe, limits=limits, command=command
    )
    manifest["explanation"] = explanation_entry(parts["explanations"])
    # The graph is measured through the runtime, which needs a manifest: a first one, without the reports.
    _seal(folder, manifest, files=(MODEL_FILE, WEIGHTS_FILE))
    sample = records[:: max(1, len(records) // _PARITY_IMAGES)]
    parts["parity"] = _parity(folder, trained.full, twin.full, sample, side=recipe.side)
    evaluation = {
        "model": {**identity, "sha256": manifest["files"][MODEL_FILE]},
        "command": manifest["release_command"],
        "training_command": described["command"],
        "date": manifest["released"],
        "libraries": manifest["libraries"],
        "recipe": described["recipe"],
        "seed": described["seed"],
        "data": described["data"],
        "notes": list(notes),
        **parts,
    }
    write_json(folder / "evaluation.json", evaluation)
    write_card(folder / "MODEL_CARD.md", manifest=manifest, evaluation=evaluation)
    everything = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    _seal(folder, manifest, files=everything)


def _manifest(
    described: dict[str, Any],
    *,
    identity: dict[str, str],
    calibration: Calibration,
    recipe: Recipe,
    limits: QualityLimits,
    command: str,
) -> dict[str, Any]:
    return {
        **identity,
        "modality": "US",
        "labels": list(LABELS),
        "model_file": MODEL_FILE,
        "input": {
            "side": recipe.side,
            "dtype": "float32",
            "range": [-1, 1],
            "channels": "grey luma, three times",
            "fit": "letterbox on black, aspect ratio kept",
        },
        "outputs": {
            "logits": [1, len(LABELS)],
            "activation_maps": [1, recipe.side // 32, recipe.side // 32, len(LABELS)],
            "embedding": "pooled last convolution",
        },
        "calibration": calibration.as_dict(),
        "quality_limits": limits.as_dict(),
        "recipe": described["recipe"],
        "seed": described["seed"],
        "initial_weights_sha256": described["weights_sha256"],
        "training_command": described["command"],
        "release_command": command,
        "released": datetime.now(UTC).date().isoformat(),
        "libraries": {
            "python": platform.python_version(),
            **{library: importlib.metadata.version(library) for library in LIBRARIES},
        },
        "files": {},
    }


def _seal(folder: Path, manifest: dict[str, Any], *, files: Sequence[str]) -> None:
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    manifest["seal"] = manifest_seal(manifest)
    write_json(folder / MANIFEST, manifest)


def _parity(
    folder: Path, trained: keras.Model, twin: keras.Model, records: Sequence[ImageRecord], *, side: int
) -> dict[str, Any]:
    """How far the shipped graph is from its Keras twin, and the half-precision twin from the trained network."""
    model = load_folder(folder)
    pixels = []
    for record in records:
        grey = to_grey(read_image(record.path))
        pixels.append(network_input(Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=side).place(grey)))
    largest = 0.0
    for each in pixels:
        stated = np.array(list(model.predict(model.forward(each).logits).probabilities.values()))
        logits = np.asarray(twin(each, training=False))[0]
        expected = np.array(list(model.predict(logits).probabilities.values()))
        largest = max(largest, float(np.abs(stated - expected).max()))
    rounding = probability_gaps(trained, twin, pixels)
    return {
        "images": len(pixels),
        "graph_against_keras_twin": float(f"{largest:.3g}"),
        "half_precision_against_trained": float(f"{rounding.max():.3g}"),
        "half_precision_against_trained_median": float(f"{np.median(rounding):.3g}"),
        "meaning": "largest (or median) difference of a probability",
    }
