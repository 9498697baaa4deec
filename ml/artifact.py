"""What every release shares: staging, common manifest entries, digests and seal."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml.registry import MANIFEST, manifest_seal
from ml.storage import write_json

MODEL_FILE = "model.tflite"
WEIGHTS_FILE = "weights.npz"
LIBRARIES = ("tensorflow-cpu", "keras", "ai-edge-litert", "numpy", "opencv-python-headless")


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder to write an artefact into; it takes the place of ``folder`` as a whole when the block ends well.

    Written beside its place and renamed at the end: a worker never sees half a model.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as staging:
        written = Path(staging) / folder.name
        written.mkdir()
        yield written
        if folder.exists():
            shutil.rmtree(folder)
        written.rename(folder)


def provenance(described: dict[str, Any], *, command: str) -> dict[str, Any]:
    """Manifest entries that say where a model comes from.

    Args:
        described: the run's ``run.json``.
        command: of the release.
    """
    return {
        "recipe": described["recipe"],
        "seed": described["seed"],
        "initial_weights_sha256": described["weights_sha256"],
        "training_command": described["command"],
        **{name: described[name] for name in ("start", "teachers") if name in described},
        "release_command": command,
        "released": datetime.now(UTC).date().isoformat(),
        "libraries": {
            "python": platform.python_version(),
            **{library: importlib.metadata.version(library) for library in LIBRARIES},
        },
    }


def evaluation_head(described: dict[str, Any], manifest: dict[str, Any], *, notes: Sequence[str]) -> dict[str, Any]:
    """What ``evaluation.json`` begins with: whose figures they are and which commands made them.

    Args:
        described: the run's ``run.json``.
        manifest: with the digest of the graph.
        notes: sentences about this run that a reader of the card must know.
    """
    return {
        "model": {
            **{name: manifest[name] for name in ("name", "version", "status")},
            "sha256": manifest["files"][MODEL_FILE],
        },
        "command": manifest["release_command"],
        "training_command": described["command"],
        "date": manifest["released"],
        "libraries": manifest["libraries"],
        "recipe": described["recipe"],
        "seed": described["seed"],
        "data": described["data"],
        "notes": list(notes),
    }


def seal(folder: Path, manifest: dict[str, Any], *, files: Sequence[str] | None = None) -> None:
    """Write the manifest with the digests of the named files, by default of all in the folder, and its own seal."""
    if files is None:
        files = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    manifest["seal"] = manifest_seal(manifest)
    write_json(folder / MANIFEST, manifest)
