"""Many image files, one after the other or several at once: in order, in bounded memory, past every bad file.

Threads, not processes: decoding (Pillow), resizing (OpenCV) and the forward pass (LiteRT) all let go of Python's lock,
so two threads cost as much processor time for each image as two processes do, start at once and share their memory.
"""

from __future__ import annotations

import os
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml.contract import ImageError, Outcome
from ml.images import read_image
from ml.pipeline import analyse
from ml.registry import InstalledModel
from ml.runtime import THREADS, AnyModel, load_installed

Kept = TypeVar("Kept")

Finish = Callable[[Path, NDArray[np.uint8], Outcome], Kept]
"""Called in the worker with path, pixels and outcome; what it returns is all that is kept of them."""

AHEAD = 2
"""Files handed to each worker before the oldest result is taken: enough that a slow file does not idle the others."""


@dataclass(frozen=True, slots=True)
class Analysed(Generic[Kept]):
    """What became of one file.

    Attributes:
        path: as it was named.
        kept: what ``finish`` returned; ``None`` for a file that could not be read.
        problem: a sentence with the file and the remedy for a file that could not be read, else empty.
    """

    path: Path
    kept: Kept | None
    problem: str = ""


def default_workers() -> int:
    """One worker for each processor core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_workers(installed: InstalledModel, *, workers: int, threads: int = THREADS) -> tuple[AnyModel, ...]:
    """The model once for each worker, because one interpreter runs one image at a time.

    Args:
        installed: the model.
        workers: images analysed at the same time, at least 1.
        threads: threads of one forward pass, at least 1; more than 1 pays only with fewer workers than cores.

    Raises:
        ValueError: fewer than one worker or thread.
        ModelError: as :func:`ml.runtime.load`.
    """
    if workers < 1 or threads < 1:
        raise ValueError(f"There must be at least one worker and one thread, not {workers} and {threads}.")
    return tuple(load_installed(installed, threads=threads) for _ in range(workers))


def analyse_files(
    paths: Iterable[Path], models: Sequence[AnyModel], *, finish: Finish[Kept]
) -> Iterator[Analysed[Kept]]:
    """Analyse files with one worker for each model.

    The results do not depend on the number of workers, to the last bit. At most ``AHEAD`` files for each worker are
    under way or wait to be taken, and only what ``finish`` returns is kept of them, so a folder of any size needs the
    memory of as many images as there are workers.

    Args:
        paths: image files; taken one at a time, so a generator may be endless.
        models: from :func:`load_workers`, all of one installed model.
        finish: boils an outcome down, such as to a line of text; runs in the worker, several at the same time.

    Yields:
        one result for each file, in the order of ``paths``; a file that cannot be read has its ``problem`` and the rest
        goes on.

    Raises:
        ModelError: the network returned no number; no later file is judged.
    """
    idle: queue.SimpleQueue[AnyModel] = queue.SimpleQueue()
    for model in models:
        idle.put(model)

    def work(path: Path) -> Analysed[Kept]:
        model = idle.get()
        try:
            return _analyse_file(path, model, finish)
        finally:
            idle.put(model)

    with ThreadPoolExecutor(max_workers=len(models), thread_name_prefix="analyse") as pool:
        under_way: deque[Future[Analysed[Kept]]] = deque()
        try:
            for path in paths:
                under_way.append(pool.submit(work, path))
                if len(under_way) >= AHEAD * len(models):
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            # After an error, or when the caller wants no more, what has not begun is not begun.
            for future in under_way:
                future.cancel()


def _analyse_file(path: Path, model: AnyModel, finish: Finish[Kept]) -> Analysed[Kept]:
    try:
        pixels = read_image(path)
        return Analysed(path, finish(path, pixels, analyse(pixels, model)))
    except ImageError as error:
        return Analysed(path, None, str(error))
    except MemoryError:
        return Analysed(
            path, None, f"{path.name} needs more memory than there is. Use fewer workers, or export it smaller."
        )
