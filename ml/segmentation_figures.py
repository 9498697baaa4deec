"""How well outlines agree with the lesions that were drawn by hand, and how often there is one too few or too many."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.data.records import FOLDS, ImageRecord
from ml.metrics import RESAMPLES, Figure, Floats, bootstrap
from ml.storage import read_arrays
from ml.subgroups import parts_of

SEGMENTATION_GOAL = {"busi": 0.80, "busbra": 0.85}
"""Mean Dice on lesions that the goals ask for."""


def segmentation_of_run(
    run: Path, records: Sequence[ImageRecord], *, judged_normal: Set[str], resamples: int = RESAMPLES
) -> dict[str, Any] | None:
    """The outlines of a run's held-out images, as the portal shows them and before the classification has its say.

    Args:
        run: with ``fold-<k>/readings.npz`` (see :func:`ml.looks.training.read_held_out`).
        records: all images of the run, in its order.
        judged_normal: keys of the images whose out-of-fold label is normal: they get no outline.
        resamples: of the bootstrap.

    Returns:
        ``sets`` and ``before_classification`` (see :func:`segmentation_figures`), ``first_look_alone``, and
        ``subgroups``: mean Dice and missed lesions of each part of a collection; ``None`` for a run of a model that
        outlines nothing.
    """
    paths = [run / f"fold-{fold}" / "readings.npz" for fold in range(FOLDS)]
    if not all(path.is_file() for path in paths):
        return None
    parts = [read_arrays(path) for path in paths]
    columns = {
        name: np.concatenate([part[name] for part in parts]).astype(np.float64)
        for name in ("index", "dice", "iou", "dice_whole", "found_area")
    }
    read = [records[int(index)] for index in columns["index"]]
    shown = np.array([record.key not in judged_normal for record in read])
    known: dict[str, Any] = {
        "labels": [record.label for record in read],
        "sources": [record.source for record in read],
        "groups": [record.leak_group for record in read],
        "resamples": resamples,
    }
    # An outline that is not shown agrees with nothing; NaN, no true lesion, stays NaN.
    guided: dict[str, Any] = {name: columns[name] * shown for name in ("dice", "iou", "found_area")}
    plain: dict[str, Any] = {name: columns[name] for name in ("dice", "iou", "found_area")}
    place, member, lesion = np.array(known["sources"]), np.array(known["groups"]), ~np.isnan(columns["dice"])
    alone = {
        source: _mean("dice_mean", columns["dice_whole"], lesion & (place == source), member, resamples=resamples)
        for source in sorted(set(known["sources"]))
        if (lesion & (place == source)).any()
    }
    return {
        "rule": "an image whose label is normal gets no outline; a lesion without outline counts as Dice 0 and missed",
        "goal_dice_mean": SEGMENTATION_GOAL,
        "sets": segmentation_figures(**guided, **known),
        "before_classification": segmentation_figures(**plain, **known),
        "first_look_alone": {name: figures["dice_mean"].as_dict() for name, figures in alone.items()},
        "subgroups": _by_part(guided["dice"], read, resamples=resamples),
    }


def _by_part(dice: Floats, records: Sequence[ImageRecord], *, resamples: int) -> dict[str, dict[str, dict[str, Any]]]:
    groups = np.array([record.leak_group for record in records])
    report: dict[str, dict[str, dict[str, Any]]] = {}
    for source, name, chosen in parts_of(records):
        inside = chosen & ~np.isnan(dice)
        if inside.any():
            figures = _mean("dice_mean", dice, inside, groups, resamples=resamples)
            figures |= _mean("missed_lesions", dice == 0, inside, groups, resamples=resamples)
            report.setdefault(source, {})[name] = {key: figure.as_dict() for key, figure in figures.items()}
    return report


def segmentation_figures(
    *,
    dice: Floats,
    iou: Floats,
    found_area: Floats,
    labels: Sequence[str],
    sources: Sequence[str],
    groups: Sequence[str],
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, Any]]:
    """Agreement on images with a lesion, misses, and outlines on images without one; for each collection.

    Args:
        dice, iou: (N,) of each image's outline, 0 where none was drawn; NaN for images without a true lesion.
        found_area: (N,) share of the image inside the outline, 0-1; 0 where none was drawn.
        labels: of each image, one of :data:`ml.contract.LABELS`.
        sources, groups: collection and bootstrap group of each image.
        resamples: of the bootstrap.

    Returns:
        for each collection, as figures with n and interval: ``dice_mean``, ``dice_median``, ``iou_mean``,
        ``iou_median``, ``missed_lesions`` (share of lesions that the outline does not touch, or that have none),
        ``dice_mean_benign``, ``dice_mean_malignant``, and where there are normal images ``false_lesions`` (share of
        them with an outline).

    Raises:
        ValueError: arrays of different lengths, a value out of range, or a normal image with a Dice.
    """
    arrays = [np.asarray(each, dtype=np.float64) for each in (dice, iou, found_area)]
    if len({*(len(each) for each in arrays), len(labels), len(sources), len(groups)}) != 1:
        raise ValueError("Dice, IoU, area, labels, sources and groups must be of one length.")
    if any(((each < 0) | (each > 1)).any() for each in arrays) or np.isnan(arrays[2]).any():
        raise ValueError("Dice, IoU and area must lie within 0-1.")
    kind, place, member = (np.asarray(each) for each in (labels, sources, groups))
    lesion = ~np.isnan(arrays[0])
    if (lesion & (kind == "normal")).any() or (np.isnan(arrays[1]) != ~lesion).any():
        raise ValueError("A normal image has no lesion to agree with, and Dice and IoU go together.")
    report = {}
    for source in sorted(set(sources)):
        inside = place == source
        figures: dict[str, Figure] = {}
        if (inside & lesion).any():
            figures |= _agreement(arrays[0], arrays[1], inside & lesion, member, resamples=resamples)
        for label in ("benign", "malignant"):
            chosen = inside & lesion & (kind == label)
            if chosen.any():
                figures |= _mean(f"dice_mean_{label}", arrays[0], chosen, member, resamples=resamples)
        normal = inside & (kind == "normal")
        if normal.any():
            figures |= _mean("false_lesions", arrays[2] > 0, normal, member, resamples=resamples)
        report[source] = {name: figure.as_dict() for name, figure in figures.items()}
    return report


def _agreement(
    dice: Floats, iou: Floats, chosen: NDArray[np.bool_], groups: NDArray[np.str_], *, resamples: int
) -> dict[str, Figure]:
    columns = {"dice": dice[chosen], "iou": iou[chosen]}

    def measure(picked: NDArray[np.intp]) -> dict[str, float]:
        means = {f"{name}_mean": float(column[picked].mean()) for name, column in columns.items()}
        medians = {f"{name}_median": float(np.median(column[picked])) for name, column in columns.items()}
        return {**means, **medians, "missed_lesions": float((columns["dice"][picked] == 0).mean())}

    return bootstrap(measure, groups[chosen].tolist(), resamples=resamples)


def _mean(
    name: str,
    values: Floats | NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    groups: NDArray[np.str_],
    *,
    resamples: int,
) -> dict[str, Figure]:
    mine = values[chosen]
    return bootstrap(lambda picked: {name: float(mine[picked].mean())}, groups[chosen].tolist(), resamples=resamples)
