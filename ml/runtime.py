"""Load a released model and run it. LiteRT and NumPy only: no Keras, no TensorFlow.

Loading is fail-closed: a model whose files are not byte for byte those of its manifest is never run.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.calibrate import suspicion
from ml.contract import LABELS, ModelError, ModelIdentity, Prediction
from ml.metrics import softmax
from ml.quality import QualityLimits
from ml.registry import InstalledModel, find_model, manifest_seal, read_manifest

THREADS = 1
"""Threads of one forward pass. A second one saves about a millisecond on an idle machine and costs as much on a busy
one (`python -m ml bench --threads 2`). The result does not depend on it."""

_RESTORE = "Restore the model folder from the release; `python -m ml verify` lists the files that differ."


@dataclass(frozen=True, slots=True)
class Forward:
    """What one forward pass yields.

    Attributes:
        logits: float32 (labels,), not calibrated.
        maps: float32 (h, w, labels), Grad-CAM before the ReLU.
        embedding: float32 (K,), the pooled last convolution.
    """

    logits: NDArray[np.float32]
    maps: NDArray[np.float32]
    embedding: NDArray[np.float32]


class LoadedModel:
    """A verified model in memory; :func:`load` makes it. Threads may share it: forward passes take turns.

    Attributes:
        identity: name, version, digest, modality, status.
        installed: the registry's entry, with folder and manifest.
        side: side of the input canvas, pixels.
        temperature: divides the logits before the softmax.
        threshold: calibrated probability of malignancy at or above which an image counts as flagged.
        cuts: the suspicion's cut points, ascending.
        limits: what an image must fulfil to be judged.
    """

    def __init__(self, installed: InstalledModel, *, content: bytes, threads: int = THREADS) -> None:
        self.installed = installed
        self.identity = ModelIdentity(
            name=installed.name,
            version=installed.version,
            sha256=installed.sha256,
            modality=installed.modality,
            status=installed.status,
        )
        manifest = installed.manifest
        try:
            self.side = int(manifest["input"]["side"])
            self.temperature = float(manifest["calibration"]["temperature"])
            self.threshold = float(manifest["calibration"]["threshold"])
            self.cuts = tuple(float(cut) for cut in manifest["calibration"]["suspicion_cuts"])
            self.limits = QualityLimits.from_mapping(manifest["quality_limits"])
        except (KeyError, TypeError, ValueError) as error:
            raise _invalid(installed, f"its manifest is incomplete ({error})") from error
        if not self.temperature > 0 or not 0 <= self.threshold <= 1 or len(self.cuts) != 9:
            raise _invalid(installed, "its calibration is out of range")
        if list(self.cuts) != sorted(self.cuts) or not 0 < self.cuts[0] <= self.cuts[-1] < 1:
            raise _invalid(installed, "its suspicion cut points are not ascending within 0-1")
        self._lock = threading.Lock()
        self._interpreter = _interpreter(installed, content, threads)
        self._input, self._outputs = _ports(installed, self._interpreter, self.side)

    def forward(self, pixels: NDArray[np.float32]) -> Forward:
        """One forward pass of float32 (1, S, S, 3) in [-1, 1]."""
        with self._lock:
            self._interpreter.set_tensor(self._input, pixels)
            self._interpreter.invoke()
            found = {name: self._interpreter.get_tensor(index)[0] for name, index in self._outputs.items()}
        rows, columns = found["maps"].shape[:2]
        return Forward(
            logits=found["logits"],
            # Class activation maps become Grad-CAM by the gradient of the mean over the cells.
            maps=found["maps"] * np.float32(1 / (rows * columns)),
            embedding=found["embedding"],
        )

    def predict(self, logits: NDArray[np.float32]) -> Prediction:
        """The calibrated decision of one image's logits (labels,).

        Raises:
            ModelError: ``model_invalid`` when a logit is no number: no score is better than a wrong one.
        """
        if not np.isfinite(logits).all():
            raise _invalid(self.installed, "it returned a value that is not a number")
        probabilities = softmax(logits, temperature=self.temperature)
        best = int(probabilities.argmax())
        return Prediction(
            label=LABELS[best],
            confidence=float(probabilities[best]),
            probabilities={label: float(value) for label, value in zip(LABELS, probabilities, strict=True)},
            suspicion=suspicion(float(probabilities[LABELS.index("malignant")]), cuts=self.cuts),
        )


def load(name: str, version: str | None = None, *, root: Path | None = None, threads: int = THREADS) -> LoadedModel:
    """Load an installed model by name, in that version or the newest. Keeping it is the caller's business.

    Raises:
        ModelError: ``model_missing`` (not installed, or a file is gone), ``model_altered`` (a digest differs),
            ``model_invalid`` (manifest or graph is not what this version of the library runs).
    """
    return load_installed(find_model(name, version, root=root), threads=threads)


def load_folder(folder: Path, *, threads: int = THREADS) -> LoadedModel:
    """Load the artefact in one folder, wherever it lies. Raises as :func:`load`."""
    return load_installed(read_manifest(folder), threads=threads)


def load_installed(installed: InstalledModel, *, threads: int = THREADS) -> LoadedModel:
    """Load what the registry found. Raises as :func:`load`."""
    if installed.manifest["seal"] != manifest_seal(installed.manifest):
        raise _altered(installed, "manifest.json")
    path = installed.model_path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            "model_missing", f"{path.name} of {installed.name} {installed.version} cannot be read.", remedy=_RESTORE
        ) from error
    # The bytes that were hashed are the bytes that run: the file is not opened a second time.
    if hashlib.sha256(content).hexdigest() != installed.sha256:
        raise _altered(installed, path.name)
    return LoadedModel(installed, content=content, threads=threads)


def _interpreter(installed: InstalledModel, content: bytes, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise _invalid(installed, f"LiteRT cannot load it ({error})") from error
    return interpreter


def _ports(installed: InstalledModel, interpreter: Any, side: int) -> tuple[int, Mapping[str, int]]:
    """Tensor numbers of the input and of the outputs by meaning; the shapes tell the outputs apart."""
    inputs = interpreter.get_input_details()
    if len(inputs) != 1 or tuple(inputs[0]["shape"]) != (1, side, side, 3) or inputs[0]["dtype"] != np.float32:
        raise _invalid(installed, f"its input is not float32 (1, {side}, {side}, 3)")
    outputs: dict[str, int] = {}
    for detail in interpreter.get_output_details():
        shape = tuple(detail["shape"])
        if len(shape) == 4 and shape[3] == len(LABELS):
            outputs["maps"] = detail["index"]
        elif shape == (1, len(LABELS)):
            outputs["logits"] = detail["index"]
        elif len(shape) == 2:
            outputs["embedding"] = detail["index"]
    if set(outputs) != {"logits", "maps", "embedding"}:
        raise _invalid(installed, "its outputs are not logits, maps and embedding")
    return inputs[0]["index"], outputs


def _invalid(installed: InstalledModel, problem: str) -> ModelError:
    return ModelError(
        "model_invalid",
        f"{installed.name} {installed.version} cannot be used: {problem}.",
        remedy="Install a model that was released for this version of the system.",
    )


def _altered(installed: InstalledModel, name: str) -> ModelError:
    return ModelError(
        "model_altered",
        f"{name} of {installed.name} {installed.version} is not the released one; the model is not run.",
        remedy=_RESTORE,
    )
