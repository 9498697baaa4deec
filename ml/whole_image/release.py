"""A finished run of ``ml fit`` becomes an artefact: one LiteRT graph with manifest, figures, card and plots."""

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

from ml.contract import LABELS
from ml.data.pixels import read_pixels
from ml.data.records import DataError, ImageRecord
from ml.evaluate import Calibration, evaluate_run, judge_nested
from ml.explainer import explainer_from
from ml.explanations import explanation_entry, study_explanations
from ml.export import export_graph, probability_gaps, store_half_precision
from ml.figures import sensitivity_at
from ml.images import Letterbox, network_input, to_grey
from ml.logits import LogitTable
from ml.metrics import RESAMPLES
from ml.networks.mobilenet import Classifier, explained_graph
from ml.networks.zoo import RANDOM
from ml.quality import QualityLimits
from ml.refusals import study_refusals
from ml.registry import MANIFEST, manifest_seal
from ml.runtime import load_folder
from ml.storage import read_arrays, read_json, write_json
from ml.whole_image.borrowed_masks import borrow_masks
from ml.whole_image.card import write_card
from ml.whole_image.exams import breast_figures
from ml.whole_image.fitting import new_network
from ml.whole_image.limits import fit_limits
from ml.whole_image.recipe import WholeImageRecipe

MODEL_FILE = "model.tflite"
LEAST_AUC = 0.70
"""A model whose lower confidence bound on AUC lies below this is registered as research."""

OPERATING_POINTS = (0.80, 0.90)
"""Specificities at which the sensitivity is read off the ROC curve."""

_PARITY_IMAGES = 100
_LIBRARIES = ("tensorflow-cpu", "keras", "ai-edge-litert", "numpy", "opencv-python-headless")


def release_whole_image(
    run: Path,
    records: Sequence[ImageRecord],
    *,
    modality: str,
    name: str,
    version: str,
    status: str,
    folder: Path,
    films: Path | None = None,
    foreign: Sequence[Path] = (),
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
    arguments: Sequence[str] = (),
) -> None:
    """Write the artefact; it appears as a whole or not at all.

    Args:
        run: finished, with ``final/network.npz`` and ``out-of-fold.csv``.
        records: the images of the run.
        modality: of the manifest, one of :data:`ml.contract.MODALITIES` that has a card text.
        name, version: identity for the manifest.
        status: ``research``, or ``released``, which is refused where a lower bound of the AUC is below
            :data:`LEAST_AUC`.
        folder: the artefact's folder.
        films: low-energy films with finding masks, to test the maps on.
        foreign: folders of images of other kinds, to measure refusals.
        notes: sentences about this run that a reader of the card must know.
        resamples: of every bootstrap.
        arguments: the command line, for the record.

    Raises:
        DataError: the run is of other images or unfinished, its network has no closed-form map, or the figures
            forbid the status.
    """
    described = read_json(run / "run.json")
    recipe = WholeImageRecipe.from_mapping(described["recipe"])
    if described["images"] != [record.key for record in records]:
        raise DataError(f"{run} was trained on other images. Pass the same --data in the same order.")
    for needed in ("final/network.npz", "out-of-fold.csv"):
        if not (run / needed).is_file():
            raise DataError(f"{run / needed} does not exist. Finish the training first.")
    if recipe.network != "mobilenetv2" or recipe.head.dense or recipe.head.pooling != "average":
        raise DataError(
            "Only MobileNetV2 with average pooling and no dense layer has a Grad-CAM in the forward pass, which the "
            "artefact must hold."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and renamed at the end: a worker never sees half a model.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as staging:
        written = Path(staging) / folder.name
        written.mkdir()
        parts, calibration = _figures(
            run, records, recipe=recipe, films=films, plots=written, scratch=Path(staging), resamples=resamples
        )
        bounds = [figures["auc_malignant"]["low"] for figures in parts["cross_validation"].values()]
        if status == "released" and not all(bound is not None and bound >= LEAST_AUC for bound in bounds):
            raise DataError(
                f"The lower bound of the AUC is {min(bound or 0 for bound in bounds):.3f}, below {LEAST_AUC:.2f}: "
                "such a model is research. Pass --status research."
            )
        limits = fit_limits(records, side=recipe.side)
        parts["refusals"] = study_refusals(records, limits=limits, foreign=foreign, resamples=resamples)
        shutil.copyfile(run / "learning-curves.png", written / "learning-curves.png")
        manifest = _manifest(
            described,
            identity={"name": name, "version": version, "status": status, "modality": modality},
            calibration=calibration,
            recipe=recipe,
            limits=limits,
            command=shlex.join(["python", "-m", "ml", *arguments]),
        )
        manifest["explanation"] = explanation_entry(parts["explanations"])
        parts["parity"] = _write_graph(written, run, records, recipe=recipe, manifest=manifest, scratch=Path(staging))
        evaluation = {
            "model": {"name": name, "version": version, "status": status, "sha256": manifest["files"][MODEL_FILE]},
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
        write_json(written / "evaluation.json", evaluation)
        write_card(written / "MODEL_CARD.md", manifest=manifest, evaluation=evaluation)
        everything = sorted(path.name for path in written.iterdir() if path.is_file() and path.name != MANIFEST)
        _seal(written, manifest, files=everything)
        if folder.exists():
            shutil.rmtree(folder)
        written.rename(folder)


def restore_classifier(path: Path, recipe: WholeImageRecipe) -> Classifier:
    """Rebuild a run's network from ``network.npz``, in the form that the exporter takes."""
    network = new_network(recipe, weights=RANDOM, seed=0)
    stored = read_arrays(path)
    network.full.set_weights([stored[name] for name in sorted(stored)])
    stem = network.stem if network.stem is not None else network.base
    return Classifier(full=network.full, stem=stem, trunk=network.trunk, base=network.base)


def _figures(
    run: Path,
    records: Sequence[ImageRecord],
    *,
    recipe: WholeImageRecipe,
    films: Path | None,
    plots: Path,
    scratch: Path,
    resamples: int,
) -> tuple[dict[str, Any], Calibration]:
    parts, calibration = evaluate_run(run, records, plots=plots, resamples=resamples)
    table = LogitTable.read(run / "out-of-fold.csv")
    judged, _ = judge_nested(table)
    parts["sensitivity_on_roc"] = {
        source: {
            f"{specificity:.2f}": sensitivity_at(judged.take(table.of_source(source)), specificity, resamples=resamples)
            for specificity in OPERATING_POINTS
        }
        for source in sorted(set(table.sources))
    }
    record_of = {record.key: record for record in records}
    parts["breasts"] = breast_figures([record_of[key] for key in table.keys], judged, resamples=resamples)
    masked = borrow_masks(records, films=films, out=scratch / "masks") if films is not None else list(records)
    parts["explanations"] = study_explanations(
        masked,
        explainer_of=lambda fold: explainer_from(
            explained_graph(restore_classifier(run / f"fold-{fold}" / "network.npz", recipe)), side=recipe.side
        ),
        resamples=resamples,
        plots=plots,
    )
    return parts, calibration


def _write_graph(
    folder: Path,
    run: Path,
    records: Sequence[ImageRecord],
    *,
    recipe: WholeImageRecipe,
    manifest: dict[str, Any],
    scratch: Path,
) -> dict[str, Any]:
    """Export the final network and measure it through the runtime, against its Keras twin."""
    keras.backend.clear_session()
    trained = restore_classifier(run / "final" / "network.npz", recipe)
    twin = restore_classifier(run / "final" / "network.npz", recipe)
    # The rounded weights are not shipped: the graph holds them, and a second copy would double the artefact.
    store_half_precision(scratch / "weights.npz", twin)
    export_graph(folder / MODEL_FILE, twin)
    _seal(folder, manifest, files=(MODEL_FILE,))
    model = load_folder(folder)
    pixels = []
    for record in records[:: max(1, len(records) // _PARITY_IMAGES)]:
        grey = to_grey(read_pixels(record.path))
        letterbox = Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=recipe.side)
        pixels.append(network_input(letterbox.place(grey)))
    largest = 0.0
    for each in pixels:
        stated, expected = (
            np.array(list(model.predict(logits).probabilities.values()))
            for logits in (model.forward(each).logits, np.asarray(twin.full(each, training=False))[0])
        )
        largest = max(largest, float(np.abs(stated - expected).max()))
    rounding = probability_gaps(trained.full, twin.full, pixels)
    return {
        "images": len(pixels),
        "graph_against_keras_twin": float(f"{largest:.3g}"),
        "half_precision_against_trained": float(f"{rounding.max():.3g}"),
        "half_precision_against_trained_median": float(f"{np.median(rounding):.3g}"),
        "meaning": "largest (or median) difference of a probability",
    }


def _manifest(
    described: dict[str, Any],
    *,
    identity: dict[str, str],
    calibration: Calibration,
    recipe: WholeImageRecipe,
    limits: QualityLimits,
    command: str,
) -> dict[str, Any]:
    return {
        **identity,
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
            **{library: importlib.metadata.version(library) for library in _LIBRARIES},
        },
        "files": {},
    }


def _seal(folder: Path, manifest: dict[str, Any], *, files: Sequence[str]) -> None:
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    manifest["seal"] = manifest_seal(manifest)
    write_json(folder / MANIFEST, manifest)
