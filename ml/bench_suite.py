"""``python -m ml bench``: what one warm analysis, a batch, a load and a training epoch cost, beside their alternatives.

One run on one machine; every ratio is taken within it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml.batch import analyse_files, load_workers
from ml.bench import Figure, as_markdown, ratio, synthetic_image, time_in_turns
from ml.bench_graphs import Forward, graph_input, litert_forward, openvino_forward, openvino_version
from ml.contract import OutcomeState
from ml.images import read_image, to_grey
from ml.pipeline import analyse
from ml.registry import InstalledModel
from ml.runtime import AnyModel, LoadedModel, load_installed

BATCH = 64
"""Images of the batch, as the goal states it."""

SIDE = 224
"""Longer side of the image whose goal is 2.0 forward passes, pixels."""

FROZEN_RECIPE = Path(__file__).resolve().parent / "recipes" / "mobilenetv2-frozen.yaml"
"""The recipe whose epochs are timed with and without cached features."""

_METHOD = """\
Rows of one image are timed in turns, so that a busy moment falls on all of them; ratios are taken run by run. A
"processor time" is what all threads computed: it hardly changes with other work on the machine. The bare forward
pass is the shipped graph by itself, every output copied out; "decode to Outcome" reads the file, runs the gates and
every pass, calibrates, and makes the maps and the outline at the image's own size, without writing a PNG. Keras runs in
a process of its own, with every pass the model needs; its training epochs are those of `ml/recipes/mobilenetv2-frozen`
on 64 images, the features recomputed by the frozen base each time or read from the cache. OpenVINO reads the same file,
in float32."""

_FULL_SIZE = (460, 620)
_BATCH_SIZE = (390, 512)


class BenchError(Exception):
    """The benchmark cannot be run; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and how often.

    Attributes:
        runs: of each single-image row.
        threads: of one LiteRT or OpenVINO forward pass.
        workers: images of the batch analysed at the same time.
        images: folder of images to use; made ones by default.
        epoch_images: images of the training epoch; 0 leaves it out.
        keras: whether the Keras rows are measured (of the ultrasound models; other networks have no such twin here).
    """

    runs: int
    threads: int
    workers: int
    images: Sequence[Path] = ()
    epoch_images: int = 64
    keras: bool = True


def measure(installed: InstalledModel, plan: Plan) -> dict[str, Any]:
    """Everything, as plain values: ``machine``, ``model`` and ``rows``.

    Raises:
        BenchError: an image of the plan is refused by the model's gates, or a measuring process fails.
        ModelError, ImageError: as loading and reading raise them.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full, small, batch = _files(plan.images, folder)
        model = load_installed(installed, threads=plan.threads)
        if not plan.images:
            accept_made_images(model)
        figures = _single_image(installed, model, full=full, small=small, plan=plan, folder=folder)
        figures += _batch(installed, batch, plan)
        figures += _fresh_processes(installed, [full, small], plan)
    return {
        "model": {"name": installed.name, "version": installed.version, "passes": model.passes},
        "images": "of --images" if plan.images else "made",
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": plan.threads,
            "workers": plan.workers,
            "load_average_before": round(load, 2),
            "python": platform.python_version(),
        },
        "rows": figures,
    }


def accept_made_images(model: AnyModel) -> None:
    """Let the novelty gate be computed as ever but refuse nothing: a made image is no ultrasound, and may be told."""
    if isinstance(model, LoadedModel) and model.novelty is not None:
        model.novelty = dataclasses.replace(model.novelty, threshold=-math.inf)


def as_text(measured: dict[str, Any]) -> str:
    """The table with a sentence on how it was made, Markdown."""
    machine, model = measured["machine"], measured["model"]
    busy = machine["load_average_before"] > machine["cores"] / 2
    warning = "The machine was busy with other work: times are upper bounds, ratios mean more.\n\n" if busy else ""
    return (
        f"{_METHOD}\n\n{model['name']} {model['version']}, {model['passes']} forward pass(es) for each image; "
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} thread(s) for each forward pass, "
        f"{machine['workers']} worker(s) for the batch, load average before the run "
        f"{machine['load_average_before']}; images {measured['images']}.\n\n{warning}{as_markdown(measured['rows'])}"
    )


def as_json(measured: dict[str, Any]) -> str:
    """The same for a script; medians are rounded nowhere."""
    rows = [
        {
            "what": each.what,
            "n": len(each.values),
            "median": each.median if each.values else None,
            "p5": each.spread[0] if each.values else None,
            "p95": each.spread[1] if each.values else None,
            "unit": each.unit,
            "goal": each.goal,
            "met": each.met,
            "note": each.note,
        }
        for each in measured["rows"]
    ]
    return json.dumps({**measured, "rows": rows}, indent=2)


def _files(images: Sequence[Path], folder: Path) -> tuple[Path, Path, list[Path]]:
    """One image of full size, one of 224 pixels, and those of the batch, all as files."""
    full, small = folder / "full.png", folder / "small.png"
    batch = [folder / f"{number:02d}.png" for number in range(BATCH)]
    if images:
        full = images[0]
        batch = [images[number % len(images)] for number in range(BATCH)]
    else:
        Image.fromarray(synthetic_image(height=_FULL_SIZE[0], width=_FULL_SIZE[1])).save(full)
        for number, path in enumerate(batch):
            Image.fromarray(synthetic_image(height=_BATCH_SIZE[0], width=_BATCH_SIZE[1], seed=number)).save(path)
    grey = to_grey(read_image(full))
    scale = SIDE / max(grey.shape)
    size = (round(grey.shape[1] * scale), round(grey.shape[0] * scale))
    Image.fromarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA)).save(small)
    return full, small, batch


def _single_image(
    installed: InstalledModel, model: AnyModel, *, full: Path, small: Path, plan: Plan, folder: Path
) -> list[Figure]:
    for path in (full, small):
        outcome = analyse(read_image(path), model)
        if outcome.state is not OutcomeState.SUCCEEDED:
            raise BenchError(
                f"{path.name} is refused by {installed.name}, so it cannot be timed: {' '.join(outcome.reasons)} "
                "Name a folder of images that are judged with --images."
            )
    pixels = graph_input(installed.model_path)
    bare = litert_forward(installed.model_path, pixels, threads=plan.threads)
    single, needed = "bare LiteRT forward, one pass", f"bare LiteRT forward, {model.passes} passes"
    small_row, full_row = (f"decode to Outcome, {_size(path)} file" for path in (small, full))
    calls: dict[str, Callable[[], object]] = {
        single: bare,
        small_row: lambda: analyse(read_image(small), model),
        full_row: lambda: analyse(read_image(full), model),
    }
    if model.passes > 1:
        calls[needed] = lambda: [bare() for _ in range(model.passes)]
    else:
        needed = single
    version = openvino_version()
    outside = f"OpenVINO {version or ''}, the same file, {model.passes} pass(es)".replace(" ,", ",")
    if version:
        other = openvino_forward(installed.model_path, pixels, threads=plan.threads)
        _require_equal(bare, other)
        calls[outside] = lambda: [other() for _ in range(model.passes)]
    timed = time_in_turns(calls, runs=plan.runs)
    rows = [timed[name].wall for name in dict.fromkeys((single, needed, small_row, full_row))]
    for row, goal in ((small_row, 2.0), (full_row, None)):
        over, under, what = timed[row], timed[needed], f"{row} / the {model.passes} pass(es) that it needs"
        rows.append(ratio(what, over.wall, under.wall, at_most=goal))
        rows.append(ratio(f"{what}, processor time", over.processor, under.processor, at_most=goal))
        if needed != single:
            rows.append(ratio(f"{row} / one pass", over.wall, timed[single].wall))
    if version:
        other_wall = timed[outside].wall
        rows += [other_wall, ratio("OpenVINO / LiteRT, the same passes", other_wall, timed[needed].wall)]
    else:
        rows.append(Figure(outside, note="not installed (requirements-bench.txt)"))
    if plan.keras and isinstance(model, LoadedModel):
        rows += _keras(installed, pixels, timed[small_row].wall, plan, folder)
    return rows


def _keras(
    installed: InstalledModel, pixels: NDArray[np.float32], analysis: Figure, plan: Plan, folder: Path
) -> list[Figure]:
    """Keras runs in a process of its own, so that this one stays what a worker is: without TensorFlow."""
    stored = folder / "pixels.npy"
    np.save(stored, pixels)
    found = _process(
        "ml.bench_keras", installed.folder, stored, max(5, plan.runs // 10), FROZEN_RECIPE, plan.epoch_images
    )
    rows = []
    for name, values in found["timings"].items():
        figure = Figure(name, tuple(values))
        share = Figure(f"{name} / decode to Outcome", (figure.median / analysis.median,), unit="x")
        rows += [figure, share]
    if "epochs" in found:
        cached, recomputed = found["epochs"]["cached"], found["epochs"]["recomputed"]
        rows += [
            Figure(f"training epoch of {plan.epoch_images} images, frozen base, recomputed", (recomputed,), unit="s"),
            Figure(f"training epoch of {plan.epoch_images} images, frozen base, cached", (cached,), unit="s"),
            Figure("training epoch, recomputed / cached", (recomputed / cached,), unit="x", at_least=10),
        ]
    return rows


def _batch(installed: InstalledModel, files: Sequence[Path], plan: Plan) -> list[Figure]:
    rows = []
    for workers in dict.fromkeys((1, plan.workers)):
        models = load_workers(installed, workers=workers, threads=plan.threads)
        if not plan.images:
            for model in models:
                accept_made_images(model)
        rates, computed = [], []
        for _ in range(1 + max(3, plan.runs // 20)):
            began, computing = time.perf_counter(), time.process_time()
            judged = sum(bool(each.kept) for each in analyse_files(files, models, finish=_is_judged))
            rates.append(len(files) / (time.perf_counter() - began))
            computed.append((time.process_time() - computing) * 1000 / len(files))
        what = f"batch of {len(files)} files from disk ({judged} judged), {workers} worker(s)"
        goal = 80.0 if workers == plan.workers else None
        # The first round warms the file system's cache and the models.
        rows.append(Figure(what, tuple(rates[1:]), unit="images/s", at_least=goal))
        rows.append(Figure(f"{what}, processor time of one image", tuple(computed[1:])))
    return rows


def _is_judged(_path: Path, _pixels: object, outcome: Any) -> bool:
    return outcome.state is OutcomeState.SUCCEEDED


def _fresh_processes(installed: InstalledModel, files: Sequence[Path], plan: Plan) -> list[Figure]:
    found = [
        _process("ml.bench_worker", installed.folder, plan.threads, *files) for _ in range(max(3, plan.runs // 40))
    ]
    named = sorted({name for each in found for name in each["frameworks"]})
    if named:
        raise BenchError(f"The analysing process imported {', '.join(named)}; it must not.")
    return [
        Figure("model load, first in a fresh process", tuple(each["load_ms"] for each in found), at_most=300),
        Figure(
            "model load, first in a fresh process, processor time",
            tuple(each["load_processor_ms"] for each in found),
            at_most=300,
        ),
        Figure(
            "resident memory after analyses, no TensorFlow",
            tuple(each["resident_mb"] for each in found),
            unit="MB",
            at_most=250,
        ),
    ]


def _process(module: str, *arguments: object) -> dict[str, Any]:
    """Run a measuring module; what its last line says."""
    finished = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=Path(__file__).resolve().parent.parent,
    )
    if finished.returncode:
        raise BenchError(f"{module} failed:\n{finished.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found


def _require_equal(first: Forward, second: Forward) -> None:
    """Two engines that disagree do not run the same network, and comparing their times would mean nothing."""
    for left, right in zip(first(), second(), strict=True):
        gap = float(np.abs(left - right).max())
        if gap > 1e-2 * max(1.0, float(np.abs(left).max())):
            raise BenchError(f"OpenVINO and LiteRT differ by {gap:.3g} on one output; their times cannot be compared.")


def _size(path: Path) -> str:
    with Image.open(path) as image:
        return f"{image.width} x {image.height} {image.format}"


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
