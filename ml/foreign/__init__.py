"""Images that are no breast ultrasound, made by computation: what the gates must refuse.

Nothing here is a photograph or a patient. Each kind is drawn from a seeded generator, so a test, a release and a
reader of the card see the same images; real images of other kinds are measured beside them from folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.foreign import anatomy, documents, noise, scenes

Maker = Callable[[np.random.Generator, int, int], NDArray[np.uint8]]
"""From a generator, a height and a width to an image, uint8 (height, width) or (height, width, 3) RGB."""

FAMILIES: Mapping[str, Mapping[str, Maker]] = MappingProxyType(
    {
        "noise": noise.KINDS,
        "documents": documents.KINDS,
        "photographs": scenes.KINDS,
        "other anatomy": anatomy.KINDS,
    }
)
"""Kinds by family. A family is what is left out together when something fitted on these images is measured."""

KINDS: Mapping[str, Maker] = MappingProxyType(
    {name: make for kinds in FAMILIES.values() for name, make in kinds.items()}
)

FAMILY_OF: Mapping[str, str] = MappingProxyType({name: family for family, kinds in FAMILIES.items() for name in kinds})


def make_foreign(kind: str, *, seed: int) -> NDArray[np.uint8]:
    """One image of a kind, as an export would hold it: of any size, compressed, a little sharper or softer.

    Args:
        kind: a key of :data:`KINDS`.
        seed: the same kind and seed give the same pixels.

    Returns:
        uint8 (H, W) or (H, W, 3), sides of 240-900 pixels.
    """
    # Each kind has its own stream, and a kind keeps its images when others are added.
    stream = int.from_bytes(hashlib.sha256(kind.encode()).digest()[:4], "big")
    random = np.random.default_rng([seed, stream])
    height = int(random.integers(240, 700))
    width = int(np.clip(height * random.uniform(0.7, 1.6), 240, 900))
    image = np.ascontiguousarray(KINDS[kind](random, height, width))
    if random.random() < 0.4:
        quality = int(random.integers(40, 96))
        done, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done:
            image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_UNCHANGED), np.uint8)
    return image
