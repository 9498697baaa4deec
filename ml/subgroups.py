"""Figures within parts of a collection: scanner, BI-RADS category, armpit or breast, lesion size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.data.records import ImageRecord
from ml.figures import Judged, discrimination

SMALL_LESION, LARGE_LESION = 0.05, 0.15
"""Shares of the image's area that part small, middling and large lesions: about the thirds of BUSI and BUS-BRA."""

_ATTRIBUTES = ("device", "birads", "density", "view")


def subgroups(
    judged: Judged, records: Sequence[ImageRecord], *, resamples: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Discrimination within each collection by whatever its records say.

    Args:
        judged: the model's word on the images.
        records: the record of each, in the same order.
        resamples: of the bootstrap.
    """
    report: dict[str, dict[str, dict[str, Any]]] = {}
    for source, name, chosen in parts_of(records):
        report.setdefault(source, {})[name] = discrimination(judged.take(chosen), resamples=resamples)
    return report


def parts_of(records: Sequence[ImageRecord]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Every part of every collection: the collection, the part in words (``site: armpit``), its records, bool (N,)."""
    traits = [_traits(record) for record in records]
    sources = np.array([record.source for record in records])
    for source in sorted(set(sources.tolist())):
        inside = sources == source
        for trait in sorted({trait for name in traits for trait in name}):
            for value in sorted({name[trait] for name in traits if trait in name}):
                chosen = inside & np.array([name.get(trait) == value for name in traits])
                if chosen.any():
                    yield source, f"{trait}: {value}", chosen


def lesion_share(mask: Path) -> float:
    """Share of the image's area that its lesion mask covers, 0-1."""
    pixels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise ValueError(f"{mask} is not a readable mask.")
    return float((pixels > 127).mean())


def _traits(record: ImageRecord) -> Mapping[str, str]:
    traits = {name: record.attributes[name] for name in _ATTRIBUTES if record.attributes.get(name)}
    if record.attributes.get("axilla") in ("0", "1"):
        traits["site"] = "armpit" if record.attributes["axilla"] == "1" else "breast"
    if record.mask is not None and record.label != "normal":
        share = lesion_share(record.mask)
        size = "below 5 %" if share < SMALL_LESION else "5-15 %" if share < LARGE_LESION else "15 % and more"
        traits["lesion area"] = size
    return traits
