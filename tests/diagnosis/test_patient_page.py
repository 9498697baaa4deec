"""A patient's page: the record, its studies, and a place to drop images."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.actions import create_patient
from accounts.models import AuditEvent
from diagnosis.models import Image, Study
from tests.fixture_images import good_png
from tests.fixture_results import succeeded

HOSTILE_NAME = '<script>alert("x")</script>'


@pytest.fixture
def upload_file():
    return SimpleUploadedFile("scan.png", good_png(1), content_type="image/png")


def test_it_shows_the_record_its_studies_and_results(client, anna, study, rachel):
    succeeded(study=study, by=rachel, suspicion=7)
    client.force_login(rachel)

    html = client.get(reverse("patient-detail", args=[anna.pk])).content.decode()

    for words in ("Anna Żółć", "MRN-001", "17 May 1970", "female", "7 of 10"):
        assert words in html
    assert reverse("study-detail", args=[study.pk]) in html
    assert reverse("study-create", args=[anna.pk]) in html
    assert "SYNTHETIC" not in html


def test_a_synthetic_patient_is_marked(client, rachel):
    patient = create_patient(
        acting_user=None, synthetic=True, mrn="S-1", given_name="Syn", family_name="Thetic", birth_date=date(1980, 1, 1)
    )
    client.force_login(rachel)

    assert b"SYNTHETIC" in client.get(reverse("patient-detail", args=[patient.pk])).content


def test_who_opened_the_record_is_in_the_ledger(client, anna, adam):
    client.force_login(adam)

    client.get(reverse("patient-detail", args=[anna.pk]))

    event = AuditEvent.objects.get(action="patient.viewed")
    assert (event.actor, event.patient) == (adam, anna)


def test_an_administrator_reads_but_adds_no_images(client, anna, adam):
    client.force_login(adam)

    html = client.get(reverse("patient-detail", args=[anna.pk])).content.decode()

    assert "data-uploader" not in html
    assert reverse("study-create", args=[anna.pk]) not in html


@pytest.mark.parametrize("who", ["ivan", "petra"])
@pytest.mark.parametrize("address", ["patient-detail", "study-create"])
def test_others_are_not_told_that_the_patient_exists(client, anna, who, address, request):
    client.force_login(request.getfixturevalue(who))

    assert client.get(reverse(address, args=[anna.pk])).status_code == 404


def test_a_name_is_never_markup(client, rachel):
    patient = create_patient(
        acting_user=None, mrn="X-1", given_name=HOSTILE_NAME, family_name="<b>", birth_date=date(1980, 1, 1)
    )
    client.force_login(rachel)

    html = client.get(reverse("patient-detail", args=[patient.pk])).content.decode()

    assert HOSTILE_NAME not in html
    assert "&lt;script&gt;" in html


def test_dropped_images_begin_a_study_of_today(client, anna, rachel):
    client.force_login(rachel)

    response = client.post(reverse("study-start", args=[anna.pk]), headers={"accept": "application/json"})

    assert response.status_code == 201
    study = Study.objects.get(pk=response.json()["id"])
    assert (study.patient, study.modality) == (anna, "US")
    assert response.json()["upload_url"] == reverse("study-upload", args=[study.pk])


def test_an_empty_study_of_today_is_used_again(client, anna, rachel):
    client.force_login(rachel)
    ids = {
        client.post(reverse("study-start", args=[anna.pk]), headers={"accept": "application/json"}).json()["id"]
        for _ in range(2)
    }

    assert len(ids) == 1
    assert Study.objects.count() == 1


def test_without_javascript_the_form_makes_the_study_and_files_the_images(client, anna, rachel, upload_file):
    client.force_login(rachel)

    response = client.post(reverse("study-start", args=[anna.pk]), {"file": upload_file})

    image = Image.objects.get()
    assert response.url == reverse("study-detail", args=[image.study.pk])
    assert image.study.patient == anna


def test_an_administrator_cannot_begin_a_study(client, anna, adam):
    client.force_login(adam)

    assert client.post(reverse("study-start", args=[anna.pk])).status_code == 404
    assert not Study.objects.exists()
