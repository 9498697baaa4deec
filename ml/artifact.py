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
        "release_command": command,
        "released": datetime.now(UTC).date().isoformat(),
        "libraries": {
            "python": platform.python_version(),
            **{library: importlib.metadata.version(library) for library in LIBRARIES},
        },
    }


def seal(folder: Path, manifest: dict[str, Any], *, files: Sequence[str] | None = None) -> None:
    """Write the manifest with the digests of the named files, by default of all in the folder, and its own seal."""
    if files is None:
        files = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    manifest["seal"] = manifest_seal(manifest)
    write_json(folder / MANIFEST, manifest)
