"""The Keras half of the benchmark, a process of its own: ``python -m ml.bench_keras ARTEFACT PIXELS BARE RUNS``.

Writes the bare network as a LiteRT graph to BARE and prints milliseconds by name as the last line, JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ml.bench import time_runs
from ml.contract import LABELS
from ml.export import bare_graph, restore_network
from ml.gradcam import compiled_gradient_map, gradient_map, tapped_model
from ml.recipe import Recipe
from ml.registry import read_manifest


def main(arguments: Sequence[str]) -> int:
    """Time Keras; exit 0."""
    folder, pixels_path, bare, runs = Path(arguments[0]), Path(arguments[1]), Path(arguments[2]), int(arguments[3])
    recipe = Recipe.from_mapping(read_manifest(folder).manifest["recipe"])
    network = restore_network(folder / "weights.npz", recipe=recipe)
    bare.write_bytes(bare_graph(network))
    pixels = np.load(pixels_path)
    tapped = tapped_model(network.full, network.base)
    label = LABELS.index("malignant")
    compiled = compiled_gradient_map(tapped, label=label)

    def eager() -> None:
        network.full.predict(pixels, verbose=0)
        gradient_map(tapped, pixels, label=label)

    timings = {
        "Keras predict and eager Grad-CAM of one class": time_runs(eager, runs=runs, warm_up=2),
        "tf.function Grad-CAM of one class": time_runs(lambda: np.asarray(compiled(pixels)), runs=runs, warm_up=2),
    }
    print(json.dumps(timings))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
