"""``python -m ml mammogram release``: a detector's run becomes an artefact, measured out of fold."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml.artifact import MODEL_FILE, WEIGHTS_FILE, evaluation_head, provenance, seal, staged
from ml.calibrate import SUSPICION_CUTS
from ml.contract import LABELS
from ml.data.records import ImageRecord
from ml.export import litert_graph, store_half_precision
from ml.images import network_input, read_image, to_grey
from ml.mammogram.calibration import FilmCalibration
from ml.mammogram.card import write_detector_card
from ml.mammogram.checks import FilmLimits
from ml.mammogram.detector import KIND, load_detector
from ml.mammogram.evaluation import MARK_RATE, evaluate_films, short_figures
from ml.mammogram.film import CANVAS, GRID, Film
from ml.mammogram.marks import find_spots, smoothed
from ml.mammogram.network import Detector, shipped_graph
from ml.mammogram.reading import read_run
from ml.mammogram.refusals import kept_film_refusals
from ml.mammogram.training import restore_detector
from ml.metrics import RESAMPLES
from ml.registry import read_manifest, verified_bytes
from ml.storage import read_json, write_bytes, write_json

STATUS = "research"
"""mini-MIAS may be used for research alone, so no model trained on it is ever more than that."""

WITHOUT_MUSCLE = True
"""Whether the shipped detector leaves the pectoral muscle out: chosen in advance; the other choice is reported too."""

_PARITY_FILMS = 24


def release_detector(
    run: Path,
    records: Sequence[ImageRecord],
    *,
    name: str,
    version: str,
    folder: Path,
    foreign: Sequence[Path] = (),
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
    arguments: Sequence[str] = (),
) -> None:
    """Write the artefact: graph, half-precision weights, manifest, evaluation, card and plots.

    Args:
        run: a finished run.
        records: the films of the run.
        name, version: identity for the manifest; the status is always ``research``.
        folder: the artefact's folder; replaced as a whole when everything is written.
        foreign: folders of images of other kinds, to measure refusals.
        notes: sentences about this run that a reader of the card must know.
        resamples: of every bootstrap.
        arguments: the command line, for the record.

    Raises:
        ValueError: the run is of other films, or unfinished.
    """
    described = read_json(run / "run.json")
    if described["images"] != [record.key for record in records]:
        raise ValueError(f"{run} was trained on other films. Pass the same --data in the same order.")
    if not (run / "final" / "network.npz").is_file():
        raise ValueError(f"{run / 'final' / 'network.npz'} does not exist. Finish the training first.")
    with staged(folder) as written:
        _write_artifact(
            written,
            run,
            records,
            described=described,
            identity={"name": name, "version": version, "status": STATUS},
            foreign=foreign,
            notes=notes,
            resamples=resamples,
            command=shlex.join(["python", "-m", "ml", *arguments]),
        )


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
    films = read_run(run, records)
    parts, calibration, threshold, least_mark = evaluate_films(films[WITHOUT_MUSCLE], plots=folder, resamples=resamples)
    parts["pectoral_muscle"] = {
        "shipped": _muscle(WITHOUT_MUSCLE),
        _muscle(not WITHOUT_MUSCLE): short_figures(films[not WITHOUT_MUSCLE], resamples),
    }
    limits = FilmLimits()
    parts["refusals"] = kept_film_refusals(
        run / "refusals.json", records, limits=limits, foreign=foreign, resamples=resamples
    )
    if (run / "learning-curves.png").is_file():
        shutil.copyfile(run / "learning-curves.png", folder / "learning-curves.png")

    keras.backend.clear_session()
    trained = restore_detector(run / "final" / "network.npz")
    twin = restore_detector(run / "final" / "network.npz")
    store_half_precision(folder / WEIGHTS_FILE, twin)
    write_bytes(folder / MODEL_FILE, litert_graph(shipped_graph(twin)))
    manifest = _manifest(
        described,
        identity=identity,
        calibration=calibration,
        threshold=threshold,
        least_mark=least_mark,
        limits=limits,
        command=command,
    )
    # The graph is measured through the runtime, which needs a manifest: a first one, without the reports.
    seal(folder, manifest, files=(MODEL_FILE, WEIGHTS_FILE))
    parts["parity"] = _parity(folder, trained, twin, records[:: max(1, len(records) // _PARITY_FILMS)])
    evaluation = {**evaluation_head(described, manifest, notes=notes), **parts}
    write_json(folder / "evaluation.json", evaluation)
    write_detector_card(folder / "MODEL_CARD.md", manifest=manifest, evaluation=evaluation)
    seal(folder, manifest)


def _muscle(without: bool) -> str:
    return "removed" if without else "kept"


def _manifest(
    described: dict[str, Any],
    *,
    identity: dict[str, str],
    calibration: FilmCalibration,
    threshold: float,
    least_mark: float,
    limits: FilmLimits,
    command: str,
) -> dict[str, Any]:
    return {
        **identity,
        "kind": KIND,
        "modality": "MG",
        "labels": list(LABELS),
        "model_file": MODEL_FILE,
        "input": {
            "canvas": list(CANVAS),
            "dtype": "float32",
            "range": [-1, 1],
            "channels": "grey luma, three times",
            "fit": "breast on black; the longer side of the image to the canvas height; windowed by the breast's grey",
        },
        "outputs": {
            "scores": [1, *GRID, 2],
            "embedding": "mean of the last convolution over the canvas",
        },
        "pectoral_muscle": _muscle(WITHOUT_MUSCLE),
        "calibration": {
            **calibration.as_dict(),
            "threshold": round(threshold, 4),
            # Rounded down: the mark that set the limit is itself shown.
            "least_mark": max(0.0, float(np.floor(least_mark * 1e4) / 1e4)),
            "false_marks_a_film": MARK_RATE,
            "suspicion_cuts": list(SUSPICION_CUTS),
        },
        "quality_limits": limits.as_dict(),
        **provenance(described, command=command),
        "files": {},
    }


def _parity(folder: Path, trained: Detector, twin: Detector, records: Sequence[ImageRecord]) -> dict[str, Any]:
    """How far the shipped graph is from its Keras twin, and the half-precision twin from the trained network."""
    installed = read_manifest(folder)
    shipped = load_detector(installed, verified_bytes(installed, MODEL_FILE), threads=1)
    against_twin, against_trained = 0.0, 0.0
    for record in records:
        film = Film.prepare(to_grey(read_image(record.path)))
        if film is None:
            raise ValueError(f"No breast was found on {record.path.name}.")
        tissue = film.tissue(without_muscle=shipped.without_muscle)
        stated = [
            _stated(scores, tissue, shipped.calibration)
            for scores in (
                shipped.forward(film.canvas)[0],
                np.asarray(twin.full(network_input(film.canvas), training=False))[0],
                np.asarray(trained.full(network_input(film.canvas), training=False))[0],
            )
        ]
        against_twin = max(against_twin, float(np.abs(stated[0] - stated[1]).max()))
        against_trained = max(against_trained, float(np.abs(stated[1] - stated[2]).max()))
    return {
        "films": len(records),
        "graph_against_keras_twin": float(f"{against_twin:.3g}"),
        "half_precision_against_trained": float(f"{against_trained:.3g}"),
        "meaning": (
            "largest difference of a calibrated probability: of a label, or of a lesion at any place of the tissue"
        ),
    }


def _stated(
    scores: NDArray[np.float32], tissue: NDArray[np.bool_], calibration: FilmCalibration
) -> NDArray[np.float64]:
    """All probabilities that a film's outcome rests on: of the three labels, and of a lesion at each tissue cell."""
    strongest = find_spots(scores, tissue, most=1)[0]
    labels = calibration.probabilities(np.array([strongest.finding]), np.array([strongest.malignant]))[0]
    return np.concatenate([labels, calibration.mark(smoothed(scores, tissue)[..., 0][tissue])])
