"""The only importer of the learning library. Loads a model in the worker child at first use, never in the web process.

The library is imported inside functions (house plan): importing this module loads neither OpenCV's nor LiteRT's code.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from diagnosis.models import Modality, ModelVersion
from ml.contract import ModelError, Outcome

if TYPE_CHECKING:
    from django.db.models.fields.files import FieldFile

    from diagnosis.lesion import Lesion
    from ml.runtime import LoadedModel


class NoModelForModality(Exception):
    """No released model reads this modality; the message is for the person who uploaded."""


@dataclass(frozen=True, slots=True)
class Result:
    """An outcome ready to be stored.

    Attributes:
        outcome: its probabilities are re-based where the site has entered a prevalence.
        explanation: on success the map of the predicted label, a see-through PNG at the image's resolution; ``None``
            for a model that draws none.
        lesion: the outlined lesion, where one was found.
        prevalence: the site's own, that the probabilities were re-based to.
        own_probabilities: what the model said before that.
    """

    outcome: Outcome
    explanation: bytes | None = None
    lesion: Lesion | None = None
    prevalence: float | None = None
    own_probabilities: Mapping[str, float] | None = None


def installed() -> list[ModelVersion]:
    """Return an unsaved row for each artefact in the model directory. Reads manifests only.

    Raises:
        ModelError: when the directory is missing or a manifest is damaged.
    """
    from ml import registry

    return [
        ModelVersion(
            name=model.name,
            version=model.version,
            modality=model.modality,
            status=model.status,
            sha256=model.sha256,
        )
        for model in registry.installed_models(settings.MODEL_DIR)
    ]


def card_path(name: str, version: str) -> Path:
    """Return the path of a model's card (Markdown). Raises ``ModelError`` when it is not installed."""
    from ml import registry

    return registry.find_model(name, version, root=settings.MODEL_DIR).card_path


def evaluation_path(name: str, version: str) -> Path:
    """Return the path of a model's figures (JSON). Raises ``ModelError`` when it is not installed."""
    from ml import registry

    return registry.find_model(name, version, root=settings.MODEL_DIR).evaluation_path


def altered_files(name: str, version: str, *, sha256: str) -> list[str]:
    """Compare every file of an artefact with its manifest, and the manifest with the registered digest of the model.

    Returns one sentence for each that is missing or differs.

    Raises:
        ModelError: when the artefact is not installed or its manifest is damaged.
    """
    from ml import registry

    found = registry.find_model(name, version, root=settings.MODEL_DIR)
    replaced = [] if found.sha256 == sha256 else [f"{name} {version} is not the model that was registered"]
    return [*replaced, *registry.altered_files(found)]


def analyse(
    file: FieldFile,
    *,
    modality: str,
    row_spacing_mm: float | None = None,
    column_spacing_mm: float | None = None,
) -> Result:
    """Judge one stored image with the active model of its modality.

    Args:
        file: the stored PNG, 8-bit, grey or RGB.
        modality: ``Study.modality``.
        row_spacing_mm: distance of two rows, where the file told it.
        column_spacing_mm: distance of two columns, likewise.

    Raises:
        NoModelForModality: other modalities have a model, this one has none.
        ModelError: the active model is missing, altered or broken; no score was made.
        ImageError: the stored file cannot be read.
    """
    from diagnosis import lesion, overlay
    from ml.images import read_image
    from ml.pipeline import analyse as analyse_pixels

    active = ModelVersion.objects.filter(modality=modality, active=True).first()
    if active is None:
        if not ModelVersion.objects.filter(active=True).exists():
            raise ModelError("model_missing", "No model is registered.", remedy="Run: python manage.py doctor")
        raise NoModelForModality(
            f"No released model reads this kind of image ({Modality(modality).label.lower()}) yet. "
            "The image is stored; read it without the computer's opinion."
        )
    model = _loaded(active.name, active.version, sha256=active.sha256)
    outcome = analyse_pixels(read_image(Path(file.path)), model)
    if outcome.prediction is None:
        return Result(outcome=outcome)
    maps, found = outcome.class_maps, outcome.segmentation
    return Result(
        outcome=outcome,
        explanation=None if maps is None else overlay.layer_png(maps[outcome.prediction.label]),
        lesion=None
        if found is None
        else lesion.kept(found, row_spacing_mm=row_spacing_mm, column_spacing_mm=column_spacing_mm),
    )


def _loaded(name: str, version: str, *, sha256: str) -> LoadedModel:
    """Return the model, loaded and checked against its manifest; again whenever a file of it was touched."""
    from ml import registry

    found = registry.find_model(name, version, root=settings.MODEL_DIR)
    if found.sha256 != sha256:
        raise ModelError(
            "model_altered",
            f"{name} {version} is not the file that was registered.",
            remedy="Restore the folder from the release.",
        )
    files = sorted(path for path in found.folder.iterdir() if path.is_file())
    return _load_once(name, version, tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files))


@functools.lru_cache(maxsize=4)
def _load_once(name: str, version: str, signature: tuple[tuple[str, int, int], ...]) -> LoadedModel:
    from ml import runtime

    return runtime.load(name, version, root=settings.MODEL_DIR, threads=settings.MODEL_THREADS)
