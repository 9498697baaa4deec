"""Is this the kind of image the model knows? Judged after the forward pass, where the image lies among known ones.

A classifier answers with confidence for images of any kind, and a network trained to tell labels apart maps what it
never saw into the midst of what it did: on our first network Mahalanobis distances (Lee et al., NeurIPS 2018) and
nearest neighbours (Sun et al., ICML 2022) in the embedding let most noise and documents pass (``docs/refusals.md``).
So the place of an image is described by its embedding *and* by its appearance: grey levels, edges and grain at five
scales, layout. The score is a kernel expansion over reference images, good ones and foreign ones made by computation
(outlier exposure: Hendrycks et al., ICLR 2019), with the prior that an image is foreign:

    score(x) = -1 + sum_j w_j exp(-gamma |x - c_j|^2)

It is +1 among known images, -1 among foreign ones, and falls to -1 far from everything, so that a kind nobody thought
of is refused too. NumPy and OpenCV only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.contract import QualityCheck

CHECK = "novelty"

MESSAGES = {
    "US": (
        "This does not look like a breast ultrasound. Send the grey B-mode frame as the scanner exports it, upright; "
        "mammograms, photographs, documents and other examinations cannot be judged here."
    ),
    "MG": (
        "This does not look like a mammogram. Send the film or the digital mammogram itself, one breast and view at a "
        "time; ultrasounds, photographs, documents and other examinations cannot be judged here."
    ),
    "CESM": (
        "This does not look like a contrast-enhanced mammogram. Send the recombined (subtracted) image of one breast "
        "and view; other examinations cannot be judged here."
    ),
}

SCALES = 5
GRID = 8
CENTERS = 600
GAMMA = 0.6
RIDGE = 0.01
EMBEDDING_AXES = 32
EMBEDDING_WEIGHT = 0.25
FALSE_REFUSALS = 0.006
"""Share of good images that the threshold may refuse at most, out of fold, in the collection that fares worst."""

FOREIGN_REFUSED = 0.995
"""Share of foreign images, of kinds left out of the fit, that the threshold need not go beyond: a scanner that nobody
has seen yet is refused less often when the threshold is no higher than foreign images require."""

TURNS = 8
"""Foreign kinds are left out in this many turns, so a kind is judged by a fit that saw neither it nor a few others."""

_LEVELS = np.array([2, 8, 24, 48, 80, 112, 144, 176, 208, 240, 252])
_SPREAD_RANKS = np.array([2, 12, 24, 32, 40, 52, 61])
_FURTHEST = 6.0
_MARGIN = 0.001


def appearance(inner: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describe an image without a network: about 60 numbers in a third of a millisecond.

    Args:
        inner: uint8 (h, w), the image's area of the network's canvas, padding removed.

    Returns:
        float32 (A,): distribution of grey levels; at each of five scales the strength of horizontal and vertical
        edges, their peakedness, and the grain (what a 3 x 3 Gaussian removes); the brightness profile with depth,
        asymmetry, and the spread of local contrast. All finite.
    """
    inner = np.ascontiguousarray(inner)
    counts = cv2.calcHist([inner], [0], None, [256], [0, 256]).ravel()
    cumulative = np.cumsum(counts)[_LEVELS] / inner.size
    average, deviation = (float(value[0][0]) for value in cv2.meanStdDev(inner))
    contrast = deviation + 1.0
    strong, mean = [], []
    current = inner
    for scale in range(SCALES):
        for each in _differences(current):
            # A fraction of a level is added so that logarithms are finite.
            strong.append(cv2.norm(each, cv2.NORM_L2) / each.size**0.5 + 0.1)
            mean.append(cv2.norm(each, cv2.NORM_L1) / each.size + 0.05)
        if scale + 1 < SCALES:
            current = np.asarray(cv2.pyrDown(current), np.uint8)
    edges = np.log(np.array([strong, mean]) / np.array([[contrast] * len(strong), strong]))
    layout = _layout(inner, average=average, contrast=contrast)
    return np.asarray([*cumulative, average / 64, contrast / 32, *edges.ravel(), *layout], np.float32)


def _differences(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Between neighbours along rows and along columns, and to the image without its grain, 8-bit each."""
    if min(image.shape) < 2:
        flat = np.zeros((1, 1), np.uint8)
        return flat, flat, flat
    across = cv2.absdiff(image[:, 1:], image[:, :-1])
    down = cv2.absdiff(image[1:], image[:-1])
    return (
        np.asarray(across, np.uint8),
        np.asarray(down, np.uint8),
        np.asarray(cv2.absdiff(image, cv2.GaussianBlur(image, (3, 3), 0)), np.uint8),
    )


def _layout(inner: NDArray[np.uint8], *, average: float, contrast: float) -> list[float]:
    """Where it is bright and where there is detail, on a grid of 8 x 8 blocks."""
    small = cv2.resize(inner, (16 * GRID, 16 * GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    blocks = np.asarray(cv2.resize(small, (GRID, GRID), interpolation=cv2.INTER_AREA))
    squares = np.asarray(cv2.resize(small * small, (GRID, GRID), interpolation=cv2.INTER_AREA))
    spread = np.sqrt(np.maximum(squares - blocks * blocks, 0))
    logs = np.log(spread + 0.5)
    means = blocks - blocks.mean()
    centred = logs - logs.mean()
    together = float((means * centred).sum()) / (float(np.sqrt((means**2).sum() * (centred**2).sum())) + 1e-3)
    relative = np.log(spread / np.maximum(blocks, 1) + 0.02)
    lit = blocks > 8
    share = relative[lit] if lit.any() else np.zeros(1, np.float32)
    return [
        *((blocks.mean(axis=1) - average) / contrast),
        float(np.abs(blocks - blocks[:, ::-1]).mean()) / contrast,
        float(np.abs(blocks - blocks[::-1]).mean()) / contrast,
        float(blocks.std(axis=1).mean()) / contrast,
        float(blocks.std(axis=0).mean()) / contrast,
        *np.sort(logs.ravel())[_SPREAD_RANKS],
        together,
        float(share.mean()),
        float(share.std()),
    ]


@dataclass(frozen=True, slots=True)
class Examples:
    """Images as the gate sees them.

    Attributes:
        embeddings: float32 (N, K); K may be 0 for a model without an embedding.
        appearances: float32 (N, A), from :func:`appearance`.
    """

    embeddings: NDArray[np.float32]
    appearances: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.appearances)

    def take(self, chosen: NDArray[Any]) -> Examples:
        """The rows of a mask or of indices."""
        return Examples(self.embeddings[chosen], self.appearances[chosen])

    @classmethod
    def joined(cls, parts: Sequence[Examples]) -> Examples:
        """The rows of several, one after the other."""
        return cls(
            np.concatenate([part.embeddings for part in parts]), np.concatenate([part.appearances for part in parts])
        )


@dataclass(frozen=True, slots=True)
class NoveltyReference:
    """What the gate compares with; stored as ``novelty.npz`` in the artefact.

    Attributes:
        middle, scale: float32 (A,), mean and deviation of the appearances.
        embedding_mean: float32 (K,), of embeddings of unit length.
        axes: float16 (K, D), principal axes of the embeddings, scaled so that a step of 1 is a typical distance.
        centers: float16 (M, A + D), the reference images' places.
        weights: float32 (M,).
        gamma: width of the kernel.
        threshold: a score below it refuses the image.
    """

    middle: NDArray[np.float32]
    scale: NDArray[np.float32]
    embedding_mean: NDArray[np.float32]
    axes: NDArray[np.float16]
    centers: NDArray[np.float16]
    weights: NDArray[np.float32]
    gamma: float
    threshold: float
    _axes: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    _centers: NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Widened once: to turn half into single precision for every image takes longer than the sum itself.
        object.__setattr__(self, "_axes", self.axes.astype(np.float32))
        object.__setattr__(self, "_centers", self.centers.astype(np.float32))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """For :func:`ml.storage.write_arrays`."""
        numbers = {"gamma": np.array(self.gamma), "threshold": np.array(self.threshold)}
        return {name: getattr(self, name) for name in _ARRAYS} | numbers

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, threshold: float | None = None) -> NoveltyReference:
        """Undo :meth:`to_arrays`.

        Args:
            arrays: as stored.
            threshold: the manifest's, which goes before the stored one.

        Raises:
            ValueError: an array is missing, of the wrong shape, or holds what is no number.
        """
        missing = {*_ARRAYS, "gamma", "threshold"} - set(arrays)
        if missing:
            raise ValueError(f"the novelty reference lacks {', '.join(sorted(missing))}")
        if not all(np.isfinite(np.asarray(values, np.float64)).all() for values in arrays.values()):
            raise ValueError("the novelty reference holds values that are not numbers")
        reference = cls(
            **{name: arrays[name] for name in _ARRAYS},
            gamma=float(arrays["gamma"]),
            threshold=float(arrays["threshold"]) if threshold is None else float(threshold),
        )
        described, axes = len(reference.middle), reference.axes.shape[-1]
        if (
            reference.scale.shape != (described,)
            or reference.axes.shape != (len(reference.embedding_mean), axes)
            or reference.centers.shape != (len(reference.weights), described + axes)
        ):
            raise ValueError("the arrays of the novelty reference do not fit together")
        return reference

    def place(self, examples: Examples) -> NDArray[np.float32]:
        """Where images lie: float32 (N, A + D)."""
        looks = np.clip((examples.appearances - self.middle) / self.scale, -_FURTHEST, _FURTHEST)
        looks = looks / np.float32(np.sqrt(len(self.middle)))
        if not self.axes.size:
            return np.asarray(looks, np.float32)
        lengths = np.linalg.norm(examples.embeddings, axis=1, keepdims=True)
        directions = examples.embeddings / np.maximum(lengths, 1e-12) - self.embedding_mean
        return np.concatenate([looks, directions @ self._axes], axis=1, dtype=np.float32)

    def scores(self, examples: Examples) -> NDArray[np.float64]:
        """Scores (N,) of many images."""
        return _kernel(self.place(examples), self._centers, self.gamma) @ self.weights - 1.0

    def score(self, embedding: NDArray[np.float32], inner: NDArray[np.uint8]) -> float:
        """Score of one image: about +1 among known images, -1 among foreign ones and far from everything."""
        return float(self.scores(Examples(np.asarray(embedding)[None], appearance(inner)[None]))[0])

    def check(self, embedding: NDArray[np.float32], inner: NDArray[np.uint8], *, modality: str = "US") -> QualityCheck:
        """The check ``novelty`` of one image.

        Args:
            embedding: float32 (K,), from the forward pass.
            inner: uint8 (h, w), grey area of the canvas without padding, before any enhancement.
            modality: whose message is given.
        """
        value = self.score(embedding, inner)
        # Written so that a score that is no number refuses the image.
        passed = bool(value >= self.threshold)
        return QualityCheck(
            CHECK, round(value, 4), passed, f">= {self.threshold:.2f}", "" if passed else MESSAGES[modality]
        )


_ARRAYS = ("middle", "scale", "embedding_mean", "axes", "centers", "weights")


@dataclass(frozen=True, slots=True)
class NoveltyFit:
    """A fitted reference, and the scores that its threshold rests on.

    Attributes:
        reference: fitted on all images.
        held_out: float64 (N,), each good image's score by a fit on the other folds.
        left_out: float64 (M,), each foreign image's score by a fit without its kind.
    """

    reference: NoveltyReference
    held_out: NDArray[np.float64]
    left_out: NDArray[np.float64]


def fit_novelty(
    good: Examples,
    foreign: Examples,
    *,
    sources: Sequence[str],
    folds: NDArray[np.integer],
    kinds: Sequence[str],
    views: Examples | None = None,
    view_folds: NDArray[np.integer] | None = None,
    false_refusals: float = FALSE_REFUSALS,
    embedding_weight: float = EMBEDDING_WEIGHT,
    seed: int = 0,
) -> NoveltyFit:
    """Fit the reference on all images, its threshold on scores that neither the image nor its kind took part in.

    The threshold is the lower of two: the one that refuses ``false_refusals`` of the good images in the worst
    collection, and the one that refuses :data:`FOREIGN_REFUSED` of the foreign ones.

    Args:
        good: images of the kind to accept, as they are.
        foreign: images to refuse.
        sources: collection of each good image.
        folds: leak-safe fold of each good image.
        kinds: kind of each foreign image; at least two kinds.
        views: changed copies of good images (other gain, frame, crop), which widen what is accepted.
        view_folds: fold of the image each view was made from; needed with ``views``.
        false_refusals: see above.
        embedding_weight: of the embedding's axes against the appearance; 0 leaves the embedding out.
        seed: of the choice of centers.
    """
    folds, named = np.asarray(folds), np.asarray(sources)
    copies = good.take(np.zeros(0, np.intp)) if views is None else views
    copied = np.zeros(0, np.intp) if view_folds is None else np.asarray(view_folds)

    def fit(keep: NDArray[np.bool_], keep_copies: NDArray[np.bool_], others: NDArray[np.bool_]) -> NoveltyReference:
        known = Examples.joined([good.take(keep), copies.take(keep_copies)])
        return fit_expansion(known, foreign.take(others), embedding_weight=embedding_weight, seed=seed)

    all_good, all_copies = np.ones(len(good), bool), np.ones(len(copies), bool)
    all_foreign = np.ones(len(foreign), bool)
    held_out, left_out = np.zeros(len(good)), np.zeros(len(foreign))
    for fold in np.unique(folds):
        own = folds == fold
        held_out[own] = fit(~own, copied != fold, all_foreign).scores(good.take(own))
    order = {kind: number % TURNS for number, kind in enumerate(dict.fromkeys(kinds))}
    turn = np.array([order[kind] for kind in kinds])
    for each in np.unique(turn):
        own = turn == each
        left_out[own] = fit(all_good, all_copies, ~own).scores(foreign.take(own))
    threshold = min(float(np.quantile(held_out[named == name], false_refusals)) for name in np.unique(named))
    threshold = min(threshold, float(np.quantile(left_out, FOREIGN_REFUSED, method="higher")) + _MARGIN)
    arrays = fit(all_good, all_copies, all_foreign).to_arrays() | {"threshold": np.array(round(threshold, 4))}
    return NoveltyFit(NoveltyReference.from_arrays(arrays), held_out, left_out)


def fit_expansion(
    known: Examples, foreign: Examples, *, embedding_weight: float = EMBEDDING_WEIGHT, seed: int = 0
) -> NoveltyReference:
    """The kernel expansion by weighted ridge regression on a sample of centers (Nystrom); threshold 0.

    Known and foreign images weigh the same in sum, however many there are.
    """
    everything = Examples.joined([known, foreign])
    middle = everything.appearances.mean(axis=0)
    scale = everything.appearances.std(axis=0) + np.float32(1e-3)
    mean, axes = _principal_axes(everything.embeddings, weight=embedding_weight)
    empty = np.zeros((0, len(middle) + axes.shape[1]), np.float16)
    frame = NoveltyReference(
        middle, scale, mean, axes, centers=empty, weights=np.zeros(0, np.float32), gamma=GAMMA, threshold=0.0
    )
    places = frame.place(everything)
    random = np.random.default_rng(seed)
    half = CENTERS // 2
    chosen = np.concatenate(
        [random.permutation(len(known))[:half], len(known) + random.permutation(len(foreign))[:half]]
    )
    # Rounded before the weights are solved for: what is stored is what was fitted.
    centers = places[chosen].astype(np.float16)
    exact = centers.astype(np.float32)
    near = _kernel(places, exact, GAMMA)
    total = len(everything)
    emphasis = np.concatenate(
        [np.full(len(known), 0.5 * total / len(known)), np.full(len(foreign), 0.5 * total / len(foreign))]
    )
    wanted = np.concatenate([np.full(len(known), 2.0), np.zeros(len(foreign))])
    weighted = near * emphasis[:, None]
    system = weighted.T @ near + RIDGE * _kernel(exact, exact, GAMMA) + 1e-6 * np.eye(len(exact))
    weights = np.linalg.solve(system, weighted.T @ wanted).astype(np.float32)
    return NoveltyReference(middle, scale, mean, axes, centers=centers, weights=weights, gamma=GAMMA, threshold=0.0)


def _principal_axes(
    embeddings: NDArray[np.float32], *, weight: float
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Mean (K,) and scaled axes (K, D) of embeddings of unit length; no axes when the weight is 0."""
    width = embeddings.shape[1]
    if not weight or not width:
        return np.zeros(width, np.float32), np.zeros((width, 0), np.float16)
    directions = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    mean = directions.mean(axis=0)
    covariance = (directions - mean).T @ (directions - mean) / len(directions)
    variances, vectors = np.linalg.eigh(covariance.astype(np.float64))
    count = min(EMBEDDING_AXES, width)
    typical = float(np.sqrt(np.maximum(variances[-count:], 0).mean()))
    scaled = vectors[:, ::-1][:, :count] * (weight / max(typical * np.sqrt(count), 1e-9))
    return np.asarray(mean, np.float32), scaled.astype(np.float16)


def _kernel(places: NDArray[np.float32], centers: NDArray[np.float32], gamma: float) -> NDArray[np.float64]:
    """exp(-gamma |x - c|^2), float64 (N, M)."""
    squares = (places**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1)[None, :] - 2 * places @ centers.T
    return np.exp(-gamma * np.maximum(squares, 0).astype(np.float64))
