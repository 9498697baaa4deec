"""Which models are installed: read from manifests alone, so that a web process may ask. Standard library only."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import reprlib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ml.contract import LABELS, MODALITIES, ModelError

ARTIFACTS = Path(__file__).resolve().parent / "artifacts"
MANIFEST = "manifest.json"
STATUSES = ("released", "research")

MODEL_SUFFIX = ".tflite"
"""The only kind of file that is run. A LiteRT graph holds arithmetic; Keras files and pickles may hold programs."""

MANIFEST_BYTES = 1_000_000
"""Largest manifest that is read; real ones hold a few thousand bytes."""

FILE_BYTES = 256_000_000
"""Largest file of an artefact that is read: room for the half-precision weights of any network of the zoo."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_VERSION = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGITS = 20
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
        ModelError: ``model_missing`` when the folder does not exist, ``model_invalid`` for a broken manifest or two
            folders that claim to be the same version: a damaged installation is reported, not skipped.
    """
    folder = models_root(root)
    if not folder.is_dir():
        raise ModelError(
            "model_missing",
            f"The model folder {folder} does not exist.",
            remedy="Correct MODEL_DIR, or unset it to use the models that ship with the system.",
        )
    found = [read_manifest(path.parent) for path in sorted(folder.glob(f"*/*/{MANIFEST}"))]
    _refuse_namesakes(found)
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
        content = _read_inside(folder, MANIFEST, limit=MANIFEST_BYTES)
        manifest = _strict_json(content.decode("utf-8"))
    except FileNotFoundError as error:
        raise ModelError("model_missing", f"There is no {MANIFEST} in {folder}.", remedy=_REINSTALL) from error
    except RecursionError as error:
        raise ModelError("model_invalid", f"{path} is nested too deeply.", remedy=_REINSTALL) from error
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


def verified_bytes(model: InstalledModel, name: str) -> bytes:
    """The content of one of the artefact's files, exactly as released: what was hashed is what the caller gets.

    Raises:
        ModelError: ``model_missing`` when the file is gone or may not be read, ``model_altered`` when its digest
            differs, ``model_invalid`` when the manifest does not list it, it is too large, no regular file, or a link
            that leads out of the folder.
    """
    described = f"{name} of {model.name} {model.version}"
    digest = model.manifest["files"].get(name)
    if digest is None:
        raise ModelError("model_invalid", f"{described} is not listed in its manifest.", remedy=_REINSTALL)
    try:
        content = _read_inside(model.folder, name, limit=FILE_BYTES)
    except OSError as error:
        raise ModelError("model_missing", f"{described} cannot be read.", remedy=_REINSTALL) from error
    except ValueError as error:
        raise ModelError("model_invalid", f"{described} is not used: {error}.", remedy=_REINSTALL) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelError(
            "model_altered", f"{described} is not the released one; the model is not run.", remedy=_REINSTALL
        )
    return content


def altered_files(model: InstalledModel) -> list[str]:
    """Compare every file with the manifest; one sentence for each that is missing or differs."""
    findings = []
    if model.manifest["seal"] != manifest_seal(model.manifest):
        findings.append(f"{MANIFEST} was edited after the release")
    for name in sorted(model.manifest["files"]):
        try:
            verified_bytes(model, name)
        except ModelError as error:
            words = {"model_missing": "is missing", "model_altered": "differs from the release"}
            findings.append(f"{name} {words[error.code]}" if error.code in words else str(error).removesuffix("."))
    return findings


def stray_files(model: InstalledModel) -> list[str]:
    """Names in the artefact's folder that its manifest does not know; they are never read, yet should not be there."""
    known = {MANIFEST, *model.manifest["files"]}
    return sorted(each.name for each in model.folder.iterdir() if each.name not in known)


def _read_inside(folder: Path, name: str, *, limit: int) -> bytes:
    """Read a regular file of at most ``limit`` bytes that lies in ``folder`` also after every link is followed.

    Raises:
        OSError: it does not exist or may not be read.
        ValueError: it is no such file.
    """
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except RuntimeError as error:
        raise ValueError("it is a link to itself") from error
    if not inside:
        raise ValueError("it is a link that leads out of its folder")
    # Asked before it is opened: opening a pipe would wait for a writer for ever.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no regular file")
    with path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        if size > limit:
            raise ValueError(f"it holds {size:,} bytes, more than the {limit:,} that are read")
        return handle.read(size)


def _strict_json(text: str) -> Any:
    """Parse JSON without the liberties that let two readers see two documents.

    Raises:
        ValueError: no JSON, a key twice in one object, NaN or an infinity, or a number of more than 20 digits.
        RecursionError: nested too deeply.
    """
    return json.loads(
        text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_short_integer
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the entry {reprlib.repr(name)} is there twice")
        found[name] = value
    return found


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {reprlib.repr(text)} is too large")
    return value


def _short_integer(text: str) -> int:
    if len(text.lstrip("-")) > _DIGITS:
        raise ValueError(f"the number {reprlib.repr(text)} is too large")
    return int(text)


def _refuse_namesakes(models: Sequence[InstalledModel]) -> None:
    """Two folders with one name and version: nobody could say which of them had judged an image."""
    places: dict[tuple[str, str], Path] = {}
    for model in models:
        first = places.setdefault((model.name, model.version), model.folder)
        if first != model.folder:
            raise ModelError(
                "model_invalid",
                f"{first} and {model.folder} both claim to be {model.name} {model.version}.",
                remedy="Remove the one that is not from the release.",
            )


def _problem(manifest: object) -> str:
    """What is wrong with a manifest, in words; empty when it can be trusted to have all that a reader needs."""
    if not isinstance(manifest, dict):
        return "it is no JSON object"
    for name in ("name", "version", "modality", "status", "model_file", "seal"):
        if not isinstance(manifest.get(name), str):
            return f"{name} is missing or no text"
    if not _NAME.fullmatch(manifest["name"]):
        return f"name {reprlib.repr(manifest['name'])} is not lower-case letters, digits and hyphens"
    if not _VERSION.fullmatch(manifest["version"]):
        return f"version {reprlib.repr(manifest['version'])} is not of the form 1.2.3"
    if manifest["modality"] not in MODALITIES:
        return f"modality {reprlib.repr(manifest['modality'])} is not one of {', '.join(MODALITIES)}"
    if manifest["status"] not in STATUSES:
        return f"status {reprlib.repr(manifest['status'])} is not one of {', '.join(STATUSES)}"
    if manifest.get("labels") != list(LABELS):
        return f"labels are not {', '.join(LABELS)}, in this order"
    files = manifest.get("files")
    if not isinstance(files, dict) or manifest["model_file"] not in files:
        return "files does not list the model file"
    for name, digest in files.items():
        # A manifest must not reach outside its own folder.
        if not _FILE_NAME.fullmatch(name):
            return f"file name {reprlib.repr(name)} is not a plain name"
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            return f"the digest of {name} is not a SHA-256"
    if not manifest["model_file"].endswith(MODEL_SUFFIX):
        return f"model_file {manifest['model_file']} is no LiteRT graph ({MODEL_SUFFIX})"
    return ""


def _list_of(root: Path | None) -> str:
    names = [f"{model.name} {model.version} ({model.modality})" for model in installed_models(root)]
    return f"Installed are: {', '.join(names)}." if names else "No model is installed: restore ml/artifacts."
