"""Noise, flat fields and test patterns."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def to_pixels(values: NDArray[np.floating], *, low: float = 0.0, high: float = 255.0) -> Pixels:
    """Scale to the range ``low`` to ``high`` by the 1st and 99th percentile: uint8 of the same shape."""
    bottom, top = np.percentile(values, [1, 99])
    scaled = (values - bottom) / max(top - bottom, 1e-9)
    return np.clip(low + scaled * (high - low), 0, 255).astype(np.uint8)


def smooth_field(random: np.random.Generator, height: int, width: int, *, sigma: float) -> NDArray[np.float32]:
    """Gaussian noise of a correlation length of ``sigma`` pixels, mean 0, deviation 1."""
    step = max(1, int(sigma / 2))
    grains = random.standard_normal((height // step + 2, width // step + 2)).astype(np.float32)
    field = cv2.resize(cv2.GaussianBlur(grains, (0, 0), max(sigma / step, 0.3)), (width, height))
    return np.asarray((field - field.mean()) / (field.std() + 1e-9), np.float32)


def sector(random: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """The fan that a curved or phased transducer sees: bool (height, width)."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    apex_row, apex_column = -random.uniform(0.05, 0.6) * height, random.uniform(0.4, 0.6) * width
    radius = np.hypot(rows - apex_row, columns - apex_column)
    angle = np.abs(np.arctan2(columns - apex_column, rows - apex_row))
    near = -apex_row + random.uniform(0, 0.05) * height
    far = height - apex_row - random.uniform(0, 0.1) * height
    return (radius > near) & (radius < far) & (angle < random.uniform(0.35, 0.9))


def speckle_field(random: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Log-compressed envelope of a complex Gaussian field: fully developed speckle and nothing else."""
    across, down = random.uniform(0.6, 4.0), random.uniform(0.6, 2.0)
    parts = random.standard_normal((height, width, 2)).astype(np.float32)
    spread = np.asarray(cv2.GaussianBlur(parts, (0, 0), sigmaX=across, sigmaY=down), np.float32)
    power = (spread**2).sum(axis=2)
    return np.asarray(10 * np.log10(power / power.mean() + 10 ** -random.uniform(2, 5)), np.float32)


def _white(random: np.random.Generator, height: int, width: int) -> Pixels:
    shape = (height, width, 3) if random.random() < 0.3 else (height, width)
    return random.integers(0, 256, shape, dtype=np.uint8)


def _gaussian(random: np.random.Generator, height: int, width: int) -> Pixels:
    level, spread = random.uniform(50, 200), random.uniform(12, 80)
    return np.clip(random.normal(level, spread, (height, width)), 0, 255).astype(np.uint8)


def _salt_and_pepper(random: np.random.Generator, height: int, width: int) -> Pixels:
    image = np.full((height, width), int(random.integers(20, 200)), np.uint8)
    hit = random.random((height, width))
    share = random.uniform(0.02, 0.4)
    image[hit < share / 2] = 0
    image[hit > 1 - share / 2] = 255
    return image


def _coloured(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Noise whose amplitude falls as 1 / f^a."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(random.standard_normal((height, width))) / frequency ** random.uniform(0.4, 2.2)
    spectrum[0, 0] = 0
    return to_pixels(np.fft.irfft2(spectrum, s=(height, width)))


def _smooth(random: np.random.Generator, height: int, width: int) -> Pixels:
    return to_pixels(smooth_field(random, height, width, sigma=float(np.exp(random.uniform(0, np.log(40))))))


def _static(random: np.random.Generator, height: int, width: int) -> Pixels:
    """A television without a station: noise drawn out along the lines."""
    grains = random.standard_normal((height, width))
    lines = cv2.GaussianBlur(grains, (0, 0), sigmaX=random.uniform(1, 12), sigmaY=0.4)
    return to_pixels(np.asarray(lines, np.float64))


def _speckle(random: np.random.Generator, height: int, width: int) -> Pixels:
    return to_pixels(speckle_field(random, height, width), high=random.uniform(120, 255))


def _speckle_sector(random: np.random.Generator, height: int, width: int) -> Pixels:
    return np.where(sector(random, height, width), _speckle(random, height, width), np.uint8(0))


def _speckle_depth(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Speckle that fades with depth, in a fan or not: a transducer in air, or noise dressed up as an image."""
    depth = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    field = speckle_field(random, height, width)
    faded = field / field.std() - random.uniform(1, 6) * depth ** random.uniform(0.5, 2)
    image = to_pixels(faded, high=random.uniform(120, 255))
    return np.where(sector(random, height, width), image, np.uint8(0)) if random.random() < 0.5 else image


def _white_sector(random: np.random.Generator, height: int, width: int) -> Pixels:
    return np.where(sector(random, height, width), _gaussian(random, height, width), np.uint8(0))


def _flat(random: np.random.Generator, height: int, width: int) -> Pixels:
    image = np.full((height, width), int(random.integers(0, 256)), np.int16)
    if random.random() < 0.5:
        image += np.rint(random.normal(0, random.uniform(0.5, 3), (height, width))).astype(np.int16)
    return np.clip(image, 0, 255).astype(np.uint8)


def _ramp(random: np.random.Generator, height: int, width: int) -> Pixels:
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    turn = random.uniform(0, 2 * np.pi)
    slope = np.cos(turn) * rows + np.sin(turn) * columns
    if random.random() < 0.4:
        slope = -np.hypot(rows - random.random(), columns - random.random())
    return to_pixels(slope + random.normal(0, random.uniform(0, 0.05), slope.shape))


def _pattern(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Bars, checkers, rings or a grid, as on a test chart."""
    rows, columns = np.mgrid[0:height, 0:width]
    period = int(random.integers(8, 90))
    choice = int(random.integers(5))
    if choice == 0:
        image = (columns // period) * 37 % 256
    elif choice == 1:
        image = ((columns // period + rows // period) % 2) * 255
    elif choice == 2:
        image = 127 + 127 * np.sin(np.hypot(rows - height / 2, columns - width / 2) * 2 * np.pi / period)
    elif choice == 3:
        image = np.where((rows % period < 2) | (columns % period < 2), 230, 20)
    else:
        image = 127 + 127 * np.sin((rows * random.uniform(-1, 1) + columns * random.uniform(-1, 1)) * 6.3 / period)
    noisy = image + random.normal(0, random.choice([0.5, 8.0]), (height, width))
    return np.clip(noisy, 0, 255).astype(np.uint8)


KINDS = {
    "white noise": _white,
    "Gaussian noise": _gaussian,
    "salt and pepper": _salt_and_pepper,
    "1/f noise": _coloured,
    "smooth noise": _smooth,
    "line noise": _static,
    "speckle": _speckle,
    "speckle in a sector": _speckle_sector,
    "speckle fading with depth": _speckle_depth,
    "noise in a sector": _white_sector,
    "one grey level": _flat,
    "ramp": _ramp,
    "test pattern": _pattern,
}
