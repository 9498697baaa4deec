"""Under its final name a file is always whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from portal.storage import DurableFileSystemStorage


@pytest.fixture
def storage(tmp_path: Path) -> DurableFileSystemStorage:
    return DurableFileSystemStorage(location=tmp_path)


def test_a_file_is_stored_and_nothing_else(storage, tmp_path):
    name = storage.save("a/b.pdf", ContentFile(b"whole"))
    assert (tmp_path / name).read_bytes() == b"whole"
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.pdf"]


def test_a_file_whose_writing_fails_is_not_there_under_any_name(storage, tmp_path):
    class Torn(ContentFile):
        def chunks(self, chunk_size=None):
            yield b"half"
            raise OSError("The disk is full.")

    with pytest.raises(OSError, match="full"):
        storage.save("a/b.pdf", Torn(b""))
    assert list((tmp_path / "a").iterdir()) == []


def test_a_name_that_is_taken_is_never_overwritten(storage, tmp_path):
    first = storage.save("a.pdf", ContentFile(b"first"))
    second = storage.save("a.pdf", ContentFile(b"second"))
    assert first != second
    assert (tmp_path / first).read_bytes() == b"first"


def test_other_accounts_of_the_host_cannot_read_it(storage, tmp_path):
    name = storage.save("a.pdf", ContentFile(b"whole"))
    assert (tmp_path / name).stat().st_mode & 0o077 == 0
