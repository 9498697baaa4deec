"""Do the maps point at the lesion, and do they depend on what was learnt?

Pointing game: Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016. Weight randomisation:
Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml.attribution import occlusion_map, rank_correlation
from ml.contract import LABELS
from ml.data.pixels import lesion_mask, read_pixels
from ml.data.records import FOLDS, ImageRecord
from ml.explain import class_maps
from ml.explainer import STAGES, Explainer
from ml.images import Letterbox
from ml.metrics import RESAMPLES, bootstrap
from ml.plots import MapExample, draw_examples

GOAL_RATIO = 1.5
"""How many times the centre prior's figure the goals ask of the pointing game and of the energy in the lesion."""

LEAST_RATIO = 1.0
"""A map whose ratio to the centre prior is not surely above this says no more than *look in the middle*."""

MOST_ALIKE = 0.5
"""Largest mean rank correlation with the map of a shuffled network: at 0.5 they share a quarter of their variance."""

SHUFFLES = 5
"""Independent shuffles of each stage; one alone may correlate by chance, since it is the same for every image."""

OCCLUDED_IMAGES = 24
"""Images of each set and label on which occlusion is measured: each takes fifty forward passes."""

_RANDOMISED_IMAGES = 60
_EXAMPLES = 4

METHODS = ("drawn", "grad_cam", "grad_cam_plus_plus", "occlusion")
"""The map that the portal draws, and three of the whole look; for a network with one look the first two are one."""


def study_explanations(
    records: Sequence[ImageRecord],
    *,
    explainer_of: Callable[[int], Explainer],
    resamples: int = RESAMPLES,
    seed: int = 0,
    plots: Path | None = None,
    occluded_images: int = OCCLUDED_IMAGES,
    shuffles: int = SHUFFLES,
) -> dict[str, Any]:
    """Pointing game and energy of every lesion image under the fold's network that never saw it; randomisation check.

    The map is that of the image's true label, benign or malignant. Occlusion, which needs fifty forward passes for an
    image, is measured on the first images of each set and label only.

    Args:
        records: all images; those with a mask and a lesion count.
        explainer_of: the network of a fold, which never saw that fold's images.
        resamples: of the bootstrap.
        seed: of the randomisation check.
        plots: receives ``example-maps.png``.
        occluded_images: of each set and label, about; 0 leaves occlusion out.
        shuffles: of each stage of the randomisation check.
    """
    used: list[ImageRecord] = []
    rows: list[dict[str, float]] = []
    examples: list[MapExample] = []
    randomised: dict[str, Any] = {}
    occluded = _first_of_each(records, limit=occluded_images)
    for fold in range(FOLDS):
        held_out = [each for each in records if each.fold == fold and each.mask is not None and each.label != "normal"]
        if not held_out:
            continue
        keras.backend.clear_session()
        explainer = explainer_of(fold)
        raw = explainer.explain(held_out)
        drawn = iter(explainer.image_maps(held_out)) if explainer.image_maps else None
        if not randomised:
            sample = held_out[:: max(1, len(held_out) // _RANDOMISED_IMAGES)][:_RANDOMISED_IMAGES]
            randomised = randomisation(explainer, sample, seed=seed, shuffles=shuffles)
        for index, record in enumerate(held_out):
            inside, letterbox = _lesion(record, side=explainer.side)
            portal = next(drawn)[record.label] if drawn else None
            if not inside.any():
                continue
            found = {name: maps[index] for name, maps in raw.items()}
            if record.key in occluded:
                found["occlusion"] = _occlude(explainer, record, letterbox, cells=raw["grad_cam"].shape[1])
            figures, own = _judge(found, portal, inside, letterbox=letterbox, label=record.label)
            used.append(record)
            rows.append(figures)
            lift = figures["drawn_energy"] / float(inside.mean())
            examples.append(MapExample(name=record.key, label=record.label, lift=lift, values=own, inside=inside))
            examples = _extremes(examples)
    if plots is not None and examples:
        draw_examples(plots / "example-maps.png", examples)
    sets = _by_set(used, rows, resamples=resamples)
    return {
        "map": "Grad-CAM of the true label, as it is drawn, on the fold that the network never saw",
        "centre_prior": "a Gaussian in the middle of the image, sigma a quarter of its height and width",
        "goal_ratio": GOAL_RATIO,
        "least_ratio": LEAST_RATIO,
        "sets": sets,
        "weight_randomisation": randomised,
    }


def explanation_entry(study: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the model's maps may be shown: the manifest's ``explanation``.

    They are shown when they depend on what was learnt (the randomisation check is passed) and in every set and label
    point at lesions surely better than the middle of the image does, by pointing game and by energy. The reason also
    names where the goal of 1.5 times the centre prior is missed: such a map is shown, but its card says so.

    Args:
        study: what :func:`study_explanations` returned.
    """
    checked = study["weight_randomisation"]
    if not study["sets"] or not checked:
        return {
            "method": "grad-cam",
            "shown": False,
            "reason": "No image with a lesion mask was there to check the map.",
        }
    games = [(name, game, each) for name, each in study["sets"].items() for game in ("pointing", "energy")]
    weak = [f"{name} ({game})" for name, game, each in games if not _beats_centre(each, game, study["least_ratio"])]
    short = [
        f"{name} ({game} {each[f'{game}_ratio']['value']:.2f})"
        for name, game, each in games
        if each[f"{game}_ratio"]["value"] is not None and each[f"{game}_ratio"]["value"] < study["goal_ratio"]
    ]
    if not checked["passed"]:
        reason = "The map of a network with shuffled weights looks much the same: it does not show what was learnt."
    elif weak:
        reason = f"The map points at lesions no better than the middle of the image does: {', '.join(weak)}."
    elif short:
        reason = (
            "Passed: depends on the weights and points at lesions better than the centre prior everywhere. Below the "
            f"goal of {study['goal_ratio']:g} times the centre prior: {', '.join(short)}."
        )
    else:
        reason = f"Passed: at least {study['goal_ratio']:g} times the centre prior, and depends on the weights."
    return {"method": "grad-cam", "shown": bool(checked["passed"] and not weak), "reason": reason}


def randomisation(
    explainer: Explainer, records: Sequence[ImageRecord], *, seed: int = 0, shuffles: int = SHUFFLES
) -> dict[str, Any]:
    """Rank correlation between the trained network's maps and those after shuffling its kernels from the top down.

    Args:
        explainer: the trained network; its weights are restored.
        records: images; the map of the true label counts.
        seed: of the shuffles.
        shuffles: independent shuffles of each stage.

    Returns:
        for each stage of the cascade the mean correlation over images and shuffles and the extremes of the shuffles;
        ``passed`` when no stage's mean exceeds :data:`MOST_ALIKE` in either direction.
    """
    random = np.random.default_rng(seed)
    trained = explainer.maps(records)
    labels = [LABELS.index(record.label) for record in records]
    stages = {}
    for stage in STAGES:
        means = []
        for _ in range(shuffles):
            with explainer.shuffled(stage, random):
                other = explainer.maps(records)
            pairs = zip(trained, other, labels, strict=True)
            means.append(float(np.mean([rank_correlation(a[:, :, label], b[:, :, label]) for a, b, label in pairs])))
        stages[stage] = {
            "mean": round(float(np.mean(means)), 4),
            "lowest": round(min(means), 4),
            "highest": round(max(means), 4),
        }
    return {
        "n": len(records),
        "shuffles": shuffles,
        "stages": stages,
        "rule": f"after every stage the mean rank correlation lies within -{MOST_ALIKE:g} and {MOST_ALIKE:g}",
        "passed": all(abs(figure["mean"]) <= MOST_ALIKE for figure in stages.values()),
    }


def _beats_centre(figures: Mapping[str, Any], game: str, least: float) -> bool:
    """Whether the ratio to the centre prior is surely above ``least``; where that prior never hits, any hit is."""
    low = figures[f"{game}_ratio"]["low"]
    if figures[f"{game}_ratio"]["value"] is None or low is None:
        return bool(figures[game]["low"] > least * figures[f"centre_{game}"]["value"])
    return bool(low > least)


def _judge(
    found: Mapping[str, NDArray[np.float32]],
    portal: NDArray[np.float32] | None,
    inside: NDArray[np.bool_],
    *,
    letterbox: Letterbox,
    label: str,
) -> tuple[dict[str, float], NDArray[np.float32]]:
    """Figures of one image by method, NaN for a method that was not run, and the map that is drawn.

    Args:
        found: raw maps (h, w, labels) of the whole look by method.
        portal: the map that the portal draws, (H, W); that of the whole look when ``None``.
        inside: (H, W), the lesion.
        letterbox: of the whole look.
        label: the map of this label counts.
    """
    prior = _centre_prior(*inside.shape)
    figures = {"centre_pointing": _peak_inside(prior, inside), "centre_energy": _energy_inside(prior, inside)}
    index = LABELS.index(label)
    maps = {name: class_maps(raw, letterbox=letterbox)[label] for name, raw in found.items()}
    maps["drawn"] = maps["grad_cam"] if portal is None else portal
    for name in METHODS:
        known = name in maps
        figures[f"{name}_pointing"] = _peak_inside(maps[name], inside) if known else float("nan")
        figures[f"{name}_energy"] = _energy_inside(maps[name], inside) if known else float("nan")
        if name in found:
            figures[f"{name}_alike"] = rank_correlation(found["grad_cam"][:, :, index], found[name][:, :, index])
    return figures, maps["drawn"]


def _by_set(
    used: Sequence[ImageRecord], rows: Sequence[Mapping[str, float]], *, resamples: int
) -> dict[str, dict[str, Any]]:
    report: dict[str, dict[str, Any]] = {}
    for source in sorted({record.source for record in used}):
        for label in ("benign", "malignant"):
            chosen = [i for i, record in enumerate(used) if record.source == source and record.label == label]
            if chosen:
                report[f"{source} {label}"] = {
                    **_figures(used, rows, chosen, method="drawn", resamples=resamples),
                    "checks": {
                        other: _figures(used, rows, chosen, method=other, resamples=resamples) for other in METHODS[1:]
                    },
                }
    return report


def _figures(
    used: Sequence[ImageRecord],
    rows: Sequence[Mapping[str, float]],
    chosen: Sequence[int],
    *,
    method: str,
    resamples: int,
) -> dict[str, Any]:
    """Pointing, energy, the centre prior's on the same images, their ratios, and the likeness to Grad-CAM."""
    measured = [index for index in chosen if not np.isnan(rows[index][f"{method}_pointing"])]
    if not measured:
        return {}
    names = {
        "pointing": f"{method}_pointing",
        "energy": f"{method}_energy",
        "centre_pointing": "centre_pointing",
        "centre_energy": "centre_energy",
        **({} if method in METHODS[:2] else {"rank_correlation_with_grad_cam": f"{method}_alike"}),
    }
    columns = {name: np.array([rows[index][key] for index in measured]) for name, key in names.items()}

    def measure(picked: NDArray[np.intp]) -> dict[str, float]:
        means = {name: float(column[picked].mean()) for name, column in columns.items()}
        for game in ("pointing", "energy"):
            prior = means[f"centre_{game}"]
            means[f"{game}_ratio"] = means[game] / prior if prior > 0 else float("nan")
        return means

    figures = bootstrap(measure, [used[index].leak_group for index in measured], resamples=resamples)
    return {name: figure.as_dict() for name, figure in figures.items()}


def _first_of_each(records: Sequence[ImageRecord], *, limit: int) -> set[str]:
    """Keys of the first images of each set, label and fold, ``limit`` to a set and label."""
    counts: dict[tuple[str, str, int], int] = {}
    kept = set()
    for record in records:
        place = (record.source, record.label, record.fold)
        if record.mask is not None and record.label != "normal" and counts.get(place, 0) < -(-limit // FOLDS):
            counts[place] = counts.get(place, 0) + 1
            kept.add(record.key)
    return kept


def _occlude(explainer: Explainer, record: ImageRecord, letterbox: Letterbox, *, cells: int) -> NDArray[np.float32]:
    """Occlusion map in the units of a class activation map: what lies on the padding speaks for nothing."""
    return occlusion_map(
        explainer.prepare(record),
        explainer.logits,
        cells=cells,
        inside=(
            slice(letterbox.top, letterbox.top + letterbox.inner_height),
            slice(letterbox.left, letterbox.left + letterbox.inner_width),
        ),
    )


def _extremes(examples: list[MapExample]) -> list[MapExample]:
    """The best and the worst maps so far, best first: maps of all images together would not fit into memory."""
    ordered = sorted(examples, key=lambda example: -example.lift)
    return ordered if len(ordered) <= 2 * _EXAMPLES else ordered[:_EXAMPLES] + ordered[-_EXAMPLES:]


def _lesion(record: ImageRecord, *, side: int) -> tuple[NDArray[np.bool_], Letterbox]:
    height, width = read_pixels(record.path).shape[:2]
    mask = lesion_mask(record, height=height, width=width)
    return mask > 127, Letterbox.fit(height=height, width=width, side=side)


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
