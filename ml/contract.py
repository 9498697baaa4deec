"""What goes into and comes out of the learning library.

Frozen dataclasses and named errors shared by the pipeline and the portal. This module imports the standard
library and NumPy only, so that the web process can read it without loading a framework.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LABELS = ("benign", "malignant", "normal")
"""Class labels in the order of every probability vector."""

MODALITIES = ("US", "MG", "CESM")
"""Ultrasound, mammogram, contrast-enhanced (subtracted) mammogram."""


class OutcomeState(enum.StrEnum):
    """Whether the pipeline judged the image or declined to."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """One measured property of the image held against its limit.

    Attributes:
        name: stable identifier such as ``size``, ``blur``, ``exposure``, ``blank``.
        value: the measured figure, in the check's own unit.
        passed: whether the figure lies within the limit.
        limit: the limit in words, such as ``">= 96 px"``.
        message: for a failed check, a sentence that says what is wrong and what to do; empty otherwise.
    """

    name: str
    value: float
    passed: bool
    limit: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """All quality checks of one image."""

    checks: tuple[QualityCheck, ...] = ()

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's decision on one image.

    Attributes:
        label: one of :data:`LABELS`.
        confidence: calibrated probability of ``label``, 0-1.
        probabilities: calibrated probability of each label; they sum to 1.
        suspicion: 1-10, monotone in the calibrated probability of malignancy.
        uncertain: the calibrated probability of malignancy lies in the zone where the manifest says that the model
            should not be leant on; the rule and its rate are in the model card.
    """

    label: str
    confidence: float
    probabilities: Mapping[str, float]
    suspicion: int
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The lesion as the model outlines it.

    Attributes:
        mask: uint8 (H, W), 0 or 255, at the image's own resolution; at least one pixel is set.
        area_share: share of the image's pixels inside the lesion, 0-1.
        area_px: pixels inside the lesion.
        diameter_px: longest distance between two outline points of the largest component, in pixels of the image.
        box: (top, left, bottom, right) of the lesion in pixels, bottom and right exclusive.
    """

    mask: NDArray[np.uint8]
    area_share: float
    area_px: int
    diameter_px: float
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """A suspicious place that a detector points at.

    Attributes:
        row, column: centre, pixels of the image.
        radius: pixels of the image.
        score: calibrated probability that the place holds a lesion, 0-1.
    """

    row: float
    column: float
    radius: float
    score: float


@dataclass(frozen=True, slots=True)
class SimilarCase:
    """A case of the training sets that lies near the image in embedding space.

    Attributes:
        case: the record's key, such as ``busi/benign-0000``; research sets give numbers, never images.
        source: the collection.
        label: its known outcome, one of :data:`LABELS`.
        similarity: cosine similarity of the embeddings, -1 to 1.
    """

    case: str
    source: str
    label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model spoke.

    Attributes:
        name: registry name, such as ``us-mobilenetv2``.
        version: semantic version, such as ``1.0.0``.
        sha256: digest of the model file that was run, lower-case hexadecimal.
        modality: one of :data:`MODALITIES`.
        status: ``released`` or ``research``.
    """

    name: str
    version: str
    sha256: str
    modality: str
    status: str = "released"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything the pipeline says about one image.

    Attributes:
        state: succeeded, or rejected (then ``prediction`` and ``class_maps`` are ``None``: no score is made).
        model: which model spoke, also on a rejection.
        quality: the checks with their values.
        prediction: the decision, on success.
        class_maps: float32 array (H, W), one per label: Grad-CAM (Selvaraju et al. 2017, ReLU applied) on the last
            convolution's grid, cropped to the image's own area (letterbox padding removed) and resized to the
            image's own resolution; each map divided by its maximum, range 0-1 (all zeros where nothing is positive).
            ``None`` also for a model whose maps failed their checks.
        segmentation: the outlined lesion; ``None`` when none was found, the label is normal or the model outlines none.
        marks: suspicious places, highest score first; empty for models that mark none.
        similar: nearest training cases, nearest first; empty for models without a reference set.
        reasons: sentences for the person who uploaded the image, on a rejection.
        timings_ms: milliseconds by stage: ``quality``, ``preprocess``, ``forward``, ``maps``,
            ``outline``, ``total``.
    """

    state: OutcomeState
    model: ModelIdentity
    quality: Quality
    prediction: Prediction | None = None
    class_maps: Mapping[str, NDArray[np.float32]] | None = None
    segmentation: Segmentation | None = None
    marks: tuple[Mark, ...] = ()
    similar: tuple[SimilarCase, ...] = ()
    reasons: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)


class ModelError(Exception):
    """A model cannot be used.

    Attributes:
        code: ``model_missing``, ``model_altered`` or ``model_invalid``.
        remedy: what the person who runs the site can do.
    """

    def __init__(self, code: str, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


class ImageError(Exception):
    """An image file cannot be read; the message names the file and the remedy."""
