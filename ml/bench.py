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
    """A grey image with the grain and contrast of ultrasound and a dark lesion, uint8 (height, width)."""
    random = np.random.default_rng(seed)
    white = random.standard_normal((height, width)).astype(np.float32)
    # The grain grows with the image, as it does when the same frame is exported larger.
    grain = cv2.GaussianBlur(white, (0, 0), max(height, width) / 390)
    layers = np.linspace(150, 60, height, dtype=np.float32)[:, None]
    rows = (np.arange(height) - height / 2) / (height / 6)
    columns = (np.arange(width) - width / 2) / (width / 5)
    lesion = 1 - 0.7 * np.exp(-((rows[:, None] ** 2 + columns[None, :] ** 2) ** 2))
    return np.clip(layers * lesion * (1 + 0.35 * grain / grain.std()), 0, 255).astype(np.uint8)


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
