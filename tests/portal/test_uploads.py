"""A file that is too long is cut while it streams, and what a killed process left is deleted."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import UploadFileException
from django.http.multipartparser import MultiPartParser
from django.test import RequestFactory

from portal import uploads


@pytest.fixture
def incoming(settings, tmp_path: Path) -> Path:
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    return tmp_path


def _parse(content: bytes, *, by):
    body = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + content + b"\r\n--edge--\r\n"
    )
    meta = {"CONTENT_TYPE": "multipart/form-data; boundary=edge", "CONTENT_LENGTH": str(len(body))}
    request = RequestFactory().get("/")
    request.user = by
    handler = uploads.BoundedTemporaryFileUploadHandler(request)
    try:
        _, files = MultiPartParser(meta, io.BytesIO(body), [handler]).parse()
    except UploadFileException as error:
        raise AssertionError(error) from error
    return files.get("file")


def test_a_file_within_the_limit_is_whole(incoming, settings, rachel):
    settings.MAX_IMAGE_BYTES = 100
    file = _parse(b"x" * 100, by=rachel)
    assert (file.size, file.read()) == (100, b"x" * 100)


def test_of_a_file_that_is_too_long_one_byte_more_than_the_limit_is_kept(incoming, settings, rachel):
    settings.MAX_IMAGE_BYTES = 100
    file = _parse(b"x" * 300_000, by=rachel)
    assert file.size == 101
    assert Path(file.temporary_file_path()).stat().st_size <= 101


def test_nothing_is_written_for_people_who_may_not_add_images(incoming, ivan, adam):
    for person in (AnonymousUser(), ivan, adam):
        assert _parse(b"x" * 300_000, by=person) is None
        assert list(incoming.iterdir()) == []


def test_a_stranger_s_file_is_dropped_although_the_form_is_parsed_before_its_view(incoming, client, db):
    answer = client.post("/account/login/", {"file": SimpleUploadedFile("a.png", b"x" * 300_000, "image/png")})
    assert not answer.wsgi_request.FILES


def test_what_a_killed_process_left_is_deleted_and_an_upload_that_goes_on_is_not(incoming):
    old, fresh, other = incoming / "a.upload.png", incoming / "b.upload.png", incoming / "notes.txt"
    for file in (old, fresh, other):
        file.write_bytes(b"x")
    long_ago = time.time() - uploads.ABANDONED_SECONDS - 1
    for file in (old, other):
        os.utime(file, (long_ago, long_ago))
    assert uploads.forget_abandoned() == 1
    assert sorted(file.name for file in incoming.iterdir()) == ["b.upload.png", "notes.txt"]
