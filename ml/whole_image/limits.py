"""Quality limits of a model, fitted to the images that it was developed on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from ml.data.pixels import read_pixels
from ml.data.records import ImageRecord
from ml.images import Letterbox, to_grey
from ml.quality import QualityLimits, run_checks

MOST_REFUSED = 0.005
"""Share of the good images that a single check may refuse before its limit is moved."""

_LOWER = {
    "size": "shortest_side",
    "crop": "shortest_crop",
    "blank": "least_contrast",
    "contrast": "least_range",
    "exposure": "least_highlight",
    "blur": "least_detail",
}
_UPPER = {
    "aspect": "longest_aspect",
    "noise": "most_detail",
    "colour": "most_colour",
    "doppler": "most_flow",
    "text": "most_text",
}


def fit_limits(records: Sequence[ImageRecord], *, side: int, start: QualityLimits | None = None) -> QualityLimits:
    """Limits under which no check refuses more than :data:`MOST_REFUSED` of the images by its measured value.

    Args:
        records: good images.
        side: side of the network's canvas, pixels.
        start: where to begin; a limit that refuses few enough stays as it is.
    """
    limits = start or QualityLimits()
    values: dict[str, list[float]] = {}
    for record in records:
        image = read_pixels(record.path)
        letterbox = Letterbox.fit(height=image.shape[0], width=image.shape[1], side=side)
        for check in run_checks(image, letterbox.crop(letterbox.place(to_grey(image))), limits=limits).checks:
            values.setdefault(check.name, []).append(check.value)
    moved: dict[str, float] = {}
    for name, measured in values.items():
        if name in _LOWER:
            field, limit = _LOWER[name], float(np.quantile(measured, MOST_REFUSED))
            # Rounded outwards, so that rounding refuses nobody.
            moved[field] = min(getattr(limits, field), math.floor(limit * 1000) / 1000)
        elif name in _UPPER:
            field, limit = _UPPER[name], float(np.quantile(measured, 1 - MOST_REFUSED))
            moved[field] = max(getattr(limits, field), math.ceil(limit * 1000) / 1000)
    for field in ("shortest_side", "shortest_crop"):
        if field in moved:
            moved[field] = int(moved[field])
    return dataclasses.replace(limits, **moved)  # type: ignore[arg-type]
