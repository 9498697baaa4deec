"""Synthetic breast ultrasound: B-mode images that are nobody's, for the demonstration hospital and for tests.

An image is a map of echogenicity (how strongly tissue scatters, in dB) with structures drawn into it, seen through a
simple scanner: fully developed speckle (the envelope of a complex Gaussian field is Rayleigh distributed: Wagner et
al., IEEE Trans. Sonics Ultrason. 30(3), 1983), averaged over a few looks as spatial compounding does; a point spread
that widens away from the focus; attenuation along the beam relative to what the time gain compensation assumes;
logarithmic compression. Enhancement behind a cyst and the shadow behind a mass are not painted; they follow from the
attenuation inside the lesion.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

Kind = Literal["normal", "cyst", "fibroadenoma", "mass"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MARK = "SYNTHETIC"

DYNAMIC_RANGE_DB = 60.0
REFERENCE_DB = -25.0  # where glandular tissue stands below white
LOOKS = 3  # compounded, so speckle is a third as strong in power
INSIDE = 255
DIRECTIONS = 1024  # steps of a full turn in which a lesion's outline is described

# Echogenicity in dB relative to glandular tissue; fat is the darker of the two in the breast.
FAT_DB, GLAND_DB, MUSCLE_DB, SKIN_DB, FASCIA_DB, SEPTUM_DB = -13.0, 0.0, -16.0, 6.0, 5.0, 14.0

DESCRIPTIONS: dict[Kind, str] = {
    "normal": "Skin, subcutaneous fat, glandular tissue and pectoral muscle without a focal finding.",
    "cyst": "Oval, anechoic, circumscribed, with a thin wall and posterior enhancement: a simple cyst.",
    "fibroadenoma": "Oval, parallel to the skin, hypoechoic, circumscribed, slight enhancement: a fibroadenoma.",
    "mass": "Irregular, hypoechoic, spiculated margin, echogenic rim, posterior shadow: a suspicious mass.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """`pixels` uint8 (H, W), 0 black to 255 white; `mask` uint8 (H, W), 255 inside the lesion, 0 outside."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    kind: Kind
    description: str


@dataclass(frozen=True, slots=True)
class _Lesion:
    """How a kind of lesion scatters (dB), attenuates (dB per 100 rows beyond the compensation), and is bounded."""

    echo_db: float
    texture_db: float
    attenuation: float
    rim_db: float
    rim_width: float
    height: tuple[float, float]  # semi-axis as a part of the image's height, smallest and largest
    aspect: tuple[float, float]  # width by height
    edge: float  # softness of the border in pixels


_LESIONS: dict[Kind, _Lesion] = {
    "cyst": _Lesion(-42.0, 0.5, -8.0, 5.0, 2.0, (0.085, 0.125), (1.15, 1.6), 2.0),
    "fibroadenoma": _Lesion(-14.0, 1.8, -3.5, 4.0, 2.5, (0.075, 0.115), (1.6, 2.1), 2.5),
    "mass": _Lesion(-21.0, 3.0, 13.0, 4.0, 9.0, (0.10, 0.14), (0.75, 1.05), 5.0),
}


def generate(kind: Kind, *, seed: int, width: int = 640, height: int = 480) -> Phantom:
    """One image of `kind`; the same arguments give the same pixels. The corner says SYNTHETIC.

    >>> generate("cyst", seed=1).pixels.shape
    (480, 640)
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if min(width, height) < 128:
        raise ValueError(f"a phantom needs at least 128 x 128 pixels, not {width} x {height}")
    random = np.random.default_rng([seed, KINDS.index(kind), width, height])
    echo = _tissue(random, width, height)
    attenuation = np.zeros((height, width), np.float32)
    mask = np.zeros((height, width), np.uint8)
    if kind != "normal":
        mask = _draw_lesion(random, kind, echo, attenuation)
    echo += _along_the_beam(attenuation)
    pixels = _scan(random, echo)
    cv2.putText(pixels, MARK, (width - 74, height - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.36, 110, 1, cv2.LINE_AA)
    return Phantom(pixels=pixels, mask=mask, kind=kind, description=DESCRIPTIONS[kind])


def _field(random: np.random.Generator, width: int, height: int, *, across: float, down: float) -> NDArray[np.float32]:
    """Smooth noise of unit deviation, correlation lengths in pixels; made small and enlarged, since it is smooth."""
    step = max(1, int(min(across, down) / 2))
    size = (height // step + 2, width // step + 2)
    grains = random.standard_normal(size, dtype=np.float32)
    smooth = cv2.GaussianBlur(grains, (0, 0), sigmaX=across / step, sigmaY=down / step, borderType=cv2.BORDER_REFLECT)
    field = np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    return (field - field.mean()) / (field.std() + np.float32(1e-6))


def _bent(random: np.random.Generator, field: NDArray[np.float32]) -> NDArray[np.float32]:
    """The field with its rows moved up and down by smooth noise: tissue follows the layers, but not with a ruler."""
    height, width = field.shape
    rows = np.arange(height, dtype=np.float32)[:, None]
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))
    moved = rows + np.float32(0.022 * height) * _field(random, width, height, across=width / 14, down=height / 8)
    return np.asarray(cv2.remap(field, columns, moved, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32)


def _boundary(random: np.random.Generator, width: int, *, depth: float, swing: float) -> NDArray[np.float32]:
    """The depth of a layer's border for every column, in rows."""
    wave = _field(random, width, 8, across=width / 7, down=8.0)[4]
    tilt = np.linspace(-1, 1, width, dtype=np.float32) * random.uniform(-0.6, 0.6)
    return depth + swing * (0.6 * wave + tilt)


def _line(rows: NDArray[np.float32], border: NDArray[np.float32] | np.float32, thickness: float) -> NDArray[np.float32]:
    """1 on the border, falling to 0 within some `thickness` of rows."""
    return 1.0 / (1.0 + np.square((rows - border) / np.float32(thickness)) ** 2)


def _step(distance: NDArray[np.float32], softness: float) -> NDArray[np.float32]:
    """0 on the negative side, 1 on the positive, soft over `softness` pixels either way."""
    part = np.clip(distance * np.float32(0.5 / softness) + np.float32(0.5), 0, 1)
    return part * part * (3 - 2 * part)


def _tissue(random: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Echogenicity in dB, float32 (H, W): skin, fat between Cooper's ligaments, gland, retromammary fat, muscle."""
    rows = np.arange(height, dtype=np.float32)[:, None]
    skin = _boundary(random, width, depth=0.045 * height, swing=0.004 * height)
    gland_top = _boundary(random, width, depth=random.uniform(0.19, 0.27) * height, swing=0.035 * height)
    gland_bottom = _boundary(random, width, depth=random.uniform(0.60, 0.68) * height, swing=0.03 * height)
    muscle_top = gland_bottom + 0.075 * height + np.abs(_boundary(random, width, depth=0, swing=0.015 * height))
    muscle_bottom = muscle_top + random.uniform(0.15, 0.19) * height

    # Fat lobules bulge into the gland: the border is moved by noise, and strands run along the layers' tilt.
    waver = 0.035 * height * _field(random, width, height, across=width / 16, down=height / 18)
    strands = _bent(random, _field(random, width, height, across=26, down=2.6))
    fine = _bent(random, _field(random, width, height, across=9, down=2.2))
    islands = _field(random, width, height, across=38, down=15)
    gland = _step(rows - gland_top + waver, 6.0) * _step(gland_bottom - rows + 0.5 * waver, 6.0)
    muscle = _step(rows - muscle_top, 4.0) * _step(muscle_bottom - rows, 4.0)

    lobules = _bent(random, _field(random, width, height, across=width / 10, down=height / 26))
    septa = SEPTUM_DB / (1.0 + np.square(lobules / 0.07)) * np.clip(0.75 + 0.5 * islands, 0.15, 1)
    fat = FAT_DB + 1.3 * fine + 1.5 * np.clip(strands - 0.5, 0, 2) + septa
    glandular = GLAND_DB + 2.8 * strands + 2.2 * fine - 9.0 * np.clip(islands - 0.2, 0, 1.3) + 0.3 * septa
    muscular = MUSCLE_DB + 7.5 * np.clip(strands - 0.4, 0, 1.8) + 1.5 * fine

    echo = fat + (glandular - fat) * gland
    echo += (muscular - echo) * muscle
    behind = _step(rows - muscle_bottom, 5.0)
    echo += (FAT_DB - 9.0 + 2.0 * islands + 2.0 * fine - echo) * behind
    # Fasciae reflect where they lie across the beam, so their brightness comes and goes along their course.
    for border, thickness in ((gland_top - waver.mean(axis=0), 1.8), (muscle_top, 2.4), (muscle_bottom, 3.0)):
        course = np.clip(0.55 + 0.5 * _field(random, width, 8, across=width / 12, down=8.0)[4], 0, 1)
        echo += (FASCIA_DB - echo) * course * _line(rows, border, thickness)
    dermis = _step(skin - rows, 2.0)
    echo += (SKIN_DB - 8.0 + 1.5 * fine - echo) * dermis
    return echo + (SKIN_DB - echo) * np.maximum(_line(rows, skin, 2.2), _line(rows, np.float32(1.0), 4.0))


def _draw_lesion(
    random: np.random.Generator, kind: Kind, echo: NDArray[np.float32], attenuation: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Change echogenicity and attenuation in place; return the mask."""
    height, width = echo.shape
    lesion = _LESIONS[kind]
    semi_y = random.uniform(*lesion.height) * height
    semi_x = min(semi_y * random.uniform(*lesion.aspect), 0.3 * width)
    center_x, center_y = random.uniform(0.36, 0.64) * width, random.uniform(0.37, 0.45) * height
    tilt = random.uniform(-0.2, 0.2)

    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x - np.float32(center_x), y - np.float32(center_y)
    along = (x * np.cos(tilt) + y * np.sin(tilt)) / np.float32(semi_x)
    across = (y * np.cos(tilt) - x * np.sin(tilt)) / np.float32(semi_y)
    angle = cv2.phase(along, across)
    direction = np.minimum(angle * np.float32(DIRECTIONS / (2 * np.pi)), DIRECTIONS - 1).astype(np.intp)
    outline, strands = _outline(random, kind)
    radius = cv2.magnitude(along, across)
    distance = (outline[direction] - radius) * np.float32(min(semi_x, semi_y))  # pixels, positive inside
    # Tissue gives way unevenly, most of all to an invasive mass.
    distance += np.float32(lesion.edge / 2) * _field(random, width, height, across=7, down=6)

    inside = _step(distance, lesion.edge)
    texture = lesion.texture_db * _field(random, width, height, across=12, down=8)
    # A wall reflects where the beam meets it at right angles: at the top and at the bottom.
    facing = np.square(across / (radius + np.float32(1e-6)))
    echo += lesion.rim_db * _line(distance, np.float32(-lesion.rim_width), lesion.rim_width) * facing
    if kind == "mass":
        echo += strands[direction] / (1.0 + np.square(np.clip(-distance, 0, None) / 18.0))
    echo += inside * (lesion.echo_db + texture - echo)
    if kind == "mass":
        for _ in range(int(random.integers(2, 6))):
            point = (int(center_x + random.normal(0, semi_x / 3)), int(center_y + random.normal(0, semi_y / 3)))
            cv2.circle(echo, point, 1, 2.0, -1)
    else:
        # Refraction at the edges of a smooth lesion throws two narrow shadows.
        edges = _line(np.abs(along), np.float32(1.0), 0.06) * (np.abs(across) < 0.35)
        attenuation += edges * np.float32(3.5 / max(0.7 * semi_y, 1.0))
    attenuation += inside * np.float32(lesion.attenuation / 100.0)
    return _largest_part(distance > 0)


def _largest_part(inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The lesion without the islands that its uneven border leaves around it."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return np.where(labels == largest, np.uint8(INSIDE), np.uint8(0))


def _outline(random: np.random.Generator, kind: Kind) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For each direction around the lesion: its radius relative to the ellipse, and bright strands outside it in dB."""
    angles = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False, dtype=np.float32)
    strength = {"cyst": 0.015, "fibroadenoma": 0.03}.get(kind, 0.11)
    outline, strands = np.ones_like(angles), np.zeros_like(angles)
    for wave in range(2, 4 if kind != "mass" else 9):
        outline += random.normal(0, strength / wave**0.5) * np.cos(wave * angles + random.uniform(0, 2 * np.pi))
    if kind == "mass":
        for _ in range(int(random.integers(8, 14))):
            turn = (angles - random.uniform(0, 2 * np.pi) + np.pi) % (2 * np.pi) - np.pi
            sharpness = random.uniform(0.03, 0.09)
            outline += random.uniform(0.1, 0.45) * np.exp(-np.abs(turn) / sharpness)
            strands += random.uniform(2, 6) * np.exp(-(((turn - 0.15) / 0.06) ** 2))
    return outline.astype(np.float32), strands.astype(np.float32)


def _along_the_beam(attenuation: NDArray[np.float32]) -> NDArray[np.float32]:
    """Echo loss in dB at every depth: the sum of what lies above, blurred as the aperture sees past the edges."""
    loss = np.cumsum(attenuation, axis=0, dtype=np.float32)
    near, far = (cv2.GaussianBlur(loss, (0, 0), sigmaX=sigma, sigmaY=1.0) for sigma in (3.0, 14.0))
    depth = np.linspace(0, 1, loss.shape[0], dtype=np.float32)[:, None]
    return -(near * (1 - depth) + far * depth)


def _scan(random: np.random.Generator, echo: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Speckle, point spread, depth gain and log compression: uint8 (H, W) from echogenicity in dB."""
    height, width = echo.shape
    amplitude = np.exp(echo * np.float32(np.log(10) / 20))[..., None]
    depth = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    # The beam is narrowest at the focus, a third of the way down, and each depth is a blend of two spreads.
    away = (np.abs(depth - 0.36) / 0.64)[..., None]
    power = np.zeros((height, width), np.float32)
    for _ in range(LOOKS):
        scatter = random.standard_normal((height, width, 2), dtype=np.float32) * amplitude
        look = _point_spread(scatter, 1.5) * np.sqrt(1 - away) + _point_spread(scatter, 3.2) * np.sqrt(away)
        power += np.square(look).sum(axis=2) / LOOKS
    noise_floor = 10 ** (-32 / 10)
    gain = REFERENCE_DB + GLAND_DB - 6.0 * np.abs(depth - 0.4) - 18.0 * np.clip(depth - 0.7, 0, None)
    decibel = np.float32(10 / np.log(10)) * np.log(power + np.float32(noise_floor)) + gain
    grey = np.clip((decibel + DYNAMIC_RANGE_DB) * np.float32(255 / DYNAMIC_RANGE_DB), 0, 255)
    # Scan conversion interpolates between the lines.
    return cv2.GaussianBlur(grey, (0, 0), sigmaX=0.9, sigmaY=0.6).astype(np.uint8)


def _point_spread(scatter: NDArray[np.float32], lateral: float) -> NDArray[np.float32]:
    """Gaussian point spread, `lateral` deviation in pixels, at unit mean power so that brightness keeps its meaning."""
    axial = 1.0
    blurred = cv2.GaussianBlur(scatter, (0, 0), sigmaX=lateral, sigmaY=axial)
    power_left = 1.0 / (4 * np.pi * lateral * axial)
    return blurred / np.float32(np.sqrt(2 * power_left))
