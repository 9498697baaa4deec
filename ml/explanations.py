"""Do the maps point at the lesion, and do they depend on what was learnt?

Pointing game: Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016. Weight randomisation:
Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.data.records import FOLDS, ImageRecord
from ml.explain import class_maps
from ml.export import restore_network
from ml.images import Letterbox, network_input, read_image, to_grey
from ml.metrics import RESAMPLES, bootstrap
from ml.networks.mobilenet import explained_graph
from ml.recipe import Recipe

_BATCH = 32


def study_explanations(
    run: Path, records: Sequence[ImageRecord], *, recipe: Recipe, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Pointing game and energy of every lesion image under the fold's model that never saw it; randomisation check.

    The map is that of the image's true label, benign or malignant.

    Args:
        run: the folder that ``ml.train`` wrote, with ``fold-<k>/network.npz``.
        records: all images; those with a mask and a lesion count.
        recipe: of the run.
        resamples: of the bootstrap.
        seed: of the randomisation check.
    """
    rows: dict[str, list[float]] = {name: [] for name in ("pointing", "energy", "centre_pointing", "centre_energy")}
    used: list[ImageRecord] = []
    randomised: dict[str, float] = {}
    for fold in range(FOLDS):
        held_out = [each for each in records if each.fold == fold and each.mask is not None and each.label != "normal"]
        if not held_out:
            continue
        keras.backend.clear_session()
        network = restore_network(run / f"fold-{fold}" / "network.npz", recipe=recipe)
        graph = explained_graph(network)
        raw = _raw_maps(graph, held_out, side=recipe.side)
        if fold == 0:
            randomised = _randomisation(graph, held_out[:200], raw[:200], side=recipe.side, seed=seed)
        for record, maps in zip(held_out, raw, strict=True):
            inside = _lesion(record)
            if not inside.any():
                continue
            letterbox = Letterbox.fit(height=inside.shape[0], width=inside.shape[1], side=recipe.side)
            own = class_maps(maps, letterbox=letterbox)[record.label]
            prior = _centre_prior(*inside.shape)
            used.append(record)
            for name, value in (
                ("pointing", _peak_inside(own, inside)),
                ("energy", _energy_inside(own, inside)),
                ("centre_pointing", _peak_inside(prior, inside)),
                ("centre_energy", _energy_inside(prior, inside)),
            ):
                rows[name].append(value)
    columns = {name: np.array(values) for name, values in rows.items()}
    report: dict[str, Any] = {
        "map": "Grad-CAM of the true label on the fold that the network never saw",
        "centre_prior": "a Gaussian in the middle of the image, sigma a quarter of its height and width",
        "sets": {},
        "weight_randomisation": randomised,
    }
    for source in sorted({record.source for record in used}):
        for label in ("benign", "malignant"):
            chosen = np.array([record.source == source and record.label == label for record in used])
            if chosen.any():
                groups = [record.leak_group for record, is_in in zip(used, chosen, strict=True) if is_in]
                report["sets"][f"{source} {label}"] = _means(columns, chosen, groups, resamples)
    return report


def _means(
    columns: dict[str, NDArray[np.float64]], chosen: NDArray[np.bool_], groups: Sequence[str], resamples: int
) -> dict[str, Any]:
    values = {name: column[chosen] for name, column in columns.items()}
    figures = bootstrap(
        lambda picked: {name: float(column[picked].mean()) for name, column in values.items()},
        groups,
        resamples=resamples,
    )
    return {name: figure.as_dict() for name, figure in figures.items()}


def _raw_maps(graph: keras.Model, records: Sequence[ImageRecord], *, side: int) -> NDArray[np.float32]:
    """Class activation maps before the ReLU, float32 (N, h, w, labels)."""
    found = []
    for start in range(0, len(records), _BATCH):
        pixels = np.concatenate([_pixels(record, side=side) for record in records[start : start + _BATCH]])
        found.append(np.asarray(graph(pixels, training=False)["activation_maps"]))
    return np.concatenate(found)


def _pixels(record: ImageRecord, *, side: int) -> NDArray[np.float32]:
    grey = to_grey(read_image(record.path))
    return network_input(Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=side).place(grey))


def _lesion(record: ImageRecord) -> NDArray[np.bool_]:
    grey = to_grey(read_image(record.path))
    mask = cv2.imread(str(record.mask), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape != grey.shape:
        raise ValueError(f"The mask of {record.key} is unreadable or not of the image's size.")
    return np.asarray(mask > 127)


def _peak_inside(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    """1 when the highest cell lies in the lesion; a map without any positive cell points nowhere and counts 0."""
    return float(values.max() > 0 and inside[np.unravel_index(int(values.argmax()), values.shape)])


def _energy_inside(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    total = float(values.sum())
    return float(values[inside].sum()) / total if total > 0 else 0.0


def _centre_prior(height: int, width: int) -> NDArray[np.float32]:
    rows = (np.arange(height) - (height - 1) / 2) / (height / 4)
    columns = (np.arange(width) - (width - 1) / 2) / (width / 4)
    return np.exp(-0.5 * (rows[:, None] ** 2 + columns[None, :] ** 2)).astype(np.float32)


def _randomisation(
    graph: keras.Model, records: Sequence[ImageRecord], trained: NDArray[np.float32], *, side: int, seed: int
) -> dict[str, float]:
    """Mean rank correlation between the maps of the trained network and those with shuffled weights.

    From the top down: the head alone, then also the last convolution, then every kernel. A map that stayed the same
    would not depend on what was learnt.
    """
    random = np.random.default_rng(seed)
    kernels = [weight for weight in graph.weights if weight.name in ("kernel", "depthwise_kernel")]
    mapper = graph.get_layer("mapper").weights[0]
    last = next(weight for weight in kernels if "Conv_1/" in weight.path)
    report = {"n": float(len(records))}
    labels = np.array([LABELS.index(record.label) for record in records])
    for name, shuffled in (("head", [mapper]), ("head and last convolution", [mapper, last]), ("all", kernels)):
        kept = [np.asarray(weight) for weight in shuffled]
        for weight, values in zip(shuffled, kept, strict=True):
            weight.assign(random.permutation(values.ravel()).reshape(values.shape))
        other = _raw_maps(graph, records, side=side)
        for weight, values in zip(shuffled, kept, strict=True):
            weight.assign(values)
        correlations = [
            _rank_correlation(first[:, :, label], second[:, :, label])
            for first, second, label in zip(trained, other, labels, strict=True)
        ]
        report[name] = round(float(np.mean(correlations)), 4)
    return report


def _rank_correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Spearman's rho of two maps; 0 where one of them is constant."""
    ranks = [values.ravel().argsort().argsort().astype(np.float64) for values in (first, second)]
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
