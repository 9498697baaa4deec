"""Fields that a form does not have are not written, whoever sends them: role, owner, state, fingerprint, key."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import Patient, User
from diagnosis.models import Analysis, Image, Study
from tests.fixture_images import good_png
from tests.fixture_results import succeeded

pytestmark = pytest.mark.django_db
FORGED = {
    "id": "00000000-0000-0000-0000-000000000001",
    "pk": "1",
    "is_staff": "true",
    "is_superuser": "true",
    "role": "administrator",
    "owner": "1",
    "user": "1",
    "created_by": "1",
    "state": "signed",
    "sha256": "0" * 64,
    "label": "benign",
    "suspicion": "1",
    "confidence": "0.99",
    "synthetic": "true",
    "merged_into": "1",
    "retain_until": "2000-01-01",
    "search_text": "x",
    "released_at": "2026-01-01",
    "patient_name": "x",
    "active": "true",
}
PATIENT = {"mrn": "M-9", "given_name": "Ewa", "family_name": "Nowak", "birth_date": "1980-02-03", "sex": "F"}


def row(model, pk) -> dict:
    return model.objects.filter(pk=pk).values().get()


def check_patient(patient: Patient, rachel: User) -> None:
    assert str(patient.pk) != FORGED["id"]
    assert (patient.user, patient.synthetic, patient.merged_into, patient.retain_until) == (None, False, None, None)
    assert patient.search_text != "x"
    rachel.refresh_from_db()
    assert (rachel.role, rachel.is_staff) == ("radiologist", False)


def test_a_new_patient_by_the_page(client, rachel):
    client.force_login(rachel)

    assert client.post("/patients/new/", {**FORGED, **PATIENT}).status_code == 302

    check_patient(Patient.objects.get(mrn="M-9"), rachel)


def test_a_new_patient_by_the_api(api, rachel):
    assert api(rachel).post("/api/v1/patients/", {**FORGED, **PATIENT}).status_code == 201

    check_patient(Patient.objects.get(mrn="M-9"), rachel)


def test_a_changed_patient_by_the_api(api, rachel, anna):
    before = row(Patient, anna.pk)

    assert api(rachel).patch(f"/api/v1/patients/{anna.pk}/", {**FORGED, "given_name": "Anne"}).status_code == 200

    after = row(Patient, anna.pk)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"given_name", "search_text", "updated_at"}


def test_a_changed_patient_by_the_page(client, rachel, anna):
    before = row(Patient, anna.pk)
    client.force_login(rachel)
    typed = {"mrn": anna.mrn, "given_name": "Anne", "family_name": anna.family_name, "birth_date": "1970-05-17"}

    assert client.post(f"/patients/{anna.pk}/edit/", {**FORGED, **typed, "sex": "F"}).status_code == 302

    after = row(Patient, anna.pk)
    assert {name for name in before if before[name] != after[name]} == {"given_name", "search_text", "updated_at"}


def test_a_new_study_by_the_page_and_by_the_api(client, api, rachel, anna):
    client.force_login(rachel)

    client.post(f"/patients/{anna.pk}/studies/new/", {**FORGED, "modality": "US", "laterality": "L"})
    api(rachel).post("/api/v1/studies/", {**FORGED, "patient": str(anna.pk), "modality": "US"})

    studies = list(Study.objects.all())
    assert len(studies) == 2
    for study in studies:
        assert (study.state, study.patient, study.created_by) == ("received", anna, rachel)
        assert str(study.pk) != FORGED["id"]


def test_an_image_by_the_api(api, rachel, study):
    file = SimpleUploadedFile("scan.png", good_png(), "image/png")

    answer = api(rachel).post(f"/api/v1/studies/{study.pk}/images/", {**FORGED, "file": file}, format="multipart")

    assert answer.status_code == 202
    image = Image.objects.get()
    assert image.sha256 != FORGED["sha256"]
    assert (image.analysis.state, image.analysis.label, image.analysis.suspicion) == ("queued", "", None)


@pytest.mark.parametrize("act", ["retry", "cancel"])
def test_an_analysis_that_has_a_result(client, api, rachel, study, act):
    analysis = succeeded(study=study, by=rachel)
    before = row(Analysis, analysis.pk)
    client.force_login(rachel)

    client.post(f"/analyses/{analysis.pk}/{act}/", FORGED)
    api(rachel).post(f"/api/v1/analyses/{analysis.pk}/{act}/", FORGED)

    assert row(Analysis, analysis.pk) == before
