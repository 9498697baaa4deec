"""What each preprocessing step brings or costs, by itself, under the leak-safe folds.

A fixed yardstick: frozen ImageNet features and a ridge-penalised logistic regression whose penalty was set beforehand.
It is quick enough for every step to be measured on every image, and nothing in it was tuned to any step. A step that
helps here is worth a trial in the trained network; the release decides, not this table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.baselines.classical import logistic_regression
from ml.baselines.frozen import SIDE, FeatureStore, canvas_after
from ml.data.readers import file_digest
from ml.data.records import ImageRecord
from ml.images import read_image, to_grey
from ml.metrics import RESAMPLES, PairedFigure, area_under_curve, bootstrap
from ml.preprocess import Preprocessing, breast_mask, prepare

NONE = "none"

ULTRASOUND: Mapping[str, tuple[str, ...]] = {
    NONE: (),
    "overlay": ("overlay",),
    "sector": ("sector",),
    "sector_crop": ("sector_crop",),
    "window": ("window",),
    "clahe": ("clahe",),
    "median": ("median",),
    "non_local_means": ("non_local_means",),
}
"""Variants of an ultrasound image: each step alone. :data:`STRETCH` comes beside them."""

MAMMOGRAM: Mapping[str, tuple[str, ...]] = {
    NONE: (),
    "breast": ("breast",),
    "pectoral": ("pectoral",),
    "breast + pectoral": ("breast", "pectoral"),
    "window": ("window",),
    "clahe": ("clahe",),
    "median": ("median",),
    "non_local_means": ("non_local_means",),
}

PATCH: Mapping[str, tuple[str, ...]] = {name: steps for name, steps in MAMMOGRAM.items() if "pectoral" not in steps}
"""Variants of a mammogram before patches are cut. The muscle's removal is left out: it would blacken patches of normal
tissue only, and so give them away."""

STRETCH = "stretch"
"""The whole image squeezed to a square, as the publications do, instead of letterboxed."""

STEP_NAMES = tuple(dict.fromkeys([*ULTRASOUND, STRETCH, *MAMMOGRAM]))
"""Every variant that can be asked for."""


Variants = Iterator[tuple[str, NDArray[np.float32]]]
"""Name and features (N, K) of each variant."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question that is asked of every variant.

    Attributes:
        name: the set, in words.
        labels: (N,) classes.
        positive: (N,) bool, the side of the ROC curve that is looked for.
        classes_positive: the classes that are positive.
        folds: (N,) leak-safe fold.
        groups: leak group of each image, for the bootstrap.
    """

    name: str
    labels: NDArray[np.intp]
    positive: NDArray[np.bool_]
    classes_positive: tuple[int, ...]
    folds: NDArray[np.intp]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect(PairedFigure):
    """A figure with a step, and how it differs from the same figure without any.

    Attributes:
        set, step, figure: what was measured; ``accuracy`` or ``auc``. The difference is to ``none``.
    """

    set: str
    step: str
    figure: str


def stretched(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image squeezed to (224, 224), aspect ratio lost."""
    return np.asarray(cv2.resize(to_grey(image), (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def image_task(records: Sequence[ImageRecord], *, name: str, positive: Sequence[str]) -> Task:
    """One label for each image; ``positive`` names the labels that are looked for."""
    labels = np.array([record.label_index for record in records], dtype=np.intp)
    wanted = sorted({record.label_index for record in records if record.label in positive})
    return Task(
        name=name,
        labels=labels,
        positive=np.isin(labels, wanted),
        classes_positive=tuple(wanted),
        folds=np.array([record.fold for record in records], dtype=np.intp),
        groups=tuple(record.leak_group for record in records),
    )


@dataclass(frozen=True, slots=True)
class Patch:
    """A square of a mammogram, pixels.

    Attributes:
        record: the film.
        row, column: centre.
        side: side of the square.
        lesion: whether it shows a finding.
    """

    record: ImageRecord
    row: float
    column: float
    side: int
    lesion: bool


LEAST_PATCH = 96
"""Side of the smallest patch, pixels of a 1024-pixel film (0.2 mm): about 2 cm, so that a lesion has surroundings."""


def lesion_patches(records: Sequence[ImageRecord], *, seed: int) -> list[Patch]:
    """A patch round each located finding, and one of like size of other breast tissue from every film.

    The tissue's place is drawn at random among places inside the breast whose patch meets no finding; its size is that
    of a finding drawn at random, so that the size tells nothing.
    """
    random = np.random.default_rng([seed, 2])
    found = [
        Patch(record, finding.row, finding.column, max(LEAST_PATCH, round(2.5 * finding.radius)), lesion=True)
        for record in records
        for finding in record.abnormalities
        if finding.row is not None and finding.column is not None and finding.radius is not None
    ]
    sides = [patch.side for patch in found]
    tissue = [_tissue_patch(record, found, sides, random) for record in records if found]
    return [*found, *(patch for patch in tissue if patch is not None)]


def _tissue_patch(
    record: ImageRecord, found: Sequence[Patch], sides: Sequence[int], random: np.random.Generator
) -> Patch | None:
    if any(not finding.located for finding in record.abnormalities):
        # A film with a finding somewhere, nobody says where, has no tissue that is known to be free of it.
        return None
    side = sides[int(random.integers(len(sides)))]
    allowed = breast_mask(to_grey(read_image(record.path)))
    for patch in found:
        if patch.record.key == record.key:
            reach = (patch.side + side) / 2
            rows, columns = np.indices(allowed.shape)
            allowed &= ~((np.abs(rows - patch.row) < reach) & (np.abs(columns - patch.column) < reach))
    places = np.argwhere(allowed)
    if not len(places):
        return None
    row, column = places[int(random.integers(len(places)))]
    return Patch(record, float(row), float(column), side, lesion=False)


def cut_patch(grey: NDArray[np.uint8], patch: Patch) -> NDArray[np.uint8]:
    """The patch at (224, 224); what lies outside the film is black."""
    half = patch.side // 2
    row, column = round(patch.row), round(patch.column)
    padded = cv2.copyMakeBorder(grey, half, half, half, half, cv2.BORDER_CONSTANT, value=0)
    square = padded[row : row + 2 * half, column : column + 2 * half]
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def patch_task(patches: Sequence[Patch], *, name: str) -> Task:
    """Lesion against other tissue."""
    labels = np.array([patch.lesion for patch in patches], dtype=np.intp)
    return Task(
        name=name,
        labels=labels,
        positive=labels == 1,
        classes_positive=(1,),
        folds=np.array([patch.record.fold for patch in patches], dtype=np.intp),
        groups=tuple(patch.record.leak_group for patch in patches),
    )


def ablate_ultrasound(
    records: Sequence[ImageRecord],
    store: FeatureStore,
    *,
    steps: Collection[str] = (),
    resamples: int = RESAMPLES,
    say: Callable[[str], None] = print,
) -> list[Effect]:
    """Every step alone, and stretching, on one ultrasound collection: accuracy and AUC of malignancy.

    Args:
        records: images of one collection.
        store: computes and keeps the features.
        steps: variants to measure beside ``none``; all by default.
        resamples: of the bootstrap over leak groups.
        say: told each finished variant.
    """
    task = image_task(records, name=records[0].source, positive=("malignant",))

    def variants() -> Variants:
        for name, preprocessing in _chosen(ULTRASOUND, steps):
            yield name, _image_features(records, preprocessing, store, title=f"{task.name} {name}")
        if not steps or STRETCH in steps:
            yield STRETCH, store.of_records(records, stretched, variant=STRETCH, title=f"{task.name} {STRETCH}")

    return compare(task, variants(), resamples=resamples, say=say)


def ablate_mammograms(
    records: Sequence[ImageRecord],
    store: FeatureStore,
    *,
    steps: Collection[str] = (),
    seed: int = 0,
    resamples: int = RESAMPLES,
    say: Callable[[str], None] = print,
) -> list[Effect]:
    """Every step on one mammogram collection: whole films (abnormal against normal), and patches where findings are
    located (lesion against other tissue). Arguments as :func:`ablate_ultrasound`; ``seed`` is that of the patches."""
    source = records[0].source
    effects: list[Effect] = []
    if len({record.label == "normal" for record in records}) == 2:
        films = (
            (name, _image_features(records, preprocessing, store, title=f"{source} {name}"))
            for name, preprocessing in _chosen(MAMMOGRAM, steps)
        )
        task = image_task(records, name=f"{source}, whole films", positive=("benign", "malignant"))
        effects += compare(task, films, resamples=resamples, say=say)
    patches = lesion_patches(records, seed=seed)
    if patches:
        squares = (
            (name, _patch_features(patches, preprocessing, store, title=f"{source} patches {name}"))
            for name, preprocessing in _chosen(PATCH, steps)
        )
        effects += compare(patch_task(patches, name=f"{source}, patches"), squares, resamples=resamples, say=say)
    return effects


def _chosen(variants: Mapping[str, tuple[str, ...]], steps: Collection[str]) -> Iterator[tuple[str, Preprocessing]]:
    """The variants that are asked for, ``none`` always first among them."""
    for name, each in variants.items():
        if not steps or name == NONE or name in steps:
            yield name, Preprocessing.of(*each)


def _image_features(
    records: Sequence[ImageRecord], preprocessing: Preprocessing, store: FeatureStore, *, title: str
) -> NDArray[np.float32]:
    return store.of_records(records, canvas_after(preprocessing), variant=preprocessing.as_dict(), title=title)


def _patch_features(
    patches: Sequence[Patch], preprocessing: Preprocessing, store: FeatureStore, *, title: str
) -> NDArray[np.float32]:
    identity = [
        [[patch.record.key, file_digest(patch.record.path), patch.row, patch.column, patch.side] for patch in patches],
        preprocessing.as_dict(),
    ]

    def squares() -> Iterator[NDArray[np.uint8]]:
        for patch in patches:
            grey = prepare(read_image(patch.record.path), preprocessing).grey
            yield cut_patch(grey, patch)

    return store.of_canvases(squares(), identity=identity, count=len(patches), title=title)


def compare(
    task: Task,
    variants: Variants,
    *,
    resamples: int = RESAMPLES,
    say: Callable[[str], None] = print,
) -> list[Effect]:
    """Judge each variant's features out of fold; the first one is what the others are compared with.

    Args:
        task: labels, folds and groups.
        variants: name and features (N, K) of each.
        resamples: of the bootstrap over groups; each variant sees the same samples as the first.
        say: told each finished variant.
    """
    effects: list[Effect] = []
    first: NDArray[np.float64] | None = None
    for name, features in variants:
        scores = _out_of_fold(task, features)
        first = scores if first is None else first
        found = _effects(task, name, scores, first, resamples=resamples)
        say(", ".join(f"{each.set} {each.step} {each.figure} {each.value:.3f}" for each in found))
        effects += found
    return effects


def _out_of_fold(task: Task, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities (N, classes) of a regression that was fitted without the image's fold."""
    scores = np.zeros((len(task.labels), int(task.labels.max()) + 1))
    for fold in np.unique(task.folds):
        held_out = task.folds == fold
        model = logistic_regression().fit(features[~held_out], task.labels[~held_out])
        scores[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
    return scores


def _effects(
    task: Task, step: str, scores: NDArray[np.float64], first: NDArray[np.float64], *, resamples: int
) -> list[Effect]:
    wanted = list(task.classes_positive)
    pairs = [(each.argmax(axis=1) == task.labels, each[:, wanted].sum(axis=1)) for each in (scores, first)]

    def figures(chosen: NDArray[np.intp]) -> dict[str, float]:
        accuracy, auc = zip(
            *(
                (float(right[chosen].mean()), area_under_curve(task.positive[chosen], positive[chosen]))
                for right, positive in pairs
            ),
            strict=True,
        )
        return {
            "accuracy": accuracy[0],
            "auc": auc[0],
            "accuracy difference": accuracy[0] - accuracy[1],
            "auc difference": auc[0] - auc[1],
        }

    found = bootstrap(figures, task.groups, resamples=resamples)
    return [
        Effect(set=task.name, step=step, figure=name, **PairedFigure.numbers(found[name], found[f"{name} difference"]))
        for name in ("accuracy", "auc")
    ]


def as_markdown(effects: Sequence[Effect]) -> str:
    """A table for each set: the figures of each step, and their difference to ``none``."""
    parts = []
    for name in dict.fromkeys(effect.set for effect in effects):
        chosen = [effect for effect in effects if effect.set == name]
        lines = [
            f"### {name} (n = {chosen[0].n}, {chosen[0].groups} groups)",
            "",
            "| Step | accuracy | difference | AUC | difference |",
            "| --- | --- | --- | --- | --- |",
        ]
        for step in dict.fromkeys(effect.step for effect in chosen):
            accuracy, auc = (effect for effect in chosen if effect.step == step)
            lines.append(f"| {step} | {_value(accuracy)} | {_apart(accuracy)} | {_value(auc)} | {_apart(auc)} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _value(effect: Effect) -> str:
    return f"{effect.value:.3f} ({effect.low:.3f}-{effect.high:.3f})"


def _apart(effect: Effect) -> str:
    if effect.step == NONE:
        return "-"
    return f"{effect.difference:+.3f} ({effect.difference_low:+.3f} to {effect.difference_high:+.3f})"
