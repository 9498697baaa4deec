"""Train the detector: five leak-safe folds, then one network on all films, each resumable after a kill."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from ml.data.readers import file_digest
from ml.data.records import FOLDS, DataError, ImageRecord, summary
from ml.mammogram.network import Detector, build_detector, cell_loss
from ml.mammogram.plots import draw_detector_curves
from ml.mammogram.probe import Moments, draw_samples, fit_heads, sum_moments
from ml.mammogram.recipe import DetectorRecipe
from ml.mammogram.targets import Cell
from ml.mammogram.views import PLAIN, FilmViews, build_film_views
from ml.mammogram.windows import Windows
from ml.metrics import area_under_curve
from ml.runs import claim_run, history_table, restore_state, save_state
from ml.storage import read_arrays, write_arrays, write_text

SCORES_FILE = "scores.npz"

PROBE_VIEWS = (PLAIN, PLAIN + 1)
"""Views of each film whose cells the probe is fitted on."""

LOOK_EVERY, LOOK_SHARE = 3, 4
"""For the learning curve every fourth held-out film is looked at every third epoch; nothing is chosen by it."""

PARTS = (*(f"fold-{fold}" for fold in range(FOLDS)), "final")
"""What a run consists of; each part is a network of its own."""


def train_detector(
    records: Sequence[ImageRecord],
    *,
    weights: Path | None,
    recipe: DetectorRecipe,
    seed: int,
    out: Path,
    resume: bool,
    parts: Sequence[str] = PARTS,
    arguments: Sequence[str] = (),
) -> None:
    """Train and leave everything that an evaluation needs in ``out``.

    Writes ``run.json``, ``fold-<k>/`` and ``final/`` with ``history.csv`` and ``network.npz``, in each fold
    ``scores.npz`` with the logits of the films that it never saw, and ``learning-curves.png``.

    Args:
        records: all films, leak-safe.
        weights: headless ImageNet weights, or ``None`` for random ones.
        recipe: the training recipe.
        seed: of everything random.
        out: the folder of the run.
        resume: go on with the run found in ``out``; without it such a folder is refused.
        parts: which of :data:`PARTS` to train; several processes may share a run once its views are computed.
        arguments: the command line, for the record.

    Raises:
        DataError: ``out`` holds a run of other data, weights, recipe or seed, or holds one and ``resume`` is off; a
            part is unknown or has no films.
    """
    digest = file_digest(weights) if weights else "random"
    identity = {
        "recipe": recipe.as_dict(),
        "seed": seed,
        "weights_sha256": digest,
        "data": summary(records),
        "images": [record.key for record in records],
    }
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise DataError(f"{unknown[0]!r} is no part of a run. Known: {', '.join(PARTS)}.")
    claim_run(out, identity, resume=resume, arguments=arguments)
    began = time.monotonic()
    detector = build_detector(weights=weights, dropout=recipe.dropout)
    views = build_film_views(
        records, stem=detector.stem, views=recipe.views, seed=seed, digest=digest, folder=out / "cache"
    )
    folds = np.array([record.fold for record in records])
    samples = draw_samples(detector, views, chosen=PROBE_VIEWS, seed=seed, path=out / "cache" / "probe.npz")
    moments = sum_moments(
        samples, sources=[record.source for record in records], folds=[record.fold for record in records]
    )
    del samples
    for part in parts:
        folder = out / part
        if (folder / "network.npz").is_file():
            continue
        held_out = folds == PARTS.index(part) if part != PARTS[-1] else np.zeros(len(records), bool)
        fit_detector(
            records,
            views=views,
            moments=moments,
            films=np.flatnonzero(~held_out),
            held_out=np.flatnonzero(held_out),
            weights=weights,
            recipe=recipe,
            seed=seed,
            folder=folder,
        )
    draw_detector_curves(out)
    print(f"Finished in {(time.monotonic() - began) / 60:.1f} min: {out}")


def fit_detector(
    records: Sequence[ImageRecord],
    *,
    views: FilmViews,
    moments: Moments,
    films: NDArray[np.intp],
    held_out: NDArray[np.intp],
    weights: Path | None,
    recipe: DetectorRecipe,
    seed: int,
    folder: Path,
) -> Detector:
    """Train one network and store it.

    Args:
        records: all films.
        views: their frozen features.
        moments: for the probe that fine-tuning starts from.
        films: indices that are fitted on.
        held_out: indices that are only measured, for the learning curve; the number of epochs is fixed.
        weights: headless ImageNet weights, or ``None``.
        recipe: the training recipe.
        seed: of weights, windows and dropout.
        folder: receives ``checkpoint.npz`` after every epoch, ``history.csv`` and at the end ``scores.npz``, the logits
            of the held-out films by key, and ``network.npz``.

    Returns:
        the network with the moving average of its weights.

    Raises:
        DataError: no film shows a lesion, or none shows tissue.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    detector = build_detector(weights=weights, dropout=recipe.dropout)
    trunk = detector.trunk
    sources = [record.source for record in records]
    state = folder / "checkpoint.npz"
    if not state.is_file():
        fit_heads(
            detector,
            moments,
            folds=sorted({records[film].fold for film in films}),
            shrinkage=recipe.shrinkage,
            malignancy_shrinkage=recipe.malignancy_shrinkage,
        )
    total = max(1, recipe.epochs * recipe.steps)
    warmup = max(1, round(recipe.warmup * total))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=recipe.learning_rate / 10,
        decay_steps=max(1, total - warmup),
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=recipe.weight_decay,
        use_ema=recipe.average > 0,
        ema_momentum=recipe.average or 0.99,
        ema_overwrite_frequency=None,
    )
    optimizer.build(trunk.trainable_variables)
    trunk.compile(optimizer=optimizer, loss=cell_loss(recipe.focus, recipe.malignancy), jit_compile=False)
    windows = Windows(views, sources=sources, films=films, recipe=recipe)
    history = restore_state(state, trunk) if state.is_file() else []
    for epoch in range(len(history), recipe.epochs):
        losses = []
        for features, targets in windows.batches(recipe.steps, np.random.default_rng([seed, epoch])):
            # Reset each time: Keras would otherwise return a running mean over some of the batches.
            trunk.reset_metrics()
            losses.append(float(trunk.train_on_batch(features, targets)))
        row = {"epoch": float(epoch + 1), "train_loss": float(np.mean(losses))}
        if len(held_out) and (epoch + 1) % LOOK_EVERY == 0:
            glance = held_out[::LOOK_SHARE]
            row |= cell_curves(records, views, glance, score_films(trunk, views, glance))
        history.append(row)
        save_state(state, trunk, history)
        write_text(folder / "history.csv", history_table(history))
        print(f"{folder.name}: " + ", ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
    if recipe.average and recipe.epochs:
        optimizer.finalize_variable_values(trunk.trainable_variables)
    _store_scores(folder / SCORES_FILE, records, views, held_out, trunk)
    stored = {f"{number:04d}": weight for number, weight in enumerate(detector.full.get_weights())}
    write_arrays(folder / "network.npz", stored)
    return detector


def score_films(trunk: keras.Model, views: FilmViews, films: NDArray[np.intp]) -> NDArray[np.float32]:
    """Logits of unaugmented films: float32 (N, 48, 32, 2)."""
    rows = [trunk.predict_on_batch(np.asarray(views.features[film, PLAIN], np.float32)[None])[0] for film in films]
    return np.stack(rows).astype(np.float32)


def _store_scores(
    path: Path, records: Sequence[ImageRecord], views: FilmViews, films: NDArray[np.intp], trunk: keras.Model
) -> None:
    if len(films):
        scores = score_films(trunk, views, films)
        write_arrays(path, {records[film].key: each for film, each in zip(films, scores, strict=True)})


def cell_curves(
    records: Sequence[ImageRecord], views: FilmViews, films: NDArray[np.intp], scores: NDArray[np.float32]
) -> dict[str, float]:
    """AUC of single cells, lesion against tissue, of each collection on its own: for the learning curve only."""
    curves = {}
    for source in sorted({records[film].source for film in films}):
        own = np.array([records[film].source == source for film in films])
        cells = views.targets[films[own], PLAIN]
        taught = cells != Cell.IGNORED
        curves[f"held_out_auc_{source}"] = area_under_curve(cells[taught] >= Cell.BENIGN, scores[own][..., 0][taught])
    return curves


def restore_detector(path: Path) -> Detector:
    """Rebuild the Keras network from ``network.npz`` or an artefact's ``weights.npz``.

    Raises:
        ValueError: the weights do not fit the network.
    """
    detector = build_detector(weights=None)
    stored = read_arrays(path)
    detector.full.set_weights([stored[name].astype(np.float32) for name in sorted(stored)])
    return detector
