"""Which models are installed: read from manifests alone, so that a web process may ask. Standard library only."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ml.contract import LABELS, MODALITIES, ModelError

ARTIFACTS = Path(__file__).resolve().parent / "artifacts"
MANIFEST = "manifest.json"
STATUSES = ("released", "research")

_NAME = re.compile(r"^[a-z0-9][a-z0-9-]*$")
_VERSION = re.compile(r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$")
_DIGEST = re.compile(r"^[0-9a-f]{64}$")
_REINSTALL = "Restore the folder from the release, or run `python -m ml verify` to see which files differ."


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model as its manifest describes it; nothing but the manifest has been read.

    Attributes:
        name, version: identity, such as ``us-mobilenetv2`` and ``1.0.0``.
        modality: one of :data:`ml.contract.MODALITIES`.
        status: ``released`` or ``research``.
        sha256: digest of the model file as the manifest states it.
        folder: where the artefact lies.
        manifest: the whole manifest, read-only.
    """

    name: str
    version: str
    modality: str
    status: str
    sha256: str
    folder: Path
    manifest: Mapping[str, Any]

    @property
    def card_path(self) -> Path:
        """The model card, Markdown."""
        return self.folder / "MODEL_CARD.md"

    @property
    def evaluation_path(self) -> Path:
        """Every measured figure, JSON."""
        return self.folder / "evaluation.json"

    @property
    def model_path(self) -> Path:
        """The file that is run."""
        return self.folder / str(self.manifest["model_file"])

    @property
    def precedence(self) -> tuple[int, int, int]:
        """Sorts versions by number, not by letter."""
        major, minor, patch = (int(part) for part in self.version.split("."))
        return major, minor, patch


def models_root(root: Path | None = None) -> Path:
    """The folder of all artefacts: the argument, else ``MODEL_DIR``, else the one that ships with the library."""
    if root is not None:
        return root
    named = os.environ.get("MODEL_DIR", "").strip()
    return Path(named) if named else ARTIFACTS


def installed_models(root: Path | None = None) -> tuple[InstalledModel, ...]:
    """All models under ``root``, newest version of each name first.

    Raises:
        ModelError: ``model_missing`` when the folder does not exist, ``model_invalid`` for a broken manifest: a
            damaged installation is reported, not skipped.
    """
    folder = models_root(root)
    if not folder.is_dir():
        raise ModelError(
            "model_missing",
            f"The model folder {folder} does not exist.",
            remedy="Correct MODEL_DIR, or unset it to use the models that ship with the system.",
        )
    found = [read_manifest(path.parent) for path in sorted(folder.glob(f"*/*/{MANIFEST}"))]
    newest_first = sorted(found, key=lambda model: model.precedence, reverse=True)
    return tuple(sorted(newest_first, key=lambda model: model.name))


def find_model(name: str, version: str | None = None, *, root: Path | None = None) -> InstalledModel:
    """The model of that name, in that version or the newest.

    Raises:
        ModelError: ``model_missing`` when there is none; see :func:`installed_models` for the others.
    """
    for model in installed_models(root):
        if model.name == name and version in (None, model.version):
            return model
    wanted = name if version is None else f"{name} {version}"
    raise ModelError("model_missing", f"The model {wanted} is not installed.", remedy=_list_of(root))


def active_model(modality: str, *, root: Path | None = None) -> InstalledModel:
    """The model that judges a modality: a released one before a research one, then the newest version.

    Raises:
        ModelError: ``model_missing`` when no model knows the modality.
    """
    candidates = [model for model in installed_models(root) if model.modality == modality.upper()]
    if not candidates:
        raise ModelError("model_missing", f"No model for modality {modality} is installed.", remedy=_list_of(root))
    return max(candidates, key=lambda model: (model.status == "released", model.precedence))


def read_manifest(folder: Path) -> InstalledModel:
    """Read and check one manifest.

    Raises:
        ModelError: ``model_missing`` without a manifest, ``model_invalid`` when it is not what it must be.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError("model_missing", f"There is no {MANIFEST} in {folder}.", remedy=_REINSTALL) from error
    except (OSError, ValueError) as error:
        raise ModelError("model_invalid", f"{path} cannot be read: {error}.", remedy=_REINSTALL) from error
    problem = _problem(manifest)
    if problem:
        raise ModelError("model_invalid", f"{path} is not valid: {problem}.", remedy=_REINSTALL)
    return InstalledModel(
        name=manifest["name"],
        version=manifest["version"],
        modality=manifest["modality"],
        status=manifest["status"],
        sha256=manifest["files"][manifest["model_file"]],
        folder=folder,
        manifest=MappingProxyType(manifest),
    )


def manifest_seal(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over the manifest without its seal: an edit by hand, say of a threshold, is noticed."""
    content = {name: value for name, value in manifest.items() if name != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def altered_files(model: InstalledModel) -> list[str]:
    """Compare every file with the manifest; one sentence for each that is missing or differs."""
    findings = []
    if model.manifest["seal"] != manifest_seal(model.manifest):
        findings.append(f"{MANIFEST} was edited after the release")
    for name, digest in sorted(model.manifest["files"].items()):
        path = model.folder / name
        if not path.is_file():
            findings.append(f"{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            findings.append(f"{name} differs from the release")
    return findings


def _problem(manifest: object) -> str:
    """What is wrong with a manifest, in words; empty when it can be trusted to have all that a reader needs."""
    if not isinstance(manifest, dict):
        return "it is no JSON object"
    for name in ("name", "version", "modality", "status", "model_file", "seal"):
        if not isinstance(manifest.get(name), str):
            return f"{name} is missing or no text"
    if not _NAME.match(manifest["name"]):
        return f"name {manifest['name']!r} is not lower-case letters, digits and hyphens"
    if not _VERSION.match(manifest["version"]):
        return f"version {manifest['version']!r} is not of the form 1.2.3"
    if manifest["modality"] not in MODALITIES:
        return f"modality {manifest['modality']!r} is not one of {', '.join(MODALITIES)}"
    if manifest["status"] not in STATUSES:
        return f"status {manifest['status']!r} is not one of {', '.join(STATUSES)}"
    if manifest.get("labels") != list(LABELS):
        return f"labels are not {', '.join(LABELS)}, in this order"
    files = manifest.get("files")
    if not isinstance(files, dict) or manifest["model_file"] not in files:
        return "files does not list the model file"
    for name, digest in files.items():
        # A manifest must not reach outside its own folder.
        if Path(name).name != name:
            return f"file name {name!r} is not a plain name"
        if not isinstance(digest, str) or not _DIGEST.match(digest):
            return f"the digest of {name} is not a SHA-256"
    return ""


def _list_of(root: Path | None) -> str:
    names = [f"{model.name} {model.version} ({model.modality})" for model in installed_models(root)]
    return f"Installed are: {', '.join(names)}." if names else "No model is installed: restore ml/artifacts."
