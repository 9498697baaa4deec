"""The upload of the study page: what became of each file, in words a person can act on."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent
from diagnosis.models import Analysis, Image, Study
from tests.fixture_hostile import HOSTILE
from tests.fixture_images import good_dicom, good_png

JSON = {"accept": "application/json"}


def png(seed: int = 1, name: str = "scan.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, good_png(seed), content_type="image/png")


def strangers_dicom() -> SimpleUploadedFile:
    """A file that names another patient than Anna."""
    return SimpleUploadedFile("other.dcm", good_dicom(seed=3), content_type="application/dicom")


@pytest.fixture
def send(client, study, rachel):
    """``send(file, **fields)``: one file as the page's script sends it, by the radiologist."""
    client.force_login(rachel)

    def post(*files, **fields):
        return client.post(reverse("study-upload", args=[study.pk]), {"file": list(files), **fields}, headers=JSON)

    return post


def test_a_good_file_is_stored_and_queued(send, study, rachel):
    response = send(png(), laterality="R", view="RAD")

    assert response.status_code == 201
    image = Image.objects.get()
    assert response.json() == {
        "id": str(image.pk),
        "url": reverse("analysis-detail", args=[image.analysis.pk]),
        "state": "queued",
        "duplicate": False,
        "same_study": True,
    }
    assert (image.study, image.laterality, image.view, image.uploaded_by) == (study, "R", "RAD", rachel)


def test_the_same_file_again_is_recognised_and_linked(send):
    first = send(png())
    again = send(png(name="renamed.png"))

    assert again.status_code == 200
    assert again.json()["duplicate"] is True
    assert again.json()["url"] == first.json()["url"]
    assert Image.objects.count() == Analysis.objects.count() == 1


def test_a_file_of_another_patient_is_asked_about_first(send):
    response = send(strangers_dicom())

    assert response.status_code == 409
    assert response.json()["code"] == "identity_mismatch"
    sentences = " ".join(one["sentence"] for one in response.json()["differences"])
    assert "MRN-0001" in sentences
    assert "MRN-001" in sentences
    assert not Image.objects.exists()


def test_and_filed_when_that_is_confirmed(send, rachel):
    response = send(strangers_dicom(), confirm_differences="1")

    assert response.status_code == 201
    image = Image.objects.get()
    assert image.differences_confirmed_by == rachel
    assert {one["field"] for one in image.differences} >= {"mrn", "family_name"}


@pytest.mark.parametrize("kind", ["nothing", "html", "elf program as png", "truncated png", "animated png", "svg"])
def test_a_hostile_file_is_refused_with_a_reason_and_nothing_is_kept(send, kind, study):
    hostile = HOSTILE[kind]

    response = send(SimpleUploadedFile(hostile.filename, hostile.make(), content_type=hostile.content_type))

    assert response.status_code == hostile.status
    assert response.json()["code"] == hostile.code
    assert response.json()["detail"].endswith(".")
    assert not Image.objects.exists()
    assert AuditEvent.objects.get(action="image.refused").details["code"] == hostile.code


def test_a_file_above_the_sites_limit_is_refused(send, settings):
    settings.MAX_IMAGE_BYTES = 1000

    response = send(png())

    assert response.status_code == 413
    assert response.json()["code"] == "too_large"


def test_a_signed_study_takes_nothing(send, study):
    Study.objects.filter(pk=study.pk).update(state=Study.State.SIGNED)

    response = send(png())

    assert response.status_code == 409
    assert response.json()["code"] == "wrong_state"


def test_no_file_or_two_at_once_are_told_apart_from_a_fault(send):
    assert send().json()["code"] == "no_file"
    assert send(png(1), png(2)).status_code == 400
    assert not Image.objects.exists()


def test_a_view_that_does_not_exist_is_refused(send):
    response = send(png(), view="CC")

    assert response.status_code == 400
    assert response.json()["code"] == "not_allowed"
    assert not Image.objects.exists()


def test_a_plain_form_files_several_and_says_what_became_of_each(client, study, rachel):
    client.force_login(rachel)
    text = SimpleUploadedFile("notes.png", b"This is not an image.\n", content_type="image/png")

    response = client.post(
        reverse("study-upload", args=[study.pk]), {"file": [png(1), text, strangers_dicom()]}, follow=True
    )

    html = response.content.decode()
    assert response.redirect_chain[-1][0] == reverse("study-detail", args=[study.pk])
    assert "scan.png: stored and queued for analysis." in html
    assert "notes.png: refused." in html
    assert "other.dcm: not filed." in html
    assert Image.objects.count() == 1


def test_a_hostile_file_name_is_never_markup(client, study, rachel):
    client.force_login(rachel)

    response = client.post(
        reverse("study-upload", args=[study.pk]),
        {"file": png(1, name="<img src=x onerror=alert(1)>.png")},
        follow=True,
    )

    assert "<img src=x" not in response.content.decode()


@pytest.mark.parametrize("who", ["adam", "ivan", "petra"])
def test_only_a_radiologist_adds_images(client, study, who, request):
    client.force_login(request.getfixturevalue(who))

    assert client.post(reverse("study-upload", args=[study.pk]), {"file": png()}, headers=JSON).status_code == 404
    assert not Image.objects.exists()


def test_a_request_without_the_page_token_is_refused(study, rachel):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(rachel)

    assert strict.post(reverse("study-upload", args=[study.pk]), {"file": png()}, headers=JSON).status_code == 403
    assert not Image.objects.exists()
