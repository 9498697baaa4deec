"""Files that are either the old version or the whole new one, whatever kills the process in between."""

from __future__ import annotations

import io
import json
import math
import os
import reprlib
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

ARRAY_BYTES = 2_000_000_000
"""Most that an ``.npz`` file may unpack to: twice the float32 weights and optimiser state of the largest network."""

_NO_ARRAYS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    ValueError,
)
"""What ``zipfile`` and NumPy's header reader raise on nonsense (found by mutating files at random)."""


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` atomically (written beside it, synced, renamed)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(partial, path)


def write_text(path: Path, content: str) -> None:
    """Replace ``path`` by UTF-8 text atomically."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: object) -> None:
    """Replace ``path`` by indented JSON atomically; NaN is refused, because JSON has none."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parse a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Replace an uncompressed ``.npz`` file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(partial, path)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read a ``.npz`` file written by :func:`write_arrays`.

    Raises:
        OSError: the file does not exist or may not be read.
        ValueError: as :func:`arrays_from`.
    """
    with path.open("rb") as handle:
        return arrays_from(handle, name=str(path))


def arrays_from(handle: IO[bytes], *, name: str, limit: int = ARRAY_BYTES) -> dict[str, NDArray[Any]]:
    """Read the arrays of an open ``.npz`` file, which may come from anyone.

    Nothing in it is executed and nothing is reserved on its word: pickled objects are refused, and an array's stated
    shape must agree with the bytes that are there.

    Args:
        handle: seekable, such as ``io.BytesIO`` of a file whose digest was checked.
        name: the file, for the error.
        limit: most that it may unpack to, bytes.

    Raises:
        ValueError: no zip archive, damaged, encrypted, holds something but arrays, an entry twice, or more than
            ``limit`` when unpacked.
    """
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(handle) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > limit:
                raise ValueError(f"it unpacks to {unpacked:,} bytes, more than the {limit:,} that are read")
            for entry in entries:
                key = entry.filename.removesuffix(".npy")
                if key == entry.filename or key in arrays:
                    raise ValueError(f"its entry {reprlib.repr(entry.filename)} is no array, or there twice")
                # zipfile never gives more than the stated size, which the sum above has bounded.
                arrays[key] = _array(archive.read(entry))
    except _NO_ARRAYS as error:
        raise ValueError(f"{name} is not used: {error}. Restore it, or make it again.") from error
    return arrays


def _array(content: bytes) -> NDArray[Any]:
    """One array in NumPy's own format (NEP 1), versions 1 and 2; a copy that may be written to."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"arrays of format {version[0]}.{version[1]} are not read")
    shape, by_columns, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds a pickled object, which could run a program")
    body = content[stream.tell() :]
    if min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError(f"an array states the shape {reprlib.repr(shape)}, which its bytes do not have")
    return np.frombuffer(body, dtype=dtype).reshape(shape, order="F" if by_columns else "C").copy()
