"""Run a released patch detector on a mammogram. LiteRT, NumPy and OpenCV only: no Keras, no TensorFlow."""

from __future__ import annotations

import threading
import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.calibrate import suspicion
from ml.contract import LABELS, Mark, ModelError, ModelIdentity, Outcome, OutcomeState, Prediction
from ml.images import checked_pixels, network_input, to_grey
from ml.mammogram.calibration import FilmCalibration
from ml.mammogram.checks import FilmLimits, check_film
from ml.mammogram.film import CANVAS, GRID, Film
from ml.mammogram.marks import MOST_MARKS, Spot, find_spots, smoothed
from ml.registry import InstalledModel

KIND = "patch_detector"
"""The manifest's ``kind`` of such a model."""


class PatchDetector:
    """A verified detector in memory; :func:`load_detector` makes it. Threads may share it: forward passes take turns.

    Attributes:
        identity: name, version, digest, modality, status.
        installed: the registry's entry, with folder and manifest.
        kind: ``patch_detector``.
        calibration: from logits to probabilities.
        threshold: calibrated probability of malignancy at or above which a film counts as flagged.
        cuts: the suspicion's cut points, ascending.
        limits: what a film must fulfil to be judged.
        least_mark: probability from which a spot is shown as a mark.
        without_muscle: whether the pectoral muscle is left out where it is found.
        passes: forward passes of one image.
        outlines: whether lesions are outlined; this model marks them instead.
    """

    kind = KIND
    passes = 1
    outlines = False

    def __init__(self, installed: InstalledModel, *, content: bytes, threads: int) -> None:
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
            calibration = manifest["calibration"]
            self.calibration = FilmCalibration.from_mapping(calibration)
            self.threshold = float(calibration["threshold"])
            self.cuts = tuple(float(cut) for cut in calibration["suspicion_cuts"])
            self.least_mark = float(calibration["least_mark"])
            self.limits = FilmLimits.from_mapping(manifest["quality_limits"])
            self.without_muscle = {"kept": False, "removed": True}[manifest["pectoral_muscle"]]
        except (KeyError, TypeError, ValueError) as error:
            raise _invalid(installed, f"its manifest is incomplete ({error})") from error
        if not 0 <= self.threshold <= 1 or not 0 <= self.least_mark <= 1 or len(self.cuts) != 9:
            raise _invalid(installed, "its calibration is out of range")
        if list(self.cuts) != sorted(self.cuts) or not 0 < self.cuts[0] <= self.cuts[-1] < 1:
            raise _invalid(installed, "its suspicion cut points are not ascending within 0-1")
        self._interpreter = _interpreter(installed, content, threads)
        self._input, self._scores, self._embedding = _ports(installed, self._interpreter)
        # An interpreter holds one set of tensors: two threads must not fill them at the same time.
        self._turn = threading.Lock()
        # A graph that cannot run is refused when the model is loaded, not when the first patient's film comes.
        self.forward(np.zeros(CANVAS, np.uint8))

    def forward(self, canvas: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One pass over a canvas.

        Args:
            canvas: uint8 ``CANVAS``.

        Returns:
            logits float32 ``GRID`` + (2,) and embedding float32 (K,).

        Raises:
            ModelError: ``model_invalid`` when a value is no number: no score is better than a wrong one.
        """
        with self._turn:
            self._interpreter.set_tensor(self._input, network_input(canvas))
            try:
                self._interpreter.invoke()
            except RuntimeError as error:
                raise _invalid(self.installed, f"LiteRT cannot run it ({error})") from error
            scores = self._interpreter.get_tensor(self._scores)[0]
            embedding = self._interpreter.get_tensor(self._embedding)[0]
        if not np.isfinite(scores).all() or not np.isfinite(embedding).all():
            raise _invalid(self.installed, "it returned a value that is not a number")
        return scores, embedding

    def analyse(self, image: NDArray[np.uint8]) -> Outcome:
        """Judge one mammogram, or decline to.

        Args:
            image: uint8 (H, W) grey or (H, W, 3) RGB: one view of one breast, upright, with its dark background.

        Returns:
            ``SUCCEEDED`` with prediction, class maps and marks, or ``REJECTED`` with reasons alone. The class maps are
            probabilities of a benign and of a malignant lesion at each place, each divided by its maximum; the map of
            ``normal`` is zero, for there is no place that makes a film normal.

        Raises:
            ImageError: the array is no 8-bit image.
            ModelError: ``model_invalid`` when the network returns something that is not a number.
        """
        began = time.perf_counter()
        image = checked_pixels(image)
        grey = to_grey(image)
        film = Film.prepare(grey)
        prepared = time.perf_counter()
        quality = check_film(image, grey, film, limits=self.limits)
        checked = time.perf_counter()
        timings = {"quality": _ms(prepared, checked), "preprocess": _ms(began, prepared)}
        if film is None or not quality.passed:
            timings |= {"forward": 0.0, "maps": 0.0, "total": _ms(began, time.perf_counter())}
            return Outcome(
                state=OutcomeState.REJECTED,
                model=self.identity,
                quality=quality,
                reasons=tuple(dict.fromkeys(check.message for check in quality.checks if not check.passed)),
                timings_ms=timings,
            )
        scores, _ = self.forward(film.canvas)
        passed = time.perf_counter()
        tissue = film.tissue(without_muscle=self.without_muscle)
        if not tissue.any():
            tissue = film.tissue(without_muscle=False)
        spots = find_spots(scores, tissue, most=MOST_MARKS)
        maps = self._class_maps(film, scores, tissue)
        drawn = time.perf_counter()
        timings |= {"forward": _ms(checked, passed), "maps": _ms(passed, drawn), "total": _ms(began, drawn)}
        return Outcome(
            state=OutcomeState.SUCCEEDED,
            model=self.identity,
            quality=quality,
            prediction=self._predict(spots[0]),
            class_maps=maps,
            marks=self._marks(film, spots),
            timings_ms=timings,
        )

    def _predict(self, strongest: Spot) -> Prediction:
        chances = self.calibration.probabilities(np.array([strongest.finding]), np.array([strongest.malignant]))[0]
        best = int(chances.argmax())
        return Prediction(
            label=LABELS[best],
            confidence=float(chances[best]),
            probabilities={label: float(value) for label, value in zip(LABELS, chances, strict=True)},
            suspicion=suspicion(float(chances[LABELS.index("malignant")]), cuts=self.cuts),
        )

    def _marks(self, film: Film, spots: tuple[Spot, ...]) -> tuple[Mark, ...]:
        scale = (film.row_scale + film.column_scale) / 2
        marks = []
        for spot in spots:
            score = float(self.calibration.mark(spot.finding))
            if score >= self.least_mark:
                row, column = film.to_image(spot.row, spot.column)
                marks.append(Mark(row=row, column=column, radius=spot.radius / scale, score=score))
        return tuple(marks)

    def _class_maps(
        self, film: Film, scores: NDArray[np.float32], tissue: NDArray[np.bool_]
    ) -> dict[str, NDArray[np.float32]]:
        smooth = smoothed(scores, tissue)
        lesion = np.where(tissue, self.calibration.mark(smooth[..., 0]), 0.0)
        grave = np.where(tissue, self.calibration.grave(smooth[..., 1]), 0.0)
        maps = {"normal": np.zeros((film.height, film.width), np.float32)}
        for label, cells in (("benign", lesion * (1 - grave)), ("malignant", lesion * grave)):
            canvas = cv2.resize(cells.astype(np.float32), (CANVAS[1], CANVAS[0]), interpolation=cv2.INTER_LINEAR)
            canvas[~film.breast] = 0
            found = film.restore(np.asarray(canvas, np.float32))
            highest = float(found.max())
            # Divided, not multiplied by the reciprocal: the peak is then exactly 1.
            maps[label] = found / np.float32(highest) if highest > 0 else found
        return {label: maps[label] for label in LABELS}


def load_detector(installed: InstalledModel, content: bytes, threads: int) -> PatchDetector:
    """Make a detector from the verified bytes of its graph.

    Args:
        installed: the registry's entry; its manifest's seal and the digest of ``content`` were checked by the caller.
        content: the LiteRT graph.
        threads: of one forward pass.

    Raises:
        ModelError: ``model_invalid`` when manifest or graph is not what this version of the library runs.
    """
    return PatchDetector(installed, content=content, threads=threads)


def _interpreter(installed: InstalledModel, content: bytes, threads: int) -> Any:
    from ml.graph_check import open_graph

    try:
        return open_graph(content, threads=threads)
    except (ValueError, RuntimeError) as error:
        raise _invalid(installed, f"LiteRT cannot load it ({error})") from error


def _ports(installed: InstalledModel, interpreter: Any) -> tuple[int, int, int]:
    """Tensor numbers of input, scores and embedding; the shapes tell the outputs apart."""
    inputs = interpreter.get_input_details()
    if len(inputs) != 1 or tuple(inputs[0]["shape"]) != (1, *CANVAS, 3) or inputs[0]["dtype"] != np.float32:
        raise _invalid(installed, f"its input is not float32 (1, {CANVAS[0]}, {CANVAS[1]}, 3)")
    outputs: dict[str, int] = {}
    for detail in interpreter.get_output_details():
        shape = tuple(detail["shape"])
        if shape == (1, *GRID, 2):
            outputs["scores"] = detail["index"]
        elif len(shape) == 2:
            outputs["embedding"] = detail["index"]
    if set(outputs) != {"scores", "embedding"}:
        raise _invalid(installed, "its outputs are not scores and embedding")
    return inputs[0]["index"], outputs["scores"], outputs["embedding"]


def _ms(start: float, end: float) -> float:
    return (end - start) * 1000.0


def _invalid(installed: InstalledModel, problem: str) -> ModelError:
    return ModelError(
        "model_invalid",
        f"{installed.name} {installed.version} cannot be used: {problem}.",
        remedy="Install a model that was released for this version of the system.",
    )
