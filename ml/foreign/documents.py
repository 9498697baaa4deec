"""Pages, forms, screens, charts, codes and handwriting."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_PLAIN,
)
_LETTERS = np.array(list("aaabcdeeeeefghiiiklmnnooprrsssttuuvwxyz"))


def _word(random: np.random.Generator) -> str:
    if random.random() < 0.12:
        return str(int(random.integers(1, 10**5)))
    word = "".join(random.choice(_LETTERS, int(random.integers(2, 11))))
    return word.capitalize() if random.random() < 0.15 else word


def _write(random: np.random.Generator, image: Pixels, *, box: tuple[int, int, int, int], ink: int) -> None:
    """Lines of words within (top, left, bottom, right), in place."""
    top, left, bottom, right = box
    font = int(random.choice(_FONTS))
    scale = random.uniform(0.35, 1.0)
    leading = int(30 * scale * random.uniform(1.0, 1.8)) + 4
    for row in range(top + leading, bottom - 4, leading):
        if random.random() < 0.12:
            continue
        line = ""
        while cv2.getTextSize(line, font, scale, 1)[0][0] < (right - left) * 0.92 and random.random() > 0.04:
            line += _word(random) + " "
        cv2.putText(image, line, (left, row), font, scale, ink, 1 + int(random.random() < 0.2), cv2.LINE_AA)


def _page(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Printed text, dark on light or light on dark, straight or photographed at an angle under uneven light."""
    paper, ink = (int(random.integers(200, 256)), int(random.integers(0, 80)))
    if random.random() < 0.3:
        paper, ink = ink, paper
    image = np.full((height, width), paper, np.uint8)
    columns = int(random.integers(1, 4))
    margin = int(random.uniform(0.02, 0.1) * width)
    step = (width - 2 * margin) // columns
    for column in range(columns):
        left = margin + column * step
        _write(random, image, box=(margin, left, height - margin, left + step - 8), ink=ink)
    if random.random() < 0.4:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-20, 20), random.uniform(0.8, 1.3))
        image = np.asarray(cv2.warpAffine(image, turn, (width, height), borderValue=paper), np.uint8)
        light = np.linspace(random.uniform(0.4, 1), random.uniform(0.4, 1), width)[None, :]
        image = np.clip(image * light + random.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    return image


def _form(random: np.random.Generator, height: int, width: int) -> Pixels:
    """A table with rules and entries."""
    image = np.full((height, width), int(random.integers(215, 256)), np.uint8)
    ink = int(random.integers(0, 100))
    rows = np.sort(random.integers(10, height - 5, int(random.integers(5, 16))))
    edges = [8, *np.sort(random.integers(30, width - 20, int(random.integers(1, 5)))), width - 8]
    for top, bottom in zip(rows[:-1], rows[1:], strict=True):
        for left, right in zip(edges[:-1], edges[1:], strict=True):
            cv2.rectangle(image, (int(left), int(top)), (int(right), int(bottom)), ink, 1)
            text = " ".join(_word(random) for _ in range(int(random.integers(0, 4))))
            cv2.putText(image, text, (int(left) + 4, int(bottom) - 4), int(random.choice(_FONTS)), 0.45, ink, 1)
    return image


def _screen(random: np.random.Generator, height: int, width: int) -> Pixels:
    """A program's window: bars, panels, buttons and text; dark or light; grey or tinted."""
    dark = random.random() < 0.5
    shades = random.integers(10, 90, 4) if dark else random.integers(170, 256, 4)
    ink = 220 if dark else 30
    image = np.full((height, width), int(shades[0]), np.uint8)
    cv2.rectangle(image, (0, 0), (width, int(random.integers(20, 60))), int(shades[1]), -1)
    side = int(random.uniform(0.12, 0.35) * width)
    cv2.rectangle(image, (0, 60), (side, height), int(shades[2]), -1)
    _write(random, image, box=(60, 6, height, side), ink=ink)
    for _ in range(int(random.integers(2, 7))):
        top, left = int(random.integers(60, height - 40)), int(random.integers(side, width - 40))
        bottom, right = (
            min(height - 4, top + int(random.integers(30, 200))),
            min(width, left + int(random.integers(40, 400))),
        )
        cv2.rectangle(image, (left, top), (right, bottom), int(shades[3]), -1)
        cv2.rectangle(image, (left, top), (right, bottom), ink, 1)
        _write(random, image, box=(top, left + 4, bottom, right), ink=ink)
    if random.random() < 0.4:
        tint = random.uniform(0.6, 1.0, 3)
        return np.clip(image[..., None] * tint, 0, 255).astype(np.uint8)
    return image


def _chart(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Curves, bars or points between axes."""
    paper, ink = (250, 20) if random.random() < 0.7 else (15, 230)
    image = np.full((height, width, 3), paper, np.uint8)
    left, bottom = int(0.1 * width), int(0.9 * height)
    cv2.line(image, (left, 10), (left, bottom), (ink,) * 3, 1)
    cv2.line(image, (left, bottom), (width - 10, bottom), (ink,) * 3, 1)
    for tick in range(1, 6):
        cv2.putText(image, str(tick * 10), (4, bottom - tick * bottom // 7), cv2.FONT_HERSHEY_PLAIN, 0.8, (ink,) * 3, 1)
    for _ in range(int(random.integers(1, 5))):
        colour = tuple(int(value) for value in random.integers(0, 220, 3))
        across = np.linspace(left, width - 12, 60)
        values = np.cumsum(random.normal(0, 1, 60))
        up = bottom - (values - values.min()) / max(np.ptp(values), 1e-6) * (bottom - 20)
        points = np.stack([across, up], axis=1).astype(np.int32)
        if random.random() < 0.5:
            cv2.polylines(image, [points], False, colour, 2, cv2.LINE_AA)
        else:
            for x, y in points[::3]:
                cv2.rectangle(image, (int(x), int(y)), (int(x) + 8, bottom), colour, -1)
    if random.random() < 0.5:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    return image


def _code(random: np.random.Generator, height: int, width: int) -> Pixels:
    """A matrix or bar code."""
    modules = int(random.integers(18, 60))
    cells = random.integers(0, 2, (1 if random.random() < 0.3 else modules, modules)).astype(np.uint8) * 255
    side = int(min(height, width) * random.uniform(0.5, 0.95))
    image = np.full((height, width), 255, np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    image[top : top + side, left : left + side] = cv2.resize(cells, (side, side), interpolation=cv2.INTER_NEAREST)
    return image


def _handwriting(random: np.random.Generator, height: int, width: int) -> Pixels:
    """A pen's loops on ruled paper."""
    image = np.full((height, width), int(random.integers(190, 256)), np.uint8)
    for row in range(30, height - 10, int(random.integers(24, 60))):
        cv2.line(image, (0, row), (width, row), 170, 1)
        steps = np.arange(0, width - 40, 4.0)
        wave = np.cumsum(random.normal(0, 3, len(steps))) * 0.3
        y = row - 6 + 9 * np.sin(steps * random.uniform(0.1, 0.3) + wave) + random.normal(0, 2, len(steps))
        points = np.stack([20 + steps + 5 * np.cos(steps * 0.35), y], axis=1).astype(np.int32)
        cv2.polylines(image, [points], False, int(random.integers(0, 90)), int(random.integers(1, 3)), cv2.LINE_AA)
    return image


KINDS = {
    "printed page": _page,
    "form": _form,
    "program window": _screen,
    "chart": _chart,
    "matrix or bar code": _code,
    "handwriting": _handwriting,
}
