"""Our own passing faults, as the API says them: a sentence and a code, never a page or a stack trace."""

from __future__ import annotations

import errno

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError

from diagnosis import actions
from portal import uploads

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(rachel, anna):
    return actions.create_study(acting_user=rachel, patient=anna, modality="US")


def test_a_full_disk_refuses_the_upload_and_keeps_nothing(api, rachel, study, monkeypatch):
    def full(self, raw_data, start):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads.BoundedTemporaryFileUploadHandler, "receive_data_chunk", full)
    file = SimpleUploadedFile("a.png", b"x" * 100, "image/png")
    answer = api(rachel).post(f"/api/v1/studies/{study.pk}/images/", {"file": file}, format="multipart")
    assert (answer.status_code, answer.json()["code"], study.images.count()) == (503, "unavailable", 0)


def test_a_database_that_does_not_answer_is_503(api, rachel, study, monkeypatch):
    def down(*args, **kwargs):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("diagnosis.actions.create_study", down)
    answer = api(rachel).post("/api/v1/studies/", {"patient": str(study.patient_id), "modality": "US"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "server closed" not in answer.content.decode()
