"""Does a model read the disease, or something that merely goes with it?

Two tests of ``evaluation.md``: how well the hospital and the scanner can be guessed from a model's embedding, and what
its figures become once burned-in text and calipers are painted over. A third says how far the marks by themselves give
the answer away, that is, what a model could gain by cheating.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.baselines.classical import logistic_regression
from ml.calibrate import MALIGNANT
from ml.data.records import ImageRecord
from ml.images import Letterbox, network_input, read_image, to_grey
from ml.metrics import RESAMPLES, area_under_curve, bootstrap
from ml.preprocess import coloured_pixels, overlay_mask, remove_overlay
from ml.runtime import TWO_LOOKS, LoadedModel

CHUNK = 32
"""Images that :func:`masked_figures` hands over at a time."""

Predict = Callable[[Sequence[NDArray[np.uint8]], Sequence[ImageRecord]], NDArray[np.floating]]
"""From grey images, uint8 (H, W) each, and their records to probabilities (N, 3) by networks that never saw them: the
record's fold says which."""

LEAST_TRAIT = 10
"""Groups that a scanner needs to be guessed at: with fewer, some folds would have none to learn from."""


def embed(records: Sequence[ImageRecord], model: LoadedModel) -> NDArray[np.float32]:
    """The model's embedding of each image: float32 (N, K), of the first look where there are two."""
    found = []
    for record in tqdm(records, desc="embedding", leave=False):
        grey = to_grey(read_image(record.path))
        canvas = Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=model.side).place(grey)
        pixels = network_input(canvas)
        forward = model.look(pixels) if model.kind == TWO_LOOKS else model.forward(pixels)
        found.append(np.array(forward.embedding, np.float32))
    return np.stack(found)


def hospital_figures(
    embeddings: NDArray[np.float32], records: Sequence[ImageRecord], *, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """How well where an image comes from can be guessed from its embedding.

    A ridge-penalised logistic regression is fitted without the image's fold; its penalty is fixed. What blind guessing
    of the largest hospital scores stands beside it.

    Args:
        embeddings: (N, K).
        records: the images, of one or more collections.
        resamples: of the bootstrap over leak groups.

    Returns:
        ``hospital`` (the collections told apart), and ``scanner of <collection>`` where the collection names the
        scanner: each with ``accuracy`` and ``balanced_accuracy`` (value, interval, n), ``largest_share`` and counts.
        A question with fewer than two answers is left out.
    """
    report: dict[str, Any] = {}
    sources = [record.source for record in records]
    questions: dict[str, tuple[NDArray[np.intp], list[str]]] = {"hospital": (np.arange(len(records)), sources)}
    for source in sorted(set(sources)):
        places = np.array(
            [
                place
                for place, record in enumerate(records)
                if record.source == source and "device" in record.attributes
            ],
            dtype=np.intp,
        )
        questions[f"scanner of {source}"] = (places, [records[place].attributes["device"] for place in places])
    for question, (places, names) in questions.items():
        kept = _frequent(places, names, records)
        chosen = places[kept]
        answers = np.asarray(names)[kept]
        if len(set(answers.tolist())) >= 2:
            report[question] = _guess(embeddings[chosen], answers, [records[place] for place in chosen], resamples)
    return report


def _frequent(places: NDArray[np.intp], names: Sequence[str], records: Sequence[ImageRecord]) -> NDArray[np.bool_]:
    """Which images have an answer that at least ``LEAST_TRAIT`` groups share."""
    groups: dict[str, set[str]] = {}
    for place, name in zip(places, names, strict=True):
        groups.setdefault(name, set()).add(records[place].leak_group)
    return np.array([len(groups[name]) >= LEAST_TRAIT for name in names], dtype=bool)


def _guess(
    embeddings: NDArray[np.float32], answers: NDArray[np.str_], records: Sequence[ImageRecord], resamples: int
) -> dict[str, Any]:
    names, truth = np.unique(answers, return_inverse=True)
    folds = np.array([record.fold for record in records])
    guessed = np.full(len(truth), -1)
    for fold in np.unique(folds):
        held_out = folds == fold
        if len(np.unique(truth[~held_out])) < 2:
            # With one answer left to learn from, that answer is the guess.
            guessed[held_out] = truth[~held_out][0] if (~held_out).any() else -1
            continue
        guessed[held_out] = (
            logistic_regression().fit(embeddings[~held_out], truth[~held_out]).predict(embeddings[held_out])
        )
    right = guessed == truth

    def figures(chosen: NDArray[np.intp]) -> dict[str, float]:
        by_name = [right[chosen][truth[chosen] == name].mean() for name in np.unique(truth[chosen])]
        return {"accuracy": float(right[chosen].mean()), "balanced_accuracy": float(np.mean(by_name))}

    found = bootstrap(figures, [record.leak_group for record in records], resamples=resamples)
    counts = np.bincount(truth)
    return {
        **{name: figure.as_dict() for name, figure in found.items()},
        "largest_share": round(float(counts.max() / len(truth)), 4),
        "counts": {str(name): int(count) for name, count in zip(names, counts, strict=True)},
    }


def masked_figures(
    predict: Predict, records: Sequence[ImageRecord], *, resamples: int = RESAMPLES
) -> dict[str, dict[str, Any]]:
    """A model's figures with burned-in text and calipers as they are, and painted over.

    Args:
        predict: see :data:`Predict`; called with at most :data:`CHUNK` images.
        records: the images, of any collections.
        resamples: of the bootstrap over leak groups; both versions see the same samples.

    Returns:
        for each collection what :func:`paired_figures` gives, and ``marked``: images on which marks were found,
        ``covered``: the mean share of an image's area that was painted over.
    """
    plain: list[NDArray[np.floating]] = []
    masked: list[NDArray[np.floating]] = []
    covered: list[float] = []
    for start in tqdm(range(0, len(records), CHUNK), desc="marks painted over", leave=False):
        chunk = records[start : start + CHUNK]
        images = [read_image(record.path) for record in chunk]
        greys = [to_grey(image) for image in images]
        extra = [coloured_pixels(image) if image.ndim == 3 else None for image in images]
        painted = [remove_overlay(grey, extra=colour) for grey, colour in zip(greys, extra, strict=True)]
        covered += [float((before != after).mean()) for before, after in zip(greys, painted, strict=True)]
        plain.append(np.asarray(predict(greys, chunk), np.float64))
        masked.append(np.asarray(predict(painted, chunk), np.float64))
    report = paired_figures(np.concatenate(plain), np.concatenate(masked), records, resamples=resamples)
    for source, figures in report.items():
        shares = np.array([share for share, record in zip(covered, records, strict=True) if record.source == source])
        figures["marked"] = int((shares > 0).sum())
        figures["covered"] = round(float(shares.mean()), 4)
    return report


def paired_figures(
    plain: NDArray[np.floating],
    masked: NDArray[np.floating],
    records: Sequence[ImageRecord],
    *,
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, Any]]:
    """Accuracy and AUC of malignancy of two predictions of the same images, and their paired difference.

    Args:
        plain, masked: probabilities (N, 3).
        records: the images.
        resamples: of the bootstrap over leak groups.

    Returns:
        for each collection: ``plain``, ``masked`` and ``difference`` (masked less plain), each with ``accuracy`` and
        ``auc_malignant`` (value, 95 % interval, n), and ``same_label``, the share of images whose label stays.
    """
    labels = np.array([record.label_index for record in records], dtype=np.intp)
    report: dict[str, dict[str, Any]] = {}
    for source in sorted({record.source for record in records}):
        own = [place for place, record in enumerate(records) if record.source == source]
        figures = bootstrap(
            partial(_pair, labels[own], plain[own], masked[own]),
            [records[place].leak_group for place in own],
            resamples=resamples,
        )
        report[source] = {
            version: {name: figures[f"{version} {name}"].as_dict() for name in ("accuracy", "auc_malignant")}
            for version in ("plain", "masked", "difference")
        }
        report[source]["same_label"] = round(float((plain[own].argmax(1) == masked[own].argmax(1)).mean()), 4)
    return report


def _pair(
    labels: NDArray[np.intp],
    plain: NDArray[np.floating],
    masked: NDArray[np.floating],
    chosen: NDArray[np.intp],
) -> dict[str, float]:
    found: dict[str, float] = {}
    for version, probabilities in (("plain", plain), ("masked", masked)):
        truth, scores = labels[chosen], probabilities[chosen]
        found[f"{version} accuracy"] = float((scores.argmax(axis=1) == truth).mean())
        found[f"{version} auc_malignant"] = area_under_curve(truth == MALIGNANT, scores[:, MALIGNANT])
    for name in ("accuracy", "auc_malignant"):
        found[f"difference {name}"] = found[f"masked {name}"] - found[f"plain {name}"]
    return found


MARK_FEATURES = ("share covered", "pieces", "share covered in the middle", "height over width", "pixels")


def marks_only(records: Sequence[ImageRecord]) -> NDArray[np.float64]:
    """What can be said of each image without its tissue: marks and the crop's size, :data:`MARK_FEATURES` (N, 5)."""
    rows = []
    for record in tqdm(records, desc="marks", leave=False):
        grey = to_grey(read_image(record.path))
        height, width = grey.shape
        found = overlay_mask(grey)
        pieces, _ = cv2.connectedComponents(found.astype(np.uint8))
        middle = found[height // 5 : height - height // 5, width // 5 : width - width // 5]
        rows.append([found.mean(), pieces - 1, middle.mean(), height / width, height * width])
    return np.array(rows, dtype=np.float64)


def marks_figures(
    features: NDArray[np.float64], records: Sequence[ImageRecord], *, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """AUC of malignancy by :func:`marks_only` alone, out of fold, for each collection: 0.5 is nothing to cheat on."""
    report = {}
    malignant = np.array([record.label == "malignant" for record in records])
    folds = np.array([record.fold for record in records])
    for source in sorted({record.source for record in records}):
        own = np.array([record.source == source for record in records])
        if not malignant[own].any() or malignant[own].all():
            continue
        scores = np.full(len(records), np.nan)
        for fold in np.unique(folds[own]):
            train, held_out = own & (folds != fold), own & (folds == fold)
            if len(np.unique(malignant[train])) == 2:
                fitted = logistic_regression().fit(features[train], malignant[train])
                scores[held_out] = fitted.predict_proba(features[held_out])[:, 1]
        places = np.flatnonzero(own & np.isfinite(scores)).tolist()
        found = bootstrap(
            partial(_auc, malignant[places], scores[places]),
            [records[place].leak_group for place in places],
            resamples=resamples,
        )
        report[source] = found["auc_malignant"].as_dict()
    return report


def _auc(positive: NDArray[np.bool_], scores: NDArray[np.float64], chosen: NDArray[np.intp]) -> dict[str, float]:
    return {"auc_malignant": area_under_curve(positive[chosen], scores[chosen])}
