"""``python -m ml bench``: what one warm analysis costs, beside its alternatives, in one run on one machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.images import Letterbox, network_input
from ml.pipeline import analyse
from ml.registry import InstalledModel
from ml.runtime import load_installed

WARM_UP = 10


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of repeated runs.

    Attributes:
        what: what was timed.
        milliseconds: one entry per run, warm.
    """

    what: str
    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.milliseconds))

    @property
    def p95(self) -> float:
        return float(np.percentile(self.milliseconds, 95))


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


def bench(installed: InstalledModel, *, runs: int, threads: int) -> str:
    """Time the pipeline, the bare network and Keras; a Markdown table.

    Keras runs in a process of its own, so that the pipeline's process is the one a worker has: without TensorFlow.
    """
    image = synthetic_image()
    with tempfile.TemporaryDirectory() as folder:
        bare_path, pixels_path = Path(folder) / "bare.tflite", Path(folder) / "pixels.npy"
        letterbox = Letterbox.fit(height=image.shape[0], width=image.shape[1], side=224)
        np.save(pixels_path, network_input(letterbox.place(image)))
        keras_runs = max(5, runs // 10)
        keras = _keras_timings(installed, pixels=pixels_path, bare=bare_path, runs=keras_runs)
        model = load_installed(installed, threads=threads)
        bare = _bare_forward(bare_path, np.load(pixels_path), threads=threads)
        litert = _timed(
            {"bare LiteRT forward": bare, "full analysis with three maps": lambda: analyse(image, model)}, runs=runs
        )
    memory = resident_megabytes()
    return _table([*litert, *keras], memory=memory, threads=threads)


def resident_megabytes() -> float:
    """Resident memory of this process in MB (10^6 bytes), from ``/proc``; 0 where there is none."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0.0
    for line in status.read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


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


def _timed(calls: dict[str, Callable[[], object]], *, runs: int) -> list[Timing]:
    """Time several calls in turns, so that a busy moment of the machine falls on all of them."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        time_runs(call, runs=WARM_UP, warm_up=0)
    for _ in range(runs):
        for name, call in calls.items():
            taken[name] += time_runs(call, runs=1, warm_up=0)
    return [Timing(name, tuple(values)) for name, values in taken.items()]


def _bare_forward(path: Path, pixels: NDArray[np.float32], *, threads: int) -> Callable[[], object]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
    interpreter.allocate_tensors()
    entry, exit_ = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def forward() -> NDArray[np.float32]:
        interpreter.set_tensor(entry, pixels)
        interpreter.invoke()
        return interpreter.get_tensor(exit_)

    return forward


def _keras_timings(installed: InstalledModel, *, pixels: Path, bare: Path, runs: int) -> list[Timing]:
    finished = subprocess.run(
        [sys.executable, "-m", "ml.bench_keras", str(installed.folder), str(pixels), str(bare), str(runs)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=Path(__file__).resolve().parent.parent,
    )
    if finished.returncode:
        raise RuntimeError(f"The Keras part of the benchmark failed:\n{finished.stderr[-2000:]}")
    found = json.loads(finished.stdout.splitlines()[-1])
    return [Timing(name, tuple(values)) for name, values in found.items()]


def _table(timings: Sequence[Timing], *, memory: float, threads: int) -> str:
    by_name = {timing.what: timing for timing in timings}
    analysis, bare = by_name["full analysis with three maps"], by_name["bare LiteRT forward"]
    lines = [
        f"One image of 460 x 620 pixels, {threads} thread(s) for LiteRT, {os.cpu_count()} cores, warm.",
        "",
        "| what | n | median ms | p95 ms | times the analysis |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {timing.what} | {len(timing.milliseconds)} | {timing.median:.2f} | {timing.p95:.2f} "
        f"| {timing.median / analysis.median:.2f} |"
        for timing in timings
    ]
    lines += ["", f"Full analysis over bare forward: {analysis.median / bare.median:.2f} (goal: at most 1.5)."]
    eager = next(timing for timing in timings if "eager" in timing.what)
    lines += [f"Keras predict and eager Grad-CAM over full analysis: {eager.median / analysis.median:.1f}."]
    lines += [f"Resident memory of the analysing process: {memory:.0f} MB."]
    return "\n".join(lines)
