"""The only importer of the learning library. Loads a model in the worker child at first use, never in the web process.

The library is imported inside functions (house plan): importing this module loads neither OpenCV's nor LiteRT's code.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings

from diagnosis.models import ModelVersion
from ml.contract import LABELS, Outcome, OutcomeState

if TYPE_CHECKING:
    from django.db.models.fields.files import FieldFile


class NoModelForModality(Exception):
    """No released model reads this modality; the message is for the person who uploaded."""


@dataclass(frozen=True, slots=True)
class Result:
    """An outcome, and on success the map of the predicted label as a see-through PNG at the image's resolution."""

    outcome: Outcome
    explanation: bytes | None


def installed() -> list[ModelVersion]:
    """Return an unsaved row for each artefact in the model directory. Reads manifests only."""
    from ml import registry

    return [
        ModelVersion(
            name=model.identity.name,
            version=model.identity.version,
            modality=model.identity.modality,
            status=model.identity.status,
            sha256=model.identity.sha256,
        )
        for model in registry.installed_models(settings.MODEL_DIR)
    ]


def card_path(name: str, version: str) -> Any:
    """Return the path of a model's card. Raises ``ModelError`` when it is not installed."""
    from ml import registry

    return registry.model_card(name, version, root=settings.MODEL_DIR)


def check_model_files(name: str, version: str) -> None:
    """Compare every file of an artefact with its manifest. Raises ``ModelError`` with a remedy."""
    from ml import registry

    registry.verify(name, version, root=settings.MODEL_DIR)
