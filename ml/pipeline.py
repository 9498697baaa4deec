"""From pixels to an outcome: check, letterbox, forward pass, calibration, maps, outline."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from ml.contract import Outcome, OutcomeState, Quality, SimilarCase
from ml.explain import class_maps
from ml.images import Letterbox, checked_pixels, network_input, to_grey
from ml.looks.reading import first_look, look_closely
from ml.mammogram.detector import PatchDetector
from ml.quality import run_checks
from ml.runtime import TWO_LOOKS, AnyModel, LoadedModel
from ml.segment import segmentation


def analyse(image: NDArray[np.uint8], model: AnyModel) -> Outcome:
    """Judge one image, or decline to.

    The same pixels and model give the same outcome to the last bit, timings aside.

    Args:
        image: uint8 (H, W) grey or (H, W, 3) RGB, upright, without a DICOM's overlay bars where possible.
        model: from :func:`ml.runtime.load`.

    Returns:
        ``SUCCEEDED`` with prediction, class maps and what else the model offers, or ``REJECTED`` with reasons alone.

    Raises:
        ImageError: the array is no 8-bit image (dtype, channels, no pixels).
        ModelError: ``model_invalid`` when the network returns something that is not a number.
    """
    if isinstance(model, PatchDetector):
        return model.analyse(image)
    watch = _Stopwatch()
    image = checked_pixels(image)
    height, width = image.shape[:2]
    letterbox = Letterbox.fit(height=height, width=width, side=model.side)
    grey = to_grey(image)
    canvas = letterbox.place(grey)
    watch.stop("preprocess")
    quality = run_checks(image, letterbox.crop(canvas), limits=model.limits)
    watch.stop("quality")
    if not quality.passed:
        return _rejected(model, quality, watch)
    pixels = network_input(canvas)
    watch.stop("preprocess")
    if model.kind == TWO_LOOKS:
        return _look_twice(grey, letterbox, canvas, pixels, model, quality, watch)
    forward = model.forward(pixels)
    watch.stop("forward")
    quality = _with_novelty(quality, forward.embedding, letterbox.crop(canvas), model)
    watch.stop("quality")
    if not quality.passed:
        return _rejected(model, quality, watch)
    prediction = model.predict(forward.logits)
    maps = class_maps(forward.maps, letterbox=letterbox) if model.explained else None
    watch.stop("maps")
    return Outcome(
        state=OutcomeState.SUCCEEDED,
        model=model.identity,
        quality=quality,
        prediction=prediction,
        class_maps=maps,
        similar=_similar(forward.embedding, model),
        timings_ms=watch.timings(),
    )


def _look_twice(
    grey: NDArray[np.uint8],
    letterbox: Letterbox,
    canvas: NDArray[np.uint8],
    pixels: NDArray[np.float32],
    model: LoadedModel,
    quality: Quality,
    watch: _Stopwatch,
) -> Outcome:
    seen = model.look(pixels)
    watch.stop("forward")
    quality = _with_novelty(quality, seen.embedding, letterbox.crop(canvas), model)
    watch.stop("quality")
    if not quality.passed:
        return _rejected(model, quality, watch)
    reading = look_closely(grey, first_look(letterbox, seen), model.look)
    watch.stop("forward")
    prediction = model.predict(reading.whole_logits, reading.close_logits)
    maps = reading.class_maps(weights=model.look_weights) if model.explained else None
    watch.stop("maps")
    # The classification guides the outline: an image judged normal has no lesion.
    lesion = None if prediction.label == "normal" else segmentation(reading.lesion_probability())
    watch.stop("outline")
    return Outcome(
        state=OutcomeState.SUCCEEDED,
        model=model.identity,
        quality=quality,
        prediction=prediction,
        class_maps=maps,
        segmentation=lesion,
        similar=_similar(seen.embedding, model),
        timings_ms=watch.timings(),
    )


def _with_novelty(
    quality: Quality, embedding: NDArray[np.float32], inner: NDArray[np.uint8], model: LoadedModel
) -> Quality:
    """The checks with that for images of another kind, which needs a forward pass."""
    if model.novelty is None:
        return quality
    check = model.novelty.check(embedding, inner, modality=model.identity.modality)
    return Quality(checks=(*quality.checks, check))


def _similar(embedding: NDArray[np.float32], model: LoadedModel) -> tuple[SimilarCase, ...]:
    return () if model.similar is None else model.similar.nearest(embedding)


def _rejected(model: LoadedModel, quality: Quality, watch: _Stopwatch) -> Outcome:
    return Outcome(
        state=OutcomeState.REJECTED,
        model=model.identity,
        quality=quality,
        reasons=tuple(check.message for check in quality.checks if not check.passed),
        timings_ms=watch.timings(),
    )


class _Stopwatch:
    """Milliseconds by stage."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._stages = {"quality": 0.0, "preprocess": 0.0, "forward": 0.0, "maps": 0.0, "outline": 0.0}

    def stop(self, stage: str) -> None:
        """Add the time since the last stop to a stage."""
        now = time.perf_counter()
        self._stages[stage] += (now - self._last) * 1000.0
        self._last = now

    def timings(self) -> dict[str, float]:
        return {**self._stages, "total": sum(self._stages.values())}
