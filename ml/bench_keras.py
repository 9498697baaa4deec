"""The Keras half of the benchmark, a process of its own: ``python -m ml.bench_keras ARTEFACT PIXELS RUNS RECIPE N``.

Prints one line of JSON: ``timings`` (milliseconds by name, all passes of one image) and ``epochs`` (seconds of a
training epoch over N images, from cached features and recomputed; absent where N is 0).
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
from PIL import Image

from ml.bench import synthetic_image, time_runs
from ml.contract import LABELS
from ml.data.records import ImageRecord
from ml.export import restore_network, restore_two_looks
from ml.gradcam import compiled_gradient_map, gradient_map
from ml.looks.recipe import TwoLookRecipe
from ml.networks.two_looks import LOOKS
from ml.recipe import Recipe
from ml.registry import read_manifest
from ml.runtime import TWO_LOOKS
from ml.whole_image.recipe import WholeImageRecipe
from ml.whole_image.speed import measure_cache

EAGER = "Keras predict and eager Grad-CAM of one class"
COMPILED = "tf.function Grad-CAM of one class"


def main(arguments: Sequence[str]) -> int:
    """Time Keras; exit 0."""
    folder, pixels_path, runs = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    found: dict[str, Any] = {"timings": _timings(folder, pixels_path, runs=runs)}
    recipe, images = Path(arguments[3]), int(arguments[4])
    if images:
        found["epochs"] = _epochs(recipe, images=images)
    print(json.dumps(found))
    return 0


def _timings(folder: Path, pixels_path: Path, *, runs: int) -> dict[str, tuple[float, ...]]:
    manifest = read_manifest(folder).manifest
    weights = folder / "weights.npz"
    network: Any
    if manifest.get("kind") == TWO_LOOKS:
        two_looks = cast(TwoLookRecipe, TwoLookRecipe.from_mapping(manifest["recipe"]))
        network = restore_two_looks(weights, recipe=two_looks)
        heads = tuple(f"{look}_logits" for look in LOOKS)
    else:
        network = restore_network(weights, recipe=Recipe.from_mapping(manifest["recipe"]))
        heads = ("logits",)
    pixels = np.load(pixels_path)
    tapped = [_tapped(network.full, network.base, head) for head in heads]
    label = LABELS.index("malignant")
    compiled = [compiled_gradient_map(each, label=label) for each in tapped]

    def eager() -> None:
        for each in tapped:
            network.full.predict(pixels, verbose=0)
            gradient_map(each, pixels, label=label)

    def traced() -> None:
        for each in compiled:
            np.asarray(each(pixels))

    return {EAGER: time_runs(eager, runs=runs, warm_up=2), COMPILED: time_runs(traced, runs=runs, warm_up=2)}


def _tapped(full: keras.Model, base: keras.Model, head: str) -> keras.Model:
    """From (N, S, S, 3) to the last convolution's activation and one head's logits, over the same weights."""
    image = keras.Input(full.input_shape[1:])
    activation = base(image, training=False)
    return keras.Model(image, [activation, full.get_layer(head)(full.get_layer("embedding")(activation))])


def _epochs(path: Path, *, images: int) -> dict[str, float]:
    """An epoch of the frozen-base recipe both ways, on made images and random weights: the time depends on neither."""
    recipe = WholeImageRecipe.from_yaml(path)
    recipe = dataclasses.replace(recipe, augmentation=dataclasses.replace(recipe.augmentation, views=1))
    with tempfile.TemporaryDirectory() as folder:
        records = []
        for number in range(images):
            file = Path(folder) / f"{number}.png"
            Image.fromarray(synthetic_image(height=224, width=224, seed=number)).save(file)
            label = recipe.classes[number % len(recipe.classes)]
            records.append(ImageRecord(source="made", path=file, label=label, group=str(number), fold=0))
        gain = measure_cache(records, recipe=recipe, weights="none", seed=0)
    return {"cached": gain.cached_s, "recomputed": gain.recomputed_s}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
