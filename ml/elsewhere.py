"""A good frame as another scanner, preset or export might have given it: what the novelty gate must still accept."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def as_exported_elsewhere(grey: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """A frame as another scanner, preset or export might give it: cropped, regained, rescaled, framed, compressed.

    Args:
        grey: uint8 (H, W).
        random: source of all randomness.

    Returns:
        uint8 of another size.
    """
    image: NDArray[np.floating] = _recropped(grey, random).astype(np.float32)
    if random.random() < 0.7:
        image = 255 * (image / 255) ** np.float32(random.uniform(0.65, 1.5)) * np.float32(random.uniform(0.7, 1.25))
    if random.random() < 0.3:
        image = image + np.float32(random.uniform(0, 25)) * (1 - image / 255)
    if random.random() < 0.5:
        image = image[:, ::-1]
    if random.random() < 0.4:
        zoom = random.uniform(0.5, 1.6)
        how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
        zoomed = cv2.resize(np.ascontiguousarray(image), None, fx=zoom, fy=zoom, interpolation=how)
        image = np.asarray(zoomed, np.float32)
    if random.random() < 0.25:
        softened = cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), random.uniform(0.5, 1.2))
        image = np.asarray(softened, np.float32)
    if random.random() < 0.25:
        image = image + random.normal(0, random.uniform(1, 6), image.shape).astype(np.float32)
    exported = np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))
    if random.random() < 0.5:
        exported = _framed(exported, random)
    if random.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(40, 95))]
        exported = np.asarray(cv2.imdecode(cv2.imencode(".jpg", exported, quality)[1], cv2.IMREAD_GRAYSCALE), np.uint8)
    return exported


def _recropped(grey: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Another field of view: less depth or width, another aspect."""
    if random.random() > 0.6:
        return grey
    height, width = grey.shape
    part, aspect = random.uniform(0.55, 1), random.uniform(0.8, 1.25) ** 0.5
    tall, wide = min(height, int(height * part * aspect)), min(width, int(width * part / aspect))
    top = int(random.integers(0, height - tall + 1)) if random.random() < 0.5 else 0
    left = int(random.integers(0, width - wide + 1))
    return grey[top : top + tall, left : left + wide]


def _framed(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Black margins with the scanner's ruler and a few words."""
    height, width = image.shape
    margins = [
        int(random.uniform(0, 0.16) * side) * int(random.random() < 0.6) for side in (height, height, width, width)
    ]
    top, bottom, left, right = margins
    ground = int(random.choice([0, 0, 0, 10, 30]))
    framed = np.asarray(
        cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=ground), np.uint8
    )
    tall, wide = framed.shape
    step = int(random.integers(12, 40))
    if random.random() < 0.7:
        for row in range(top, tall - bottom, step):
            cv2.line(framed, (max(1, left // 2), row), (max(1, left // 2) + 4, row), 200, 1)
    if random.random() < 0.35:
        for column in range(left, wide - right, step):
            cv2.line(framed, (column, tall - 3), (column, tall - 1), 200, 1)
    for _ in range(int(random.integers(0, 4))):
        words = "".join(random.choice(list("ABCDEGLR 0123456789.cmHz"), int(random.integers(2, 12))))
        place = (int(random.integers(0, max(1, wide - 60))), int(random.integers(10, tall)))
        scale = random.uniform(0.3, 0.6)
        cv2.putText(framed, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, int(random.integers(150, 255)), 1)
    return framed
