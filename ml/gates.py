"""Fit a model's novelty gate and measure all its gates, in one walk over the images.

Everything that is fitted is measured on what it was not fitted on: good images by fits on the other folds and on the
other collections, computed foreign images by fits that saw neither their kind nor (a second figure) their family, real
foreign images and further good ones by the shipped reference, which never sees any of them. A collection of real
foreign images may be *taught*: the shipped reference learns from all of it, and each half of its patients is measured
by a fit that saw the other half alone. One thing is not out of fold: the embedding is the shipped network's, which was
trained on the good images; the figures across collections and on further good images do not depend on that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.data.records import ImageRecord
from ml.elsewhere import as_exported_elsewhere
from ml.embedding_distances import DISTANCES
from ml.foreign import FAMILY_OF, KINDS, make_foreign
from ml.images import Letterbox, network_input, read_image, to_grey
from ml.metrics import RESAMPLES
from ml.monitoring import BINS, monitoring_reference
from ml.novelty import (
    CENTERS,
    CHECK,
    EMBEDDING_WEIGHT,
    FALSE_REFUSALS,
    FOREIGN_REFUSED,
    Examples,
    NoveltyReference,
    appearance,
    fit_expansion,
    fit_novelty,
)
from ml.quality import QualityLimits, run_checks
from ml.refusals import SPOILERS, grouped_rate, images_in, spoilt_sample, wilson_rate
from ml.runtime import TWO_LOOKS, LoadedModel

MADE_EACH = 60
"""Computed images of each foreign kind."""

SPOILT = 100
"""Good images that each spoiler is tried on."""

WATCHED = ("size", "aspect", "colour", "doppler", "blank", "contrast", "exposure", "text", "blur")
"""Quality values whose distribution is kept for monitoring; ``crop`` and ``noise`` repeat ``size`` and ``blur``."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the gates saw of some images.

    Attributes:
        examples: N rows; those of images that a quality check refused may be zeros, since no network runs on them.
        failed: the quality checks that each image failed.
        groups: of each image, for the bootstrap.
        values: what each quality check measured; a check that another one pre-empts has no value.
    """

    examples: Examples
    failed: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]
    values: tuple[Mapping[str, float], ...] = ()

    @property
    def spoilt(self) -> NDArray[np.bool_]:
        """Which images a quality check refuses."""
        return np.array([bool(names) for names in self.failed], bool)

    def refused(self, scores: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
        """Which images any gate refuses."""
        return self.spoilt | ~(scores >= threshold)


@dataclass(frozen=True, slots=True)
class Material:
    """All images of a study, as the gates saw them.

    Attributes:
        good: the labelled images, in the records' order; ``sources`` and ``folds`` are theirs.
        views: good images as another scanner might have exported them, one of each.
        made: computed foreign images; ``kinds`` are theirs.
        spoilt: good images spoilt, by spoiler.
        other: real images of other kinds, by folder.
        accepted: further good images that nothing is fitted on, by folder.
        taught: real images of other kinds that the reference learns from, by collection.
    """

    good: Seen
    sources: tuple[str, ...]
    folds: NDArray[np.intp]
    views: Seen
    made: Seen
    kinds: tuple[str, ...]
    spoilt: Mapping[str, Seen]
    other: Mapping[str, Seen]
    accepted: Mapping[str, Seen]
    taught: Mapping[str, Seen] = field(default_factory=dict)


class Onlooker:
    """Looks at images as the pipeline does up to its gates."""

    def __init__(self, model: LoadedModel, *, limits: QualityLimits) -> None:
        self._model, self._limits = model, limits
        run = model.look if model.kind == TWO_LOOKS else model.forward
        self._embed: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda pixels: run(pixels).embedding
        self._blank = self._embed(network_input(np.zeros((model.side, model.side), np.uint8))) * 0

    def see(self, images: Iterable[tuple[str, NDArray[np.uint8]]], *, always: bool = False) -> Seen:
        """Look at (group, image) pairs; with ``always`` the network runs on refused images too."""
        embeddings, looks, failed, groups, values = [], [], [], [], []
        for group, image in images:
            letterbox = Letterbox.fit(height=image.shape[0], width=image.shape[1], side=self._model.side)
            canvas = letterbox.place(to_grey(image))
            inner = np.ascontiguousarray(letterbox.crop(canvas))
            quality = run_checks(image, inner, limits=self._limits)
            run = always or quality.passed
            embeddings.append(self._embed(network_input(canvas)).copy() if run else self._blank)
            looks.append(appearance(inner))
            failed.append(tuple(check.name for check in quality.checks if not check.passed))
            groups.append(group)
            values.append({check.name: check.value for check in quality.checks})
        return Seen(Examples(np.stack(embeddings), np.stack(looks)), tuple(failed), tuple(groups), tuple(values))


def gather(
    records: Sequence[ImageRecord],
    model: LoadedModel,
    *,
    limits: QualityLimits | None = None,
    foreign: Sequence[Path] = (),
    accepted: Sequence[Path] = (),
    taught: Sequence[ImageRecord] = (),
    made_each: int = MADE_EACH,
    spoilt: int = SPOILT,
    own_kinds: Collection[str] = (),
    seed: int = 0,
) -> Material:
    """Carry every image once through the model; about 100 images a second.

    Args:
        records: good images, of the collections the model was developed on.
        model: the model whose gate is fitted.
        limits: quality limits; by default the model's.
        foreign: folders of real images of other kinds.
        accepted: folders of good images of other origin.
        taught: real images of other kinds that the reference may learn from.
        made_each: computed images of each foreign kind.
        spoilt: good images for each spoiler.
        own_kinds: computed kinds that are what the model knows, and therefore not foreign to it.
        seed: of everything drawn at random.

    Raises:
        ValueError: a folder holds no images, or is both taught and to be measured as unseen.
    """
    twice = {folder.name for folder in foreign} & {each.source for each in taught}
    if twice:
        raise ValueError(f"{min(twice)} is taught to the gate and so cannot be measured as unseen. Name it once.")
    onlooker = Onlooker(model, limits=limits or model.limits)
    folders: list[dict[str, Seen]] = []
    for named in (foreign, accepted):
        seen = {}
        for folder in named:
            paths = images_in(folder)
            if not paths:
                raise ValueError(f"{folder} holds no images.")
            seen[folder.name] = onlooker.see((path.name, read_image(path)) for path in paths)
        folders.append(seen)

    def views() -> Iterable[tuple[str, NDArray[np.uint8]]]:
        for number, record in enumerate(tqdm(records, desc="views", mininterval=5)):
            random = np.random.default_rng([seed, number])
            yield record.leak_group, as_exported_elsewhere(to_grey(read_image(record.path)), random)

    strange = [kind for kind in KINDS if kind not in own_kinds]
    kinds = tuple(kind for kind in strange for _ in range(made_each))
    made = ((f"{kind} {number}", make_foreign(kind, seed=number)) for kind in strange for number in range(made_each))
    sample = [(record.leak_group, to_grey(read_image(record.path))) for record in spoilt_sample(records, count=spoilt)]

    def spoil(name: str) -> Iterable[tuple[str, NDArray[np.uint8]]]:
        random = np.random.default_rng(seed)
        return ((group, SPOILERS[name](image, random)) for group, image in sample)

    return Material(
        good=onlooker.see(
            (
                (record.leak_group, read_image(record.path))
                for record in tqdm(records, desc="good images", mininterval=5)
            ),
            always=True,
        ),
        sources=tuple(record.source for record in records),
        folds=np.array([record.fold for record in records]),
        views=onlooker.see(views(), always=True),
        made=onlooker.see(tqdm(made, total=len(kinds), desc="foreign kinds", mininterval=5), always=True),
        kinds=kinds,
        spoilt={name: onlooker.see(spoil(name)) for name in SPOILERS},
        other=folders[0],
        accepted=folders[1],
        taught={
            source: onlooker.see(
                ((each.leak_group, read_image(each.path)) for each in taught if each.source == source), always=True
            )
            for source in sorted({each.source for each in taught})
        },
    )


def fit_and_study(
    material: Material,
    *,
    resamples: int = RESAMPLES,
    false_refusals: float = FALSE_REFUSALS,
    embedding_weight: float = EMBEDDING_WEIGHT,
    seed: int = 0,
) -> tuple[NoveltyReference, dict[str, Any]]:
    """The reference to ship, and all figures about the gates.

    Returns:
        the reference, and for ``evaluation.json``: ``false_refusals`` (by collection, out of fold), ``by_check`` (share
        of good images that each check refuses), ``across_sets``, ``accepted_elsewhere``, ``spoilt_images``,
        ``made_images`` (by kind, the kind left out of the fit), ``made_families`` (the family left out),
        ``other_images`` (a taught collection by halves), ``untaught_images`` (a taught collection by a fit without it),
        ``distances`` (what distances in the embedding alone would refuse), ``novelty``, and
        ``monitoring`` (the inputs' reference for :func:`ml.monitoring.drift_report`).
    """
    good, named = material.good, np.asarray(material.sources)
    made, kinds, families = _foreign(material)
    fitted = fit_novelty(
        good.examples,
        made.examples,
        sources=material.sources,
        folds=material.folds,
        kinds=kinds,
        views=material.views.examples,
        view_folds=material.folds,
        false_refusals=false_refusals,
        embedding_weight=embedding_weight,
        seed=seed,
    )
    reference, scores = fitted.reference, fitted.held_out
    threshold = reference.threshold

    def fit(known: NDArray[np.bool_], foreign: NDArray[np.bool_]) -> NoveltyReference:
        both = Examples.joined([good.examples.take(known), material.views.examples.take(known)])
        return fit_expansion(both, made.examples.take(foreign), embedding_weight=embedding_weight, seed=seed)

    refused = good.refused(scores, threshold)
    false, across, by_check = {}, {}, {}
    every_kind = np.ones(len(kinds), bool)
    names = sorted(set(material.sources))
    for name in names:
        own = named == name
        groups = [good.groups[row] for row in np.flatnonzero(own)]
        false[name] = grouped_rate(refused[own].astype(float), groups, resamples=resamples)
        by_check[name] = _by_check(good, own, novelty=scores < threshold)
        if len(names) > 1:
            unseen = fit(~own, every_kind).scores(good.examples)
            across[f"{name}, fitted without it"] = grouped_rate(
                good.refused(unseen, threshold)[own].astype(float), groups, resamples=resamples
            )
    kind = np.asarray(kinds)
    by_kind = made.refused(fitted.left_out, threshold)
    family = np.array(families)
    computed = np.arange(len(kinds)) < len(material.kinds)
    by_family = np.zeros(len(family), bool)
    for each in np.unique(family):
        without = fit(np.ones(len(named), bool), family != each).scores(made.examples)
        by_family[family == each] = made.refused(without, threshold)[family == each]

    def shipped(seen: Seen) -> dict[str, Any]:
        values = seen.refused(reference.scores(seen.examples), threshold).astype(float)
        return grouped_rate(values, seen.groups, resamples=resamples)

    def of_family(refused_images: NDArray[np.bool_], name: str) -> dict[str, Any]:
        rows = np.flatnonzero(family == name)
        groups = [made.groups[row] for row in rows]
        return grouped_rate(refused_images[rows].astype(float), groups, resamples=resamples)

    figures = {
        "false_refusals": false,
        "by_check": by_check,
        "across_sets": across,
        "accepted_elsewhere": {name: shipped(seen) for name, seen in material.accepted.items()},
        "spoilt_images": {name: shipped(seen) for name, seen in material.spoilt.items()},
        "made_images": {each: wilson_rate(by_kind[kind == each]) for each in dict.fromkeys(material.kinds)},
        "made_families": {
            each: wilson_rate(by_family[family == each]) for each in dict.fromkeys(family[computed].tolist())
        },
        "all_made_images": wilson_rate(by_kind[computed]),
        "other_images": {
            **{name: shipped(seen) for name, seen in material.other.items()},
            **{name: of_family(by_kind, name) for name in material.taught},
        },
        "untaught_images": {name: of_family(by_family, name) for name in material.taught},
        "distances": study_distances(material, reference, scores, false_refusals=false_refusals),
        "novelty": {
            "threshold": threshold,
            "good_refused_at_most": false_refusals,
            "foreign_refused_at_least": FOREIGN_REFUSED,
            "embedding_weight": embedding_weight,
            "reference_images": min(CENTERS, len(reference.weights)),
            "made_of_each_kind": len(material.kinds) // len(set(material.kinds)),
        },
    }
    inputs = {name: np.array([row[name] for row in good.values if name in row]) for name in WATCHED}
    measured = {name: values for name, values in inputs.items() if len(values) >= BINS}
    figures["monitoring"] = monitoring_reference({**measured, CHECK: scores})
    return reference, figures


def _foreign(material: Material) -> tuple[Seen, tuple[str, ...], tuple[str, ...]]:
    """All foreign images that the reference learns from, with their kinds and families.

    Each half of a taught collection's groups is a kind of its own, so that what is left out turn by turn is half of it.
    """
    parts, kinds = [material.made], list(material.kinds)
    families = [FAMILY_OF[kind] for kind in material.kinds]
    for source, seen in material.taught.items():
        half = {group: number % 2 for number, group in enumerate(sorted(set(seen.groups)))}
        parts.append(seen)
        kinds += [f"{source}, half {1 + half[group]}" for group in seen.groups]
        families += [source] * len(seen.groups)
    joined = Seen(
        Examples.joined([part.examples for part in parts]),
        tuple(names for part in parts for names in part.failed),
        tuple(group for part in parts for group in part.groups),
    )
    return joined, tuple(kinds), tuple(families)


def _by_check(seen: Seen, rows: NDArray[np.bool_], *, novelty: NDArray[np.bool_]) -> dict[str, float]:
    """Share of images that each check refuses; checks that refuse none are left out."""
    counts: dict[str, int] = {"novelty": int(novelty[rows].sum())}
    for row in np.flatnonzero(rows):
        for name in seen.failed[row]:
            counts[name] = counts.get(name, 0) + 1
    return {name: round(count / int(rows.sum()), 4) for name, count in sorted(counts.items()) if count}


def study_distances(
    material: Material,
    reference: NoveltyReference,
    scores: NDArray[np.float64],
    *,
    false_refusals: float,
) -> dict[str, dict[str, float]]:
    """What the shipped score and what distances in the embedding alone refuse, quality checks aside.

    Each method's limit refuses the same share of good images out of fold, in the collection that fares worst.

    Returns:
        by method the share refused of the computed images and of each folder of other kinds. For the shipped score the
        computed images are those it was fitted on; ``made_images`` has the figures with the kind left out.
    """
    named = np.asarray(material.sources)
    embeddings = material.good.examples.embeddings
    figures: dict[str, dict[str, float]] = {}
    for title, method in DISTANCES.items():
        held_out = np.zeros(len(embeddings))
        for fold in np.unique(material.folds):
            own = material.folds == fold
            held_out[own] = method(embeddings[~own])(embeddings[own])
        limit = max(float(np.quantile(held_out[named == name], 1 - false_refusals)) for name in np.unique(named))
        measure = method(embeddings)
        figures[title] = {
            name: round(float((measure(seen.examples.embeddings) > limit).mean()), 4)
            for name, seen in {"computed images": material.made, **_ran(material.other)}.items()
        }
    figures["shipped score"] = {
        name: round(float((reference.scores(seen.examples) < reference.threshold).mean()), 4)
        for name, seen in {"computed images": material.made, **_ran(material.other)}.items()
    }
    return figures


def _ran(folders: Mapping[str, Seen]) -> dict[str, Seen]:
    """The images of each folder on which the network ran; folders without any are left out."""
    kept = {}
    for name, seen in folders.items():
        rows = np.flatnonzero(~seen.spoilt)
        if len(rows):
            chosen = tuple(seen.groups[row] for row in rows)
            kept[name] = Seen(seen.examples.take(rows), tuple(() for _ in rows), chosen)
    return kept
