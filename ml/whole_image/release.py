"""A finished run of ``ml fit`` becomes an artefact: one LiteRT graph with manifest, figures, card and plots."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ml.artifact import MODEL_FILE, evaluation_head, provenance, seal, staged
from ml.contract import LABELS
from ml.data.pixels import read_pixels
from ml.data.records import DataError, ImageRecord
from ml.evaluate import Calibration, evaluate_run, judge_nested
from ml.explainer import explainer_from
from ml.explanations import explanation_entry, study_explanations
from ml.export import export_graph, probability_gaps, store_half_precision
from ml.figures import sensitivity_at
from ml.gates import fit_and_study, gather
from ml.images import Letterbox, network_input, to_grey
from ml.logits import LogitTable
from ml.metrics import RESAMPLES
from ml.networks.mobilenet import Classifier, explained_graph
from ml.networks.zoo import RANDOM
from ml.runtime import NOVELTY_FILE, SIMILAR_FILE, LoadedModel, load_folder
from ml.similar import fit_similar
from ml.storage import read_arrays, read_json, write_arrays, write_json
from ml.whole_image.borrowed_masks import borrow_masks
from ml.whole_image.card import write_card
from ml.whole_image.exams import breast_figures
from ml.whole_image.fitting import new_network
from ml.whole_image.limits import fit_limits
from ml.whole_image.recipe import WholeImageRecipe

LEAST_AUC = 0.70
"""A model whose lower confidence bound on AUC lies below this is registered as research."""

OPERATING_POINTS = (0.80, 0.90)
"""Specificities at which the sensitivity is read off the ROC curve."""

_OWN_KINDS = {"CESM": ("subtracted mammogram",)}
"""Computed kinds of foreign image that are what the model of a modality knows."""

_PARITY_IMAGES = 100


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
    taught: Sequence[ImageRecord] = (),
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
        taught: labelled images of other kinds that the novelty gate learns from; measured by halves of their patients.
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
    with staged(folder) as written, tempfile.TemporaryDirectory() as scratch:
        parts, calibration = _figures(
            run, records, recipe=recipe, films=films, plots=written, scratch=Path(scratch), resamples=resamples
        )
        _check_status(status, parts["cross_validation"])
        shutil.copyfile(run / "learning-curves.png", written / "learning-curves.png")
        manifest = {
            "name": name,
            "version": version,
            "status": status,
            "modality": modality,
            "labels": list(LABELS),
            "model_file": MODEL_FILE,
            **_ports(recipe),
            "calibration": calibration.as_dict(),
            "quality_limits": fit_limits(records, side=recipe.side).as_dict(),
            **provenance(described, command=shlex.join(["python", "-m", "ml", *arguments])),
            "explanation": explanation_entry(parts["explanations"]),
            "files": {},
        }
        parts["parity"] = _write_graph(written, run, records, recipe=recipe, manifest=manifest, scratch=Path(scratch))
        parts["refusals"] = _write_gates(
            written, records, manifest=manifest, foreign=foreign, taught=taught, resamples=resamples
        )
        evaluation = {**evaluation_head(described, manifest, notes=notes), **parts}
        write_json(written / "evaluation.json", evaluation)
        write_card(written / "MODEL_CARD.md", manifest=manifest, evaluation=evaluation)
        seal(written, manifest)


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
    seal(folder, manifest, files=(MODEL_FILE,))
    model = load_folder(folder)
    if not isinstance(model, LoadedModel):
        raise DataError("The artefact is not a classifier.")
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


def _write_gates(
    folder: Path,
    records: Sequence[ImageRecord],
    *,
    manifest: dict[str, Any],
    foreign: Sequence[Path],
    taught: Sequence[ImageRecord],
    resamples: int,
) -> dict[str, Any]:
    """Fit the novelty gate and the index of similar cases on the shipped graph, and measure all refusals."""
    model = load_folder(folder)
    if not isinstance(model, LoadedModel):
        raise DataError("The artefact is not a classifier.")
    own_kinds = _OWN_KINDS.get(manifest["modality"], ())
    material = gather(records, model, foreign=foreign, taught=taught, own_kinds=own_kinds)
    reference, figures = fit_and_study(material, resamples=resamples)
    index = fit_similar(
        material.good.examples.embeddings,
        keys=[record.key for record in records],
        labels=[record.label for record in records],
        sources=[record.source for record in records],
    )
    write_arrays(folder / NOVELTY_FILE, reference.to_arrays())
    write_arrays(folder / SIMILAR_FILE, index.to_arrays())
    manifest["novelty"] = {"threshold": reference.threshold}
    return figures


def _check_status(status: str, sets: dict[str, Any]) -> None:
    bounds = [figures["auc_malignant"]["low"] or 0.0 for figures in sets.values()]
    if status == "released" and min(bounds) < LEAST_AUC:
        raise DataError(
            f"The lower bound of the AUC is {min(bounds):.3f}, below {LEAST_AUC:.2f}: such a model is research. "
            "Pass --status research."
        )


def _ports(recipe: WholeImageRecipe) -> dict[str, Any]:
    """What goes in and out of the graph, for the manifest."""
    return {
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
    }
