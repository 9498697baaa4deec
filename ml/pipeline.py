"""From pixels to an outcome: check, letterbox, forward pass, calibration, maps."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from ml.contract import Outcome, OutcomeState
from ml.explain import class_maps
from ml.images import Letterbox, checked_pixels, network_input, to_grey
from ml.quality import run_checks
from ml.runtime import LoadedModel


def analyse(image: NDArray[np.uint8], model: LoadedModel) -> Outcome:
    """Judge one image, or decline to.

    The same pixels and model give the same outcome to the last bit, timings aside.

    Args:
        image: uint8 (H, W) grey or (H, W, 3) RGB, upright, without a DICOM's overlay bars where possible.
        model: from :func:`ml.runtime.load`.

    Returns:
        ``SUCCEEDED`` with prediction and class maps, or ``REJECTED`` with reasons and neither.

    Raises:
        ImageError: the array is no 8-bit image (dtype, channels, no pixels).
        ModelError: ``model_invalid`` when the network returns something that is not a number.
    """
    began = time.perf_counter()
    image = checked_pixels(image)
    height, width = image.shape[:2]
    letterbox = Letterbox.fit(height=height, width=width, side=model.side)
    canvas = letterbox.place(to_grey(image))
    placed = time.perf_counter()
    quality = run_checks(image, letterbox.crop(canvas), limits=model.limits)
    checked = time.perf_counter()
    timings = {"quality": _ms(placed, checked), "preprocess": _ms(began, placed)}
    if not quality.passed:
        timings |= {"forward": 0.0, "maps": 0.0, "total": _ms(began, time.perf_counter())}
        return Outcome(
            state=OutcomeState.REJECTED,
            model=model.identity,
            quality=quality,
            reasons=tuple(check.message for check in quality.checks if not check.passed),
            timings_ms=timings,
        )
    pixels = network_input(canvas)
    scaled = time.perf_counter()
    forward = model.forward(pixels)
    passed = time.perf_counter()
    prediction = model.predict(forward.logits)
    maps = class_maps(forward.maps, letterbox=letterbox)
    drawn = time.perf_counter()
    timings |= {
        "preprocess": _ms(began, placed) + _ms(checked, scaled),
        "forward": _ms(scaled, passed),
        "maps": _ms(passed, drawn),
        "total": _ms(began, drawn),
    }
    return Outcome(
        state=OutcomeState.SUCCEEDED,
        model=model.identity,
        quality=quality,
        prediction=prediction,
        class_maps=maps,
        timings_ms=timings,
    )


def _ms(start: float, end: float) -> float:
    return (end - start) * 1000.0
