"""Load a released model and run it. LiteRT and NumPy only: no Keras, no TensorFlow.

Loading is fail-closed: a model whose files are not byte for byte those of its manifest is never run.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.calibrate import suspicion
from ml.contract import LABELS, ModelError, ModelIdentity, Prediction
from ml.fusion import Fusion
from ml.looks.reading import LookForward
from ml.mammogram.detector import KIND as PATCH_DETECTOR
from ml.mammogram.detector import PatchDetector, load_detector
from ml.metrics import softmax
from ml.novelty import NoveltyReference
from ml.quality import QualityLimits
from ml.registry import InstalledModel, find_model, manifest_seal, read_manifest, verified_bytes
from ml.similar import SimilarIndex
from ml.storage import arrays_from
from ml.uncertain import UncertainZone

THREADS = 1
"""Threads of one forward pass. A second one saves about a millisecond on an idle machine and costs as much on a busy
one (`python -m ml bench --threads 2`). The result does not depend on it."""

CLASSIFIER, TWO_LOOKS = "classifier", "two_looks"
"""Kinds of model (the manifest's ``kind``): one look at the whole image, or a second one at the lesion it found."""

NOVELTY_FILE, SIMILAR_FILE = "novelty.npz", "similar.npz"
"""Optional files of an artefact: what the novelty gate compares with, and the cases of the training sets."""

_REFERENCE_BYTES = 8_000_000

_RESTORE = "Restore the model folder from the release; `python -m ml verify` lists the files that differ."


@dataclass(frozen=True, slots=True)
class Forward:
    """What one forward pass of a classifier yields.

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
        kind: ``classifier`` or ``two_looks``.
        side: side of the input canvas, pixels.
        temperature: divides a classifier's logits before the softmax.
        fusion: joins and calibrates the logits of both looks; ``None`` for a classifier.
        threshold: calibrated probability of malignancy at or above which an image counts as flagged.
        zone: where the answer should not be leant on; ``None`` for a model that states none.
        cuts: the suspicion's cut points, ascending.
        limits: what an image must fulfil to be judged.
        novelty: tells images of other kinds by what the first look saw; ``None`` for a model without.
        similar: the reference cases; ``None`` for a model without.
        explained: whether its class maps passed their checks at the release and may be shown.
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
        self.kind = str(manifest.get("kind", CLASSIFIER))
        if self.kind not in (CLASSIFIER, TWO_LOOKS):
            raise _invalid(installed, f"its kind {self.kind!r} is not known to this version")
        try:
            calibration = manifest["calibration"]
            self.side = int(manifest["input"]["side"])
            self.temperature = float(calibration["temperature"])
            self.threshold = float(calibration["threshold"])
            self.cuts = tuple(float(cut) for cut in calibration["suspicion_cuts"])
            self.limits = QualityLimits.from_mapping(manifest["quality_limits"])
            self.fusion = Fusion.from_mapping(calibration["fusion"]) if self.kind == TWO_LOOKS else None
            self.zone = UncertainZone.from_mapping(calibration["uncertain"]) if "uncertain" in calibration else None
            self.explained = bool(manifest["explanation"]["shown"]) if "explanation" in manifest else True
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _invalid(installed, f"its manifest is incomplete ({error})") from error
        if not np.isfinite((self.temperature, self.threshold, *self.cuts)).all():
            raise _invalid(installed, "its calibration holds a value that is not a number")
        if not self.temperature > 0 or not 0 <= self.threshold <= 1 or len(self.cuts) != 9:
            raise _invalid(installed, "its calibration is out of range")
        if list(self.cuts) != sorted(self.cuts) or not 0 < self.cuts[0] <= self.cuts[-1] < 1:
            raise _invalid(installed, "its suspicion cut points are not ascending within 0-1")
        if self.fusion is not None and len(self.fusion.weights) != self.passes:
            raise _invalid(installed, f"its fusion joins {len(self.fusion.weights)} looks, not {self.passes}")
        self.novelty = self._novelty()
        self.similar = self._similar()
        self._lock = threading.Lock()
        self._interpreter = _interpreter(installed, content, threads)
        heads = len(LABELS) * self.passes
        self._input, self._outputs = _ports(installed, self._interpreter, side=self.side, heads=heads)
        if self.outlines and "mask" not in self._outputs:
            raise _invalid(installed, "it has no output for the lesion's outline")
        # A graph that cannot run is refused when the model is loaded, not when the first patient's image comes.
        tried = self._run(np.zeros((1, self.side, self.side, 3), np.float32))
        if not all(np.isfinite(output).all() for output in tried.values()):
            raise _invalid(installed, "it returns values that are not numbers")

    def _reference(self, name: str) -> dict[str, NDArray[Any]] | None:
        """The arrays of an optional file, or ``None`` when the manifest does not list it."""
        if name not in self.installed.manifest["files"]:
            return None
        content = verified_bytes(self.installed, name)
        return arrays_from(io.BytesIO(content), name=name, limit=_REFERENCE_BYTES)

    def _novelty(self) -> NoveltyReference | None:
        try:
            arrays = self._reference(NOVELTY_FILE)
            if arrays is None:
                return None
            return NoveltyReference.from_arrays(
                arrays, threshold=float(self.installed.manifest["novelty"]["threshold"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _invalid(self.installed, f"{NOVELTY_FILE} is not usable ({error})") from error

    def _similar(self) -> SimilarIndex | None:
        try:
            arrays = self._reference(SIMILAR_FILE)
            return None if arrays is None else SimilarIndex.from_arrays(arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise _invalid(self.installed, f"{SIMILAR_FILE} is not usable ({error})") from error

    @property
    def passes(self) -> int:
        """Forward passes that one image takes."""
        return 2 if self.kind == TWO_LOOKS else 1

    @property
    def look_weights(self) -> tuple[float, float]:
        """Weight of the whole and of the close look in the fused score, by which their maps are summed."""
        return (1.0, 0.0) if self.fusion is None else (self.fusion.weights[0], self.fusion.weights[1])

    @property
    def outlines(self) -> bool:
        """Whether it outlines lesions."""
        return self.kind == TWO_LOOKS

    def forward(self, pixels: NDArray[np.float32]) -> Forward:
        """One forward pass of a classifier on float32 (1, S, S, 3) in [-1, 1]."""
        found = self._run(pixels)
        return Forward(logits=found["logits"], maps=found["maps"], embedding=found["embedding"])

    def look(self, pixels: NDArray[np.float32]) -> LookForward:
        """One look of a two-look model at float32 (1, S, S, 3) in [-1, 1]."""
        found = self._run(pixels)
        return LookForward(
            logits=found["logits"], maps=found["maps"], embedding=found["embedding"], mask=found["mask"][..., 0]
        )

    def _run(self, pixels: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        with self._lock:
            self._interpreter.set_tensor(self._input, pixels)
            try:
                self._interpreter.invoke()
            except RuntimeError as error:
                raise _invalid(self.installed, f"LiteRT cannot run it ({error})") from error
            found = {name: self._interpreter.get_tensor(index)[0] for name, index in self._outputs.items()}
        rows, columns = found["maps"].shape[:2]
        # Class activation maps become Grad-CAM by the gradient of the mean over the cells.
        found["maps"] = found["maps"] * np.float32(1 / (rows * columns))
        return found

    def predict(self, *logits: NDArray[np.float32]) -> Prediction:
        """The calibrated decision of one image's logits, (labels,) for each look.

        Raises:
            ModelError: ``model_invalid`` when a logit is no number: no score is better than a wrong one.
        """
        if not all(np.isfinite(look).all() for look in logits):
            raise _invalid(self.installed, "it returned a value that is not a number")
        if self.fusion is None:
            probabilities = softmax(logits[0], temperature=self.temperature)
        else:
            probabilities = softmax(self.fusion.apply(*logits))
        best = int(probabilities.argmax())
        malignant = float(probabilities[LABELS.index("malignant")])
        return Prediction(
            label=LABELS[best],
            confidence=float(probabilities[best]),
            probabilities={label: float(value) for label, value in zip(LABELS, probabilities, strict=True)},
            suspicion=suspicion(malignant, cuts=self.cuts),
            uncertain=self.zone is not None and self.zone.contains(malignant),
        )


AnyModel = LoadedModel | PatchDetector
"""Whatever :func:`load` may return; :func:`ml.pipeline.analyse` knows what to do with each."""


def load(name: str, version: str | None = None, *, root: Path | None = None, threads: int = THREADS) -> AnyModel:
    """Load an installed model by name, in that version or the newest. Keeping it is the caller's business.

    Raises:
        ModelError: ``model_missing`` (not installed, or a file is gone), ``model_altered`` (a digest differs),
            ``model_invalid`` (manifest or graph is not what this version of the library runs).
    """
    return load_installed(find_model(name, version, root=root), threads=threads)


def load_folder(folder: Path, *, threads: int = THREADS) -> AnyModel:
    """Load the artefact in one folder, wherever it lies. Raises as :func:`load`."""
    return load_installed(read_manifest(folder), threads=threads)


def load_installed(installed: InstalledModel, *, threads: int = THREADS) -> AnyModel:
    """Load what the registry found. Raises as :func:`load`."""
    if installed.manifest["seal"] != manifest_seal(installed.manifest):
        raise ModelError(
            "model_altered",
            f"manifest.json of {installed.name} {installed.version} is not the released one; the model is not run.",
            remedy=_RESTORE,
        )
    # The bytes that were hashed are the bytes that run: the file is not opened a second time.
    content = verified_bytes(installed, installed.model_path.name)
    if installed.manifest.get("kind") == PATCH_DETECTOR:
        return load_detector(installed, content, threads)
    return LoadedModel(installed, content=content, threads=threads)


def _interpreter(installed: InstalledModel, content: bytes, threads: int) -> Any:
    from ml.graph_check import open_graph

    try:
        return open_graph(content, threads=threads)
    except (ValueError, RuntimeError) as error:
        raise _invalid(installed, f"LiteRT cannot load it ({error})") from error


def _ports(installed: InstalledModel, interpreter: Any, *, side: int, heads: int) -> tuple[int, Mapping[str, int]]:
    """Tensor numbers of the input and of the outputs by meaning; the shapes tell the outputs apart."""
    inputs = interpreter.get_input_details()
    if len(inputs) != 1 or tuple(inputs[0]["shape"]) != (1, side, side, 3) or inputs[0]["dtype"] != np.float32:
        raise _invalid(installed, f"its input is not float32 (1, {side}, {side}, 3)")
    outputs: dict[str, int] = {}
    for detail in interpreter.get_output_details():
        shape = tuple(detail["shape"])
        if detail["dtype"] != np.float32:
            raise _invalid(installed, "an output is not float32")
        if len(shape) == 4 and shape[3] == heads:
            outputs["maps"] = detail["index"]
        elif len(shape) == 4 and shape[3] == 1:
            outputs["mask"] = detail["index"]
        elif shape == (1, heads):
            outputs["logits"] = detail["index"]
        elif len(shape) == 2:
            outputs["embedding"] = detail["index"]
    if not {"logits", "maps", "embedding"} <= set(outputs):
        raise _invalid(installed, "its outputs are not logits, maps and embedding")
    return inputs[0]["index"], outputs


def _invalid(installed: InstalledModel, problem: str) -> ModelError:
    return ModelError(
        "model_invalid",
        f"{installed.name} {installed.version} cannot be used: {problem}.",
        remedy="Install a model that was released for this version of the system.",
    )
