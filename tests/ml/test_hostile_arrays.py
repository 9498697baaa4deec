"""A file of arrays from a stranger: refused by name, nothing in it executed and no memory reserved on its word."""

from __future__ import annotations

import io
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ml.storage import arrays_from, read_arrays


@pytest.fixture
def canary(tmp_path) -> Path:
    """A file that exists only if something in a model folder was executed."""
    return tmp_path / "executed"


class Payload:
    """Unpickling it makes the canary, as an attacker's pickle would run a program."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def test_a_pickle_among_the_arrays_is_refused_and_not_unpickled(tmp_path, canary):
    path = tmp_path / "weights.npz"
    np.savez(path, good=np.zeros(3), bad=np.array([Payload(canary)], dtype=object))
    with pytest.raises(ValueError, match=r"weights\.npz is not used: it holds a pickled object"):
        read_arrays(path)
    assert not canary.exists()


def test_the_canary_would_be_made_by_a_careless_reader(tmp_path, canary):
    path = tmp_path / "weights.npz"
    np.savez(path, bad=np.array([Payload(canary)], dtype=object))
    # Read on purpose as nothing in the library does, to show that the tests above can fail.
    np.load(path, allow_pickle=True)["bad"]
    assert canary.exists()


def archive_of(entries: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def stated(shape: object, body: bytes = b"\0" * 8) -> bytes:
    """An array file that states a shape of its own, whatever bytes follow."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (archive_of({"a.npy": b"\0" * 50_000_000}, compression=zipfile.ZIP_DEFLATED), "unpacks to 50,000,000 bytes"),
        (archive_of({"a.npy": stated("(1000000000000,)")}), "which its bytes do not have"),
        (archive_of({"a.npy": stated("(-2,)")}), "which its bytes do not have"),
        (archive_of({"a.npy": stated("(" * 5000)}), "not used"),
        (archive_of({"a.npy": stated("__import__('os').mkdir('x')")}), "not used"),
        (archive_of({"run.py": b"import os"}), "is no array"),
        (archive_of({"a.npy": b"\x93NUMPY\x09\x00"}), "9.0 are not read"),
        (b"PK\x05\x06", "not used"),
        (b"", "not used"),
    ],
    ids=["bomb", "huge", "negative", "nested", "code", "program", "format", "damaged", "empty"],
)
def test_a_hostile_array_file_is_refused_before_memory_is_reserved(content, words):
    with pytest.raises(ValueError, match="weights is not used") as caught:
        arrays_from(io.BytesIO(content), name="weights", limit=10_000_000)
    assert words in str(caught.value)


def test_an_array_may_not_be_there_twice():
    buffer = io.BytesIO()
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(buffer, "w") as archive:
        for _ in range(2):
            archive.writestr("a.npy", stated("(2,)"))
    with pytest.raises(ValueError, match="there twice"):
        arrays_from(buffer, name="weights")


def test_arrays_that_were_damaged_at_random_are_read_or_refused_nothing_else():
    chance = random.Random(7)
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(10.0), b=np.zeros((2, 3), np.float16))
    seen = set()
    for _ in range(400):
        content = bytearray(buffer.getvalue())
        for _ in range(chance.choice((1, 3))):
            content[chance.randrange(len(content))] = chance.choice((0, 255, 39, 40, 57, chance.randrange(256)))
        try:
            arrays_from(io.BytesIO(content), name="x")
            seen.add("read")
        except ValueError:
            seen.add("refused")
    assert seen == {"read", "refused"}
