"""Cases of the training sets that look like this one to the network, with their known outcome. NumPy only.

A second opinion that the reader can check: the nearest neighbours by cosine in the classifier's embedding, reduced to
its principal axes so that a reference of some thousand images takes less than a megabyte. Numbers and names are
stored, never images.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS, SimilarCase
from ml.metrics import RESAMPLES, bootstrap

COUNT = 5
AXES = 96
WITHHELD = frozenset({"mini-mias", "inbreast"})
"""Collections whose licence is for research only: no numbers made from single images of theirs are passed on."""

_ARRAYS = ("mean", "axes", "places", "keys", "labels", "sources", "source_names")


@dataclass(frozen=True, slots=True)
class SimilarIndex:
    """The reference cases; stored as ``similar.npz`` in the artefact.

    Attributes:
        mean: float32 (K,), mean of the reference embeddings.
        axes: float16 (K, D), their principal axes.
        places: float16 (N, D), reference embeddings about the mean along the axes, each of length 1.
        keys: bytes (N,), the records' keys, UTF-8.
        labels: uint8 (N,), indices into :data:`ml.contract.LABELS`.
        sources: uint8 (N,), indices into ``source_names``.
        source_names: bytes (S,), UTF-8.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float16]
    places: NDArray[np.float16]
    keys: NDArray[np.bytes_]
    labels: NDArray[np.uint8]
    sources: NDArray[np.uint8]
    source_names: NDArray[np.bytes_]
    _wide: dict[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.keys)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """For :func:`ml.storage.write_arrays`."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> SimilarIndex:
        """Undo :meth:`to_arrays`.

        Raises:
            ValueError: an array is missing, of the wrong shape, or holds what cannot be meant.
        """
        missing = set(_ARRAYS) - set(arrays)
        if missing:
            raise ValueError(f"the reference of similar cases lacks {', '.join(sorted(missing))}")
        width, axes = arrays["axes"].shape
        count = len(arrays["keys"])
        fits = (
            arrays["mean"].shape == (width,)
            and arrays["places"].shape == (count, axes)
            and arrays["labels"].shape == arrays["sources"].shape == (count,)
        )
        if not fits or not all(np.isfinite(arrays[name]).all() for name in ("mean", "axes", "places")):
            raise ValueError("the arrays of the similar cases do not fit together")
        if count and (arrays["labels"].max() >= len(LABELS) or arrays["sources"].max() >= len(arrays["source_names"])):
            raise ValueError("a similar case has an unknown label or source")
        # Widened once: half-precision products are slow on processors without them.
        wide = {name: np.ascontiguousarray(arrays[name].T, np.float32) for name in ("axes", "places")}
        return cls(**{name: arrays[name] for name in _ARRAYS}, _wide=wide)

    def similarities(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of each of several embeddings (Q, K) with each reference case: float32 (Q, N)."""
        return _unit((embeddings - self.mean) @ self._wide["axes"].T) @ self._wide["places"]

    def nearest(
        self, embedding: NDArray[np.float32], *, count: int = COUNT, exclude: Collection[str] = ()
    ) -> tuple[SimilarCase, ...]:
        """The most similar reference cases, nearest first.

        Args:
            embedding: float32 (K,), of the image in question.
            count: how many at most.
            exclude: keys that must not be named, such as the image's own.

        Returns:
            at most ``count`` cases; none for an embedding that is not finite. ``similarity`` is the cosine of the
            angle at the mean of the reference cases, -1 to 1.
        """
        if not len(self) or not np.isfinite(embedding).all():
            return ()
        similarity = self.similarities(np.asarray(embedding)[None])[0]
        # A stable sort: equal similarities keep the order of the reference.
        order = np.argsort(-similarity, kind="stable")
        found: list[SimilarCase] = []
        for position in order[: count + len(exclude)]:
            key = self.keys[position].decode()
            if key not in exclude and len(found) < count:
                found.append(
                    SimilarCase(
                        case=key,
                        source=self.source_names[self.sources[position]].decode(),
                        label=LABELS[int(self.labels[position])],
                        similarity=round(float(np.clip(similarity[position], -1, 1)), 4),
                    )
                )
        return tuple(found)


def fit_similar(
    embeddings: NDArray[np.float32],
    *,
    keys: Sequence[str],
    labels: Sequence[str],
    sources: Sequence[str],
    withheld: Collection[str] = WITHHELD,
) -> SimilarIndex:
    """The index over labelled images.

    Args:
        embeddings: float32 (N, K), of the shipped network.
        keys, labels, sources: of each image; keys are those of :class:`ml.data.records.ImageRecord`.
        withheld: collections that are left out.

    Raises:
        ValueError: nothing is left to refer to.
    """
    kept = np.array([source not in withheld for source in sources], bool)
    if not kept.any():
        raise ValueError("No collection may be named as similar cases: every one is withheld by its licence.")
    chosen = np.asarray(embeddings, np.float32)[kept]
    names = sorted({source for source in sources if source not in withheld})
    mean, axes = _principal(chosen)
    narrow = axes.astype(np.float16)
    places = _unit((chosen - mean) @ narrow.astype(np.float32)).astype(np.float16)
    return SimilarIndex.from_arrays(
        {
            "mean": mean,
            "axes": narrow,
            "places": places,
            "keys": np.array([key.encode() for key in keys])[kept],
            "labels": np.array([LABELS.index(each) for each, keep in zip(labels, kept, strict=True) if keep], np.uint8),
            "sources": np.array(
                [names.index(each) for each, keep in zip(sources, kept, strict=True) if keep], np.uint8
            ),
            "source_names": np.array([name.encode() for name in names]),
        }
    )


def study_similar(
    embeddings: NDArray[np.float32] | Mapping[int, NDArray[np.float32]],
    *,
    labels: Sequence[str],
    sources: Sequence[str],
    groups: Sequence[str],
    folds: Sequence[int],
    count: int = COUNT,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """How often a neighbour shares the image's label, against chance.

    Args:
        embeddings: float32 (N, K) of one network; or, honest to the network as well, for each fold (N, K) of the
            network that did not see that fold.
        labels, sources, groups, folds: of each image; groups are leak groups.
        count: neighbours looked at.
        resamples: of the bootstrap over groups.

    Returns:
        for each source and for ``all``: ``precision`` (mean share of neighbours with the same label), ``chance``
        (the same for neighbours drawn at random, the label's share among images of other groups) and ``gain``, each
        with n and a 95 % interval; ``network_saw_queries`` says whether the embedding had been trained on the
        images asked for. A neighbour never is of the image's own group; with embeddings by fold it is of another
        fold.
    """
    truth = np.array([LABELS.index(label) for label in labels])
    group, fold, source = np.asarray(groups), np.asarray(folds), np.asarray(sources)
    hits, chance = np.zeros(len(truth)), np.zeros(len(truth))
    parts: list[int | None] = [None]
    if isinstance(embeddings, Mapping):
        parts = [int(part) for part in np.unique(fold)]
    for part in parts:
        table = embeddings[part] if isinstance(embeddings, Mapping) and part is not None else np.asarray(embeddings)
        known: NDArray[np.intp] = np.flatnonzero(fold != part) if part is not None else np.arange(len(truth))
        asked = np.flatnonzero(fold == part) if part is not None else known
        index = fit_similar(
            table[known],
            keys=[str(number) for number in known],
            labels=[LABELS[number] for number in truth[known]],
            sources=[str(source[number]) for number in known],
            withheld=(),
        )
        foreign = group[asked][:, None] != group[known][None, :]
        same = truth[asked][:, None] == truth[known][None, :]
        similarity = np.where(foreign, index.similarities(table[asked]), -np.inf)
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        hits[asked] = np.take_along_axis(same & foreign, nearest, axis=1).mean(axis=1)
        chance[asked] = (same & foreign).sum(axis=1) / np.maximum(foreign.sum(axis=1), 1)
    figures: dict[str, Any] = {
        "neighbours": count,
        "network_saw_queries": not isinstance(embeddings, Mapping),
        "sets": {},
    }
    for name in [*sorted(set(sources)), "all"]:
        rows = np.flatnonzero((source == name) | (name == "all"))
        figures["sets"][name] = _precision(hits[rows], chance[rows], group[rows].tolist(), resamples)
    return figures


def _precision(
    hits: NDArray[np.float64], chance: NDArray[np.float64], groups: Sequence[str], resamples: int
) -> dict[str, Any]:
    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        precision, expected = float(hits[chosen].mean()), float(chance[chosen].mean())
        return {"precision": precision, "chance": expected, "gain": precision - expected}

    return {name: figure.as_dict() for name, figure in bootstrap(measure, groups, resamples=resamples).items()}


def _principal(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (K,) and principal axes (K, D)."""
    mean = values.mean(axis=0)
    centred = (values - mean).astype(np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(mean, np.float32), np.asarray(vectors[:, ::-1][:, :AXES], np.float32)


def _unit(values: NDArray[np.floating]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.maximum(lengths, 1e-12), np.float32)
