"""``manage.py verify_files``: every stored file exists and is the one that was stored."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from diagnosis import actions
from diagnosis.models import Report
from portal import jobs
from portal.storage import DurableFileSystemStorage
from tests.fixture_results import succeeded


@pytest.fixture
def report(study, rachel) -> Report:
    """One image with its map and its report: three stored files."""
    analysis = succeeded(study=study, by=rachel)
    queued = analysis.reports.get()
    pdf = b"%PDF-1.7 made by a test"
    claim = jobs.claim(Report, queued.pk)
    actions.record_report(claim=claim, pdf=pdf, sha256=hashlib.sha256(pdf).hexdigest(), page_count=1)
    queued.refresh_from_db()
    return queued


def _verify(*options: str) -> str:
    out = io.StringIO()
    call_command("verify_files", "--settled-minutes=0", *options, stdout=out)
    return out.getvalue()


def test_sound_files_are_counted(report):
    assert _verify() == "3 stored files checked.\nEvery file on record is there and unaltered.\n"


def test_a_missing_file_fails_and_is_named(report):
    Path(report.file.path).unlink()
    with pytest.raises(CommandError, match="1 files are missing and 0 differ"):
        _verify()


def test_an_altered_file_fails(report):
    image = Path(report.analysis.image.file.path)
    image.write_bytes(image.read_bytes()[:-1] + b"x")
    with pytest.raises(CommandError, match="0 files are missing and 1 differ"):
        _verify()


def test_what_a_killed_process_left_is_listed_and_removed_on_request(report):
    folder = Path(report.file.path).parent
    orphan, partial = folder / "orphan.pdf", folder / f"{DurableFileSystemStorage.PARTIAL}abc"
    orphan.write_bytes(b"orphan")
    partial.write_bytes(b"half")
    said = _verify()
    assert "1 named by no record:" in said
    assert "1 unfinished:" in said
    assert orphan.exists()
    assert partial.exists()
    assert "2 left-over files deleted." in _verify("--delete-orphans")
    assert not orphan.exists()
    assert not partial.exists()
    assert Path(report.file.path).exists()


def test_a_file_of_an_upload_that_goes_on_is_left_alone(report):
    fresh = Path(report.file.path).parent / "fresh.pdf"
    fresh.write_bytes(b"its row comes in a moment")
    out = io.StringIO()
    call_command("verify_files", "--delete-orphans", stdout=out)
    assert fresh.exists()
    assert "named by no record" not in out.getvalue()
