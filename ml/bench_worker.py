"""A process as a worker is one, measured from inside: ``python -m ml.bench_worker ARTEFACT THREADS IMAGE...``.

Loads the model, analyses the images and prints one line of JSON: ``load_ms`` and ``load_processor_ms`` (the first load
in a fresh process, with LiteRT's own import), ``resident_mb`` afterwards, and ``frameworks``: the training frameworks
that were imported (none).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ml.bench import resident_megabytes
from ml.images import read_image
from ml.pipeline import analyse
from ml.runtime import load_folder


def main(arguments: Sequence[str]) -> int:
    """Measure; exit 0."""
    folder, threads, images = Path(arguments[0]), int(arguments[1]), arguments[2:]
    began, computing = time.perf_counter(), time.process_time()
    model = load_folder(folder, threads=threads)
    load_ms, load_processor_ms = (time.perf_counter() - began) * 1000, (time.process_time() - computing) * 1000
    for image in images:
        analyse(read_image(image), model)
    frameworks = sorted({"tensorflow", "keras", "matplotlib", "openvino"} & set(sys.modules))
    found = {
        "load_ms": load_ms,
        "load_processor_ms": load_processor_ms,
        "resident_mb": resident_megabytes(),
        "frameworks": frameworks,
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
