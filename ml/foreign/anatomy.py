"""Schematic radiographs, sections and microscopy: layout and grey levels of other examinations, not their detail."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.foreign.noise import smooth_field

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def _ellipse(
    image: Floats,
    *,
    center: tuple[float, float],
    axes: tuple[float, float],
    grey: float,
    turn: float = 0.0,
    thickness: int = -1,
) -> None:
    """Draw in place; center and axes as (x, y) in parts of the width and height."""
    height, width = image.shape
    middle = (int(center[0] * width), int(center[1] * height))
    radii = (max(1, int(axes[0] * width)), max(1, int(axes[1] * height)))
    cv2.ellipse(image, middle, radii, turn, 0, 360, grey, thickness, cv2.LINE_AA)


def _expose(random: np.random.Generator, image: Floats, *, blur: float, grain: float, texture: float = 0.0) -> Pixels:
    height, width = image.shape
    soft = cv2.GaussianBlur(image, (0, 0), blur)
    if texture:
        inside = (soft > 8).astype(np.float32)
        soft = soft + texture * inside * smooth_field(random, height, width, sigma=random.uniform(1.5, 5))
    noise = cv2.GaussianBlur(random.standard_normal((height, width)).astype(np.float32), (0, 0), 0.6)
    return np.clip(soft + grain * noise, 0, 255).astype(np.uint8)


def _head(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Axial section of a head: scalp, skull (dark in MR, white in CT), folded brain, ventricles."""
    image = np.zeros((height, width), np.float32)
    rx, ry = random.uniform(0.28, 0.42), random.uniform(0.36, 0.47)
    skull = random.choice([25.0, 250.0])
    _ellipse(image, center=(0.5, 0.5), axes=(rx, ry), grey=random.uniform(120, 220))
    _ellipse(image, center=(0.5, 0.5), axes=(rx * 0.95, ry * 0.95), grey=skull)
    brain = np.zeros_like(image)
    _ellipse(brain, center=(0.5, 0.5), axes=(rx * 0.88, ry * 0.88), grey=1.0)
    folds = smooth_field(random, height, width, sigma=random.uniform(4, 10))
    image = np.where(brain > 0.5, random.uniform(90, 150) + random.uniform(8, 35) * np.tanh(2 * folds), image)
    for side in (-1, 1):
        _ellipse(
            image,
            center=(0.5 + side * 0.05, random.uniform(0.44, 0.5)),
            axes=(random.uniform(0.015, 0.04), random.uniform(0.06, 0.12)),
            grey=random.choice([20.0, 60.0, 240.0]),
            turn=side * 12,
        )
    cv2.line(image, (width // 2, int((0.5 - ry * 0.85) * height)), (width // 2, int((0.5 + ry * 0.85) * height)), 60, 2)
    return _expose(random, image, blur=random.uniform(0.8, 2), grain=random.uniform(2, 9))


def _abdomen(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Axial CT of a trunk: fat, organs, vertebra, ribs, gas, the table under the patient."""
    image = np.zeros((height, width), np.float32)
    rx, ry = random.uniform(0.38, 0.47), random.uniform(0.28, 0.4)
    _ellipse(image, center=(0.5, 0.48), axes=(rx, ry), grey=random.uniform(50, 90))
    _ellipse(image, center=(0.5, 0.48), axes=(rx * 0.9, ry * 0.88), grey=random.uniform(90, 130))
    if random.random() < 0.5:
        for side in (-1, 1):
            _ellipse(
                image, center=(0.5 + side * rx * 0.48, 0.46), axes=(rx * 0.36, ry * 0.62), grey=random.uniform(5, 35)
            )
        _ellipse(image, center=(0.53, 0.5), axes=(rx * 0.25, ry * 0.4), grey=150)
    else:
        _ellipse(
            image, center=(0.5 - rx * 0.42, 0.43), axes=(rx * 0.42, ry * 0.5), grey=random.uniform(140, 180), turn=20
        )
        for _ in range(int(random.integers(5, 14))):
            place = (random.uniform(0.5 - 0.6 * rx, 0.5 + 0.7 * rx), random.uniform(0.3, 0.62))
            size = random.uniform(0.02, 0.07)
            _ellipse(
                image,
                center=place,
                axes=(size, size * random.uniform(0.6, 1.4)),
                grey=random.choice([10.0, 120.0, 170.0]),
            )
    _ellipse(image, center=(0.5, 0.48 + ry * 0.55), axes=(0.05, 0.06), grey=245)
    for angle in np.linspace(0.3, 2 * np.pi - 0.3, int(random.integers(8, 18))):
        place = (0.5 + rx * 0.85 * np.sin(angle), 0.48 - ry * 0.82 * np.cos(angle))
        _ellipse(image, center=place, axes=(0.025, 0.01), grey=235, turn=float(np.degrees(angle)))
    cv2.ellipse(image, (width // 2, int(0.72 * height)), (int(0.45 * width), int(0.18 * height)), 0, 20, 160, 120, 2)
    return _expose(random, image, blur=random.uniform(0.7, 1.6), grain=random.uniform(3, 14))


def _chest(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Chest radiograph: lung fields, heart, ribs, clavicles, spine."""
    image = np.full((height, width), random.uniform(140, 200), np.float32)
    for side in (-1, 1):
        _ellipse(image, center=(0.5 + side * 0.22, 0.47), axes=(0.16, 0.34), grey=random.uniform(30, 80), turn=side * 6)
    soft: Floats = np.asarray(cv2.GaussianBlur(image, (0, 0), width / 60), np.float32)
    _ellipse(soft, center=(0.5, 0.5), axes=(0.05, 0.6), grey=random.uniform(180, 230))
    _ellipse(soft, center=(0.56, 0.63), axes=(0.15, 0.17), grey=random.uniform(170, 215), turn=-30)
    soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), width / 80), np.float32)
    ribs = np.zeros_like(soft)
    for number in range(int(random.integers(7, 11))):
        row = int((0.12 + 0.085 * number) * height)
        for side in (-1, 1):
            place = (int(width * (0.5 + side * 0.2)), row + int(0.05 * height))
            cv2.ellipse(
                ribs, place, (int(0.2 * width), int(0.08 * height)), side * 14, 180, 360, 1, int(0.012 * height) + 1
            )
    soft += random.uniform(15, 45) * cv2.GaussianBlur(ribs, (0, 0), 1.5)
    return _expose(random, soft, blur=1.0, grain=random.uniform(1, 6), texture=random.uniform(1, 5))


def _limb(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Radiograph of bones with bright cortex in soft tissue; several together read as a hand."""
    image = np.full((height, width), random.uniform(0, 25), np.float32)
    turn = random.uniform(-15, 15)
    for number in range(bones := int(random.integers(1, 6))):
        across = (number + 0.5) / bones * 0.8 + 0.1
        thick = random.uniform(0.15, 0.3) / bones
        _ellipse(image, center=(across, 0.5), axes=(thick * 2.1, 0.62), grey=random.uniform(60, 100), turn=turn)
        bottom = 0.0
        while bottom < 1:
            top, bottom = bottom, bottom + random.uniform(0.2, 0.6)
            middle = (across, (top + bottom) / 2)
            _ellipse(image, center=middle, axes=(thick, (bottom - top) / 2.05), grey=235, turn=turn)
            _ellipse(
                image,
                center=middle,
                axes=(thick * 0.65, (bottom - top) / 2.4),
                grey=random.uniform(140, 190),
                turn=turn,
            )
    return _expose(random, image, blur=random.uniform(1, 2.5), grain=random.uniform(1, 6), texture=random.uniform(0, 6))


def _mammogram(random: np.random.Generator, height: int, width: int) -> Pixels:
    """A breast against the film's edge: half an oval with fibres and a bright muscle, the rest black."""
    height, width = max(height, width), min(height, width)
    image = np.zeros((height, width), np.float32)
    reach, tall = random.uniform(0.45, 0.95), random.uniform(0.3, 0.5)
    _ellipse(image, center=(0.0, random.uniform(0.4, 0.6)), axes=(reach, tall), grey=1.0)
    inside = cv2.GaussianBlur(image, (0, 0), width / 40)
    strands = -np.abs(smooth_field(random, height, width, sigma=random.uniform(5, 14)))
    gland = smooth_field(random, height, width, sigma=width / 8)
    tissue = random.uniform(60, 130) + random.uniform(10, 35) * strands + random.uniform(15, 50) * gland
    grey = np.asarray(inside * np.clip(tissue, 15, 250), np.float32)
    if random.random() < 0.6:
        muscle = np.array(
            [[0, 0], [int(random.uniform(0.25, 0.6) * width), 0], [0, int(random.uniform(0.3, 0.7) * height)]]
        )
        cv2.fillPoly(grey, [muscle.astype(np.int32)], random.uniform(170, 235), cv2.LINE_AA)
    if random.random() < 0.5:
        grey = np.ascontiguousarray(grey[:, ::-1])
    return _expose(random, grey, blur=random.uniform(0.7, 1.6), grain=random.uniform(0.5, 5))


def _subtraction(random: np.random.Generator, height: int, width: int) -> Pixels:
    """A contrast-enhanced mammogram, subtracted: the breast almost one grey, its rim, the nipple, faint enhancement."""
    image = np.zeros((height, width), np.float32)
    middle, reach, tall = random.uniform(0.4, 0.75), random.uniform(0.6, 1.05), random.uniform(0.3, 0.75)
    _ellipse(image, center=(0.0, middle), axes=(reach, tall), grey=1.0)
    if random.random() < 0.5:
        # Seen obliquely, the breast runs on into the armpit.
        armpit = [[0, 0], [random.uniform(0.3, 0.9), 0], [random.uniform(0.4, 0.9) * reach, middle], [0, middle]]
        cv2.fillPoly(image, [(np.array(armpit) * (width, height)).astype(np.int32)], 1.0, cv2.LINE_AA)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), width / 40), np.float32)
    inside = image > 0.5
    level = random.uniform(45, 110)
    tissue = level + random.uniform(3, 18) * smooth_field(random, height, width, sigma=width / random.uniform(4, 12))
    strands = -np.abs(smooth_field(random, height, width, sigma=random.uniform(2, 10)))
    tissue = tissue + random.uniform(0, 14) * strands + random.uniform(0, 11) * _streaks(random, height, width)
    for _ in range(int(random.integers(0, 4))):
        fold = (smooth_field(random, 4, width, sigma=width / 3)[1] * 0.1 + random.random()) * height
        away = np.abs(np.arange(height)[:, None] - fold[None, :]) / (height * random.uniform(0.01, 0.04))
        tissue = tissue - random.uniform(10, 50) * np.exp(-(away**2))
    # Scatter makes the border of the compressed breast darker or brighter than its middle.
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    tissue = tissue + random.uniform(-35, 45) * np.exp(-depth / (width * random.uniform(0.02, 0.1)))
    for _ in range(int(random.integers(0, 4))):
        spot = np.zeros_like(image)
        place = (random.uniform(0.1, 0.6) * reach, middle + random.uniform(-0.5, 0.5) * tall)
        _ellipse(spot, center=place, axes=(random.uniform(0.02, 0.09), random.uniform(0.02, 0.09)), grey=1.0)
        tissue = tissue + random.uniform(15, 70) * cv2.GaussianBlur(spot, (0, 0), width / 60)
    grey = np.where(inside, np.clip(tissue, 12, 255), 0).astype(np.float32)
    if random.random() < 0.6:
        _ellipse(grey, center=(min(reach, 0.98), middle), axes=(0.02, 0.02), grey=random.uniform(150, 255))
    if random.random() < 0.4:
        corner = np.array(
            [[0, 0], [int(random.uniform(0.2, 0.5) * width), 0], [0, int(random.uniform(0.2, 0.6) * height)]]
        )
        cv2.fillPoly(grey, [corner.astype(np.int32)], level + random.uniform(0, 60), cv2.LINE_AA)
    if random.random() < 0.5:
        grey = np.ascontiguousarray(grey[:, ::-1])
    return _expose(random, grey, blur=random.uniform(0.5, 1.4), grain=random.uniform(0.5, 5))


def _streaks(random: np.random.Generator, height: int, width: int) -> Floats:
    """Fine lines in one direction: what is left of tissue that moved between two exposures; deviation 1."""
    grains = random.standard_normal((height, width)).astype(np.float32)
    lines = cv2.GaussianBlur(grains, (0, 0), sigmaX=random.uniform(4, 12), sigmaY=random.uniform(0.6, 1.6))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-70, 70), 1.5)
    turned = cv2.warpAffine(lines, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned / (turned.std() + 1e-9), np.float32)


def _retina(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Eye background: a disc with an optic disc and branching vessels."""
    side = min(height, width)
    image = np.zeros((side, side), np.float32)
    _ellipse(image, center=(0.5, 0.5), axes=(0.46, 0.46), grey=random.uniform(90, 150))
    disc = np.array([random.uniform(0.25, 0.75), random.uniform(0.4, 0.6)])
    _ellipse(image, center=(float(disc[0]), float(disc[1])), axes=(0.06, 0.06), grey=240)
    inside = image > 5
    for _ in range(int(random.integers(8, 20))):
        place, heading = disc.copy(), random.uniform(0, 2 * np.pi)
        for step in range(40):
            following = place + 0.012 * np.array([np.cos(heading), np.sin(heading)])
            ends = [(int(end[0] * side), int(end[1] * side)) for end in (place, following)]
            cv2.line(image, ends[0], ends[1], 45, max(1, 4 - step // 12), cv2.LINE_AA)
            place, heading = following, heading + random.normal(0, 0.18)
    grey = _expose(random, np.where(inside, image, 0).astype(np.float32), blur=1.2, grain=random.uniform(1, 5))
    if random.random() < 0.5:
        return np.clip(grey[..., None] * np.array([1.2, 0.6, 0.3]), 0, 255).astype(np.uint8)
    return grey


def _histology(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Cells with dark nuclei on a pale ground."""
    image = np.full((height, width), random.uniform(170, 235), np.float32)
    image += random.uniform(5, 20) * smooth_field(random, height, width, sigma=random.uniform(6, 30))
    for _ in range(int(random.integers(100, 900))):
        size = random.uniform(0.004, 0.02)
        place = (random.random(), random.random())
        axes = (size, size * random.uniform(0.6, 1.4))
        _ellipse(image, center=place, axes=axes, grey=random.uniform(40, 130), turn=random.uniform(0, 180))
    grey = _expose(random, image, blur=random.uniform(0.6, 1.8), grain=random.uniform(1, 6))
    if random.random() < 0.5:
        return np.clip(255 - (255 - grey.astype(np.float32))[..., None] * np.array([0.6, 1.1, 0.5]), 0, 255).astype(
            np.uint8
        )
    return grey


def _spine(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Sagittal section of a spine: a column of vertebral bodies and discs before a bright or dark canal."""
    image = np.full((height, width), random.uniform(20, 70), np.float32)
    image += random.uniform(5, 30) * smooth_field(random, height, width, sigma=width / 14)
    bodies = int(random.integers(5, 10))
    bend = random.uniform(-0.12, 0.12)
    for number in range(bodies):
        along = (number + 0.5) / bodies
        across = 0.45 + bend * np.sin(along * np.pi)
        size = 0.38 / bodies
        corner = (int((across - 0.11) * width), int((along - size) * height))
        opposite = (int((across + 0.11) * width), int((along + size) * height))
        cv2.rectangle(image, corner, opposite, random.uniform(110, 170), -1)
        _ellipse(image, center=(across + 0.17, along), axes=(0.025, 0.6 / bodies), grey=random.choice([25.0, 235.0]))
        _ellipse(image, center=(across + 0.3, along + 0.02), axes=(0.07, 0.012), grey=150, turn=25)
    return _expose(random, image, blur=random.uniform(1, 2.2), grain=random.uniform(2, 9))


KINDS = {
    "head section": _head,
    "trunk section": _abdomen,
    "chest radiograph": _chest,
    "limb radiograph": _limb,
    "mammogram": _mammogram,
    "subtracted mammogram": _subtraction,
    "retina": _retina,
    "microscopy": _histology,
    "spine section": _spine,
}
