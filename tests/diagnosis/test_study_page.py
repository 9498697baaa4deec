"""A study's page: whose it is, what is asked, its images and how far each is."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.models import AuditEvent
from diagnosis.models import Analysis, Study
from tests.fixture_results import failed, filed, rejected, succeeded


@pytest.fixture
def reading(client, rachel):
    client.force_login(rachel)
    return client


def test_a_new_study_is_made_from_the_form(reading, anna, rachel):
    response = reading.post(
        reverse("study-create", args=[anna.pk]),
        {"modality": "US", "laterality": "R", "clinical_history": "Lump, right.", "accession_number": "A-1"},
    )

    study = Study.objects.get()
    assert response.url == reverse("study-detail", args=[study.pk])
    assert (study.patient, study.laterality, study.clinical_history) == (anna, "R", "Lump, right.")
    assert study.created_by == rachel


def test_a_wrong_value_is_said_at_its_field_and_nothing_is_made(reading, anna):
    response = reading.post(reverse("study-create", args=[anna.pk]), {"modality": "CT"})

    assert response.status_code == 422
    assert "CT is not one of the available choices" in response.content.decode()
    assert not Study.objects.exists()


def test_the_patient_is_always_in_view(reading, study):
    html = reading.get(reverse("study-detail", args=[study.pk])).content.decode()

    for words in ("Anna Żółć", "MRN-001", "17 May 1970", "Female", study.short_id):
        assert words in html


def test_each_image_says_its_state_in_words(reading, study, rachel):
    filed(study=study, by=rachel, seed=1)
    succeeded(study=study, by=rachel, seed=2, suspicion=7, confidence=0.81)
    rejected(study=study, by=rachel, seed=3)
    failed(study=study, by=rachel, seed=4)

    html = reading.get(reverse("study-detail", args=[study.pk])).content.decode()

    for words in ("Waiting", "Suspicious of malignancy", "Suspicion 7 of 10", "81\N{NO-BREAK SPACE}%"):
        assert words in html
    for words in ("Refused", "Failed"):
        assert words in html
    assert "Too blurred." in html
    assert "4 images, 1 still in work, 1 refused, 1 failed" in html


def test_the_cards_ask_again_until_everything_is_finished(reading, study, rachel):
    filed(study=study, by=rachel)
    address = reverse("study-images", args=[study.pk])
    assert "every 1s" in reading.get(address).content.decode()

    Analysis.objects.update(state="cancelled")

    assert "every 1s" not in reading.get(address).content.decode()


def test_unchanged_cards_are_not_sent_again(reading, study, rachel):
    filed(study=study, by=rachel)
    address = reverse("study-images", args=[study.pk])
    html = reading.get(address).content.decode()
    seen = html.split("?seen=")[1].split('"')[0]

    assert reading.get(address, {"seen": seen}).status_code == 204


def test_an_empty_study_teaches_the_next_step(reading, study):
    assert b"No images yet" in reading.get(reverse("study-detail", args=[study.pk])).content


def test_a_signed_study_takes_no_images(reading, study):
    Study.objects.filter(pk=study.pk).update(state=Study.State.SIGNED)

    html = reading.get(reverse("study-detail", args=[study.pk])).content.decode()

    assert "This study is signed" in html
    assert "data-uploader" not in html


def test_who_opened_the_study_is_in_the_ledger_but_not_each_refresh(reading, study):
    reading.get(reverse("study-detail", args=[study.pk]))
    reading.get(reverse("study-images", args=[study.pk]))

    assert AuditEvent.objects.filter(action="study.viewed").count() == 1


@pytest.mark.parametrize("address", ["study-detail", "study-images"])
@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 404), ("petra", 404)])
def test_other_roles(client, study, address, who, status, request):
    client.force_login(request.getfixturevalue(who))

    assert client.get(reverse(address, args=[study.pk])).status_code == status
