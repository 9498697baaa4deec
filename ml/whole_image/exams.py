"""From views to the breast: how well the model does when the views of a breast speak together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ml.data.records import ImageRecord
from ml.figures import Judged, discrimination


def breast_figures(records: Sequence[ImageRecord], judged: Judged, *, resamples: int) -> dict[str, Any]:
    """Discrimination by breast: the mean calibrated probability over its views, malignant when one of its images is.

    Args:
        records: the images, with the attribute ``side``; those without it count as a breast each.
        judged: the model's word on them, in the same order.
        resamples: of the bootstrap, over patients.

    Returns:
        the short form of :func:`ml.figures.discrimination`; n counts breasts.
    """
    breasts: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        side = record.attributes.get("side", record.path.stem)
        breasts.setdefault(f"{record.leak_group}/{side}", []).append(index)
    chosen = list(breasts.values())
    worst = [max(views, key=lambda view: judged.malignant[view]) for views in chosen]
    together = Judged(
        labels=judged.labels[worst],
        probabilities=np.stack([judged.probabilities[views].mean(axis=0) for views in chosen]),
        thresholds=np.array([judged.thresholds[views].mean() for views in chosen]),
        groups=tuple(records[views[0]].leak_group for views in chosen),
    )
    return discrimination(together, resamples=resamples)
