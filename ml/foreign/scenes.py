"""Scenes with the statistics of photographs.

Occluding shapes whose size follows a power law ("dead leaves": Lee, Mumford and Huang, Int. J. Computer Vision
41:35-59, 2001) have the edges, the scale invariance and the flat areas of natural images.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.foreign.noise import smooth_field, to_pixels

Pixels = NDArray[np.uint8]


def _finish(random: np.random.Generator, image: NDArray[np.floating]) -> Pixels:
    """Lens, light, sensor noise; in colour or in grey. ``image`` is float (H, W, 3), 0-255."""
    height, width = image.shape[:2]
    light = 1 + random.uniform(0, 0.3) * smooth_field(random, height, width, sigma=min(height, width) / 3)
    shot = cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 1.8)) * light[..., None]
    shot = np.clip(shot + random.normal(0, random.uniform(0.5, 7), image.shape), 0, 255).astype(np.uint8)
    return shot if random.random() < 0.35 else np.asarray(cv2.cvtColor(shot, cv2.COLOR_RGB2GRAY), np.uint8)


def _colour(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in np.clip(random.uniform(20, 235) + random.normal(0, 40, 3), 0, 255))
    return red, green, blue


def _leaves(random: np.random.Generator, height: int, width: int) -> Pixels:
    image = np.zeros((height, width, 3), np.uint8)
    image[:] = _colour(random)
    smallest, largest = random.uniform(3, 8), random.uniform(0.15, 0.6) * min(height, width)
    kind = int(random.integers(3))
    for _ in range(int(random.integers(150, 900))):
        # Inverse-cube law of radii by inversion of its distribution.
        u = random.random()
        radius = (smallest**-2 - u * (smallest**-2 - largest**-2)) ** -0.5
        center = (int(random.integers(width)), int(random.integers(height)))
        colour = _colour(random)
        if kind == 0:
            cv2.circle(image, center, int(radius), colour, -1, cv2.LINE_AA)
        elif kind == 1:
            axes = (int(radius), int(radius * random.uniform(0.2, 1)))
            cv2.ellipse(image, center, axes, random.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
        else:
            corners = random.normal(0, radius, (int(random.integers(3, 7)), 2)) + center
            cv2.fillPoly(image, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    return _finish(random, image.astype(np.float32))


def _landscape(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Sky, hills one behind the other, textured ground."""
    image = np.zeros((height, width, 3), np.float32)
    sky = np.linspace(random.uniform(150, 250), random.uniform(100, 220), height)[:, None]
    image[:] = sky[..., None] * np.array([random.uniform(0.6, 1), 0.9, 1.0])
    clouds = smooth_field(random, height, width, sigma=width / 12)
    image += 25 * np.clip(clouds, 0, 2)[..., None]
    rows = np.arange(height)[:, None]
    for layer in range(int(random.integers(2, 6))):
        ridge = smooth_field(random, 4, width, sigma=width / random.uniform(4, 20))[1]
        horizon = height * (0.35 + 0.13 * layer) + ridge * height * random.uniform(0.02, 0.1)
        inside = (rows > horizon[None, :])[..., None]
        texture = random.uniform(4, 35) * smooth_field(random, height, width, sigma=random.uniform(1, 6))
        image = np.where(inside, np.array(_colour(random), np.float32) + texture[..., None], image)
    return _finish(random, image)


def _street(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Buildings with rows of windows over a road."""
    image = np.full((height, width, 3), random.uniform(120, 250), np.float32)
    left = 0
    while left < width:
        right = left + int(random.integers(40, 200))
        top = int(random.uniform(0.05, 0.5) * height)
        image[top : int(0.8 * height), left:right] = _colour(random)
        pane = _colour(random)
        step, storey = int(random.integers(14, 40)), int(random.integers(18, 50))
        for row in range(top + 8, int(0.75 * height), storey):
            for column in range(left + 6, min(right, width) - 8, step):
                image[row : row + storey // 2, column : column + step // 2] = pane
        left = right
    image[int(0.8 * height) :] = random.uniform(40, 110)
    return _finish(random, image)


def _portrait(random: np.random.Generator, height: int, width: int) -> Pixels:
    """A head and shoulders before a background."""
    image = np.zeros((height, width, 3), np.float32)
    image[:] = _colour(random)
    image += 20 * smooth_field(random, height, width, sigma=width / 8)[..., None]
    skin = np.clip(np.array([1.0, 0.8, 0.65]) * random.uniform(70, 240), 0, 255)
    center, axis = (width // 2, int(0.42 * height)), int(random.uniform(0.14, 0.24) * height)
    hair = _colour(random)
    cv2.ellipse(
        image, (center[0], int(1.05 * height)), (int(1.9 * axis), int(1.2 * axis)), 0, 0, 360, _colour(random), -1
    )
    cv2.ellipse(image, (center[0], center[1] - axis // 3), (int(1.05 * axis), int(1.3 * axis)), 0, 0, 360, hair, -1)
    cv2.ellipse(image, center, (int(0.8 * axis), int(1.15 * axis)), 0, 0, 360, skin.tolist(), -1)
    for side in (-1, 1):
        eye = (center[0] + side * int(0.33 * axis), center[1] - int(0.15 * axis))
        cv2.ellipse(image, eye, (int(0.16 * axis), int(0.08 * axis)), 0, 0, 360, (235, 235, 235), -1)
        cv2.circle(image, eye, max(2, int(0.07 * axis)), (30, 25, 20), -1)
    cv2.ellipse(image, (center[0], center[1] + axis // 2), (axis // 3, axis // 10), 0, 0, 360, (150, 60, 60), -1)
    return _finish(random, image)


def _texture(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Grass, gravel, brick or cloth, close up."""
    choice = int(random.integers(4))
    field: NDArray[np.floating]
    if choice == 0:
        field = random.standard_normal((height, width)).astype(np.float32)
        blades = cv2.GaussianBlur(field, (0, 0), sigmaX=random.uniform(0.6, 2), sigmaY=random.uniform(3, 14))
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-50, 50), 1.5)
        field = np.asarray(cv2.warpAffine(blades, turn, (width, height)), np.float32)
    elif choice == 1:
        field = -np.abs(smooth_field(random, height, width, sigma=random.uniform(4, 16)))
    elif choice == 2:
        rows, columns = np.mgrid[0:height, 0:width]
        tall, wide = int(random.integers(14, 40)), int(random.integers(40, 100))
        shifted = columns + (rows // tall % 2) * (wide // 2)
        field = np.where((rows % tall < 3) | (shifted % wide < 3), 1.5, 0.0).astype(np.float32)
        field = (
            field
            + 0.4 * smooth_field(random, height, width, sigma=2)
            + 0.4 * smooth_field(random, height, width, sigma=20)
        )
    else:
        rows, columns = np.mgrid[0:height, 0:width]
        period = random.uniform(5, 16)
        field = np.sin(rows * 6.28 / period) * np.sin(columns * 6.28 / period) + 0.5 * smooth_field(
            random, height, width, sigma=3
        )
    grey = to_pixels(field, low=random.uniform(0, 60), high=random.uniform(170, 255)).astype(np.float32)
    return _finish(random, np.repeat(grey[..., None], 3, axis=2) * random.uniform(0.6, 1.0, 3))


KINDS = {
    "heap of shapes": _leaves,
    "landscape": _landscape,
    "street": _street,
    "portrait": _portrait,
    "close-up of a texture": _texture,
}
