"""What the benchmark (``python -m ml bench``, :mod:`ml.bench_suite`) measures with: figures, clocks and made images.

NumPy and OpenCV only, so that a process that is measured may import it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WARM_UP = 10


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    Attributes:
        what: what was measured.
        values: one for each run, warm where the row says nothing else.
        unit: of the values; ``x`` is a ratio.
        at_most, at_least: the goal that the median is held to, if there is one.
        note: what replaces the figure where there is none, such as ``not installed``.
    """

    what: str
    values: tuple[float, ...] = ()
    unit: str = "ms"
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    @property
    def spread(self) -> tuple[float, float]:
        """The 5th and the 95th percentile."""
        low, high = np.percentile(self.values, [5, 95])
        return float(low), float(high)

    @property
    def met(self) -> bool | None:
        """Whether the median reaches its goal; ``None`` without a goal or a figure."""
        if not self.values or (self.at_most is None and self.at_least is None):
            return None
        above = self.at_least is None or self.median >= self.at_least
        return above and (self.at_most is None or self.median <= self.at_most)

    @property
    def goal(self) -> str:
        """The goal in words; empty where there is none."""
        least = f">= {self.at_least:g}" if self.at_least is not None else ""
        most = f"<= {self.at_most:g}" if self.at_most is not None else ""
        return f"{least} {most}".strip()


def ratio(
    what: str, over: Figure, under: Figure, *, at_most: float | None = None, at_least: float | None = None
) -> Figure:
    """How many times ``over`` is ``under``, run by run: both must have been timed in turns."""
    pairs = zip(over.values, under.values, strict=True)
    values = tuple(upper / lower for upper, lower in pairs)
    return Figure(what, values, unit="x", at_most=at_most, at_least=at_least)


def time_runs(call: Callable[[], object], *, runs: int, warm_up: int) -> tuple[float, ...]:
    """Milliseconds of each of ``runs`` calls after ``warm_up`` untimed ones."""
    for _ in range(warm_up):
        call()
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return tuple(taken)


@dataclass(frozen=True, slots=True)
class Timed:
    """One call, timed by both clocks.

    Attributes:
        wall: milliseconds that a person waits; on a busy machine mostly those of other work.
        processor: milliseconds that all threads of this process computed; other work hardly changes their ratios.
    """

    wall: Figure
    processor: Figure


def time_in_turns(calls: Mapping[str, Callable[[], object]], *, runs: int) -> dict[str, Timed]:
    """Time several warm calls, one after the other, so that a busy moment of the machine falls on all of them."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for call in calls.values():
        time_runs(call, runs=0, warm_up=WARM_UP)
    for _ in range(runs):
        for name, call in calls.items():
            computed = time.process_time()
            (wall,) = time_runs(call, runs=1, warm_up=0)
            taken[name].append((wall, (time.process_time() - computed) * 1000))
    return {
        name: Timed(
            wall=Figure(name, tuple(wall for wall, _ in values)),
            processor=Figure(f"{name}, processor time", tuple(computed for _, computed in values)),
        )
        for name, values in taken.items()
    }


def resident_megabytes() -> float:
    """Resident memory of this process in MB (10^6 bytes), from ``/proc``; 0 where there is none."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0.0
    for line in status.read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def synthetic_image(*, height: int = 460, width: int = 620, seed: int = 0) -> NDArray[np.uint8]:
    """A grey frame with the layers, strands and speckle of breast ultrasound and a dark lesion, uint8 (height, width).

    Like enough to pass the novelty gate. Sizes in pixels grow with the image, as when a frame is exported larger.
    """
    random = np.random.default_rng(seed)
    size = max(height, width) / 620

    def strands(across: float, down: float) -> NDArray[np.float32]:
        # A large image's strands are drawn smaller and enlarged: a blur of hundreds of pixels would take minutes.
        shrink = max(1, int(size))
        grains = random.standard_normal((-(-height // shrink), -(-width // shrink))).astype(np.float32)
        field = cv2.GaussianBlur(grains, (0, 0), sigmaX=across * size / shrink, sigmaY=down * size / shrink)
        if shrink > 1:
            field = cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(field / field.std(), np.float32)

    depth = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    layer = depth + 0.03 * strands(90, 60)[height // 2]
    gland = 1 / (1 + np.exp(-60 * (layer - 0.22))) / (1 + np.exp(60 * (layer - 0.66)))
    # Echo in dB: fat, brighter glandular tissue with strands, less from the depth; skin; the fascia in places.
    echo = -12 + 12 * gland + (2 + 2.5 * gland) * strands(28, 3) + 2 * strands(9, 2.4) - 14 * np.clip(depth - 0.6, 0, 1)
    echo += 14 * np.exp(-(((layer - 0.04) / 0.012) ** 2))
    echo += 9 * np.exp(-(((layer - 0.7) / 0.01) ** 2)) * np.clip(strands(60, 40), 0, 1)
    rows = (np.arange(height) - 0.42 * height) / (height / 7)
    columns = (np.arange(width) - width / 2) / (width / 7)
    echo -= 22 * np.exp(-((rows[:, None] ** 2 + columns[None, :] ** 2) ** 3))
    power = np.zeros((height, width), np.float32)
    for _ in range(3):
        parts = random.standard_normal((height, width, 2)).astype(np.float32)
        spread = np.asarray(cv2.GaussianBlur(parts, (0, 0), sigmaX=1.8 * size, sigmaY=1.0 * size), np.float32)
        power += (spread**2).sum(axis=2) / spread.var() / 6
    return np.clip(145 + 5.6 * (echo + 10 * np.log10(power + 1e-3)), 0, 255).astype(np.uint8)


def as_markdown(figures: Sequence[Figure]) -> str:
    """The one table."""
    lines = ["| what | n | median | 5-95 % | unit | goal | met |", "| --- | ---: | ---: | --- | --- | --- | --- |"]
    for each in figures:
        if not each.values:
            lines.append(f"| {each.what} | 0 | {each.note} | - | {each.unit} | {each.goal or '-'} | - |")
            continue
        low, high = each.spread
        met = {True: "yes", False: "no", None: "-"}[each.met]
        lines.append(
            f"| {each.what} | {len(each.values)} | {each.median:.2f} | {low:.2f}-{high:.2f} | {each.unit} "
            f"| {each.goal or '-'} | {met} |"
        )
    return "\n".join(lines)
