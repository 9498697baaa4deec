"""``/api/v1/studies/``."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from accounts.actions import create_patient
from diagnosis.actions import create_study
from diagnosis.models import Study
from tests.fixture_results import failed, succeeded

STUDIES = "/api/v1/studies/"


def found(client, **query):
    answer = client.get(STUDIES, query)
    assert answer.status_code == 200, answer.json()
    return [row["id"] for row in answer.json()["results"]]


def test_a_radiologist_creates_and_reads_a_study(api, rachel, anna):
    client = api(rachel)
    asked = {
        "patient": str(anna.pk),
        "modality": "US",
        "laterality": "L",
        "clinical_history": "Lump.",
        "accession_number": "ACC-1",
    }
    answer = client.post(STUDIES, asked)
    assert answer.status_code == 201
    body = answer.json()
    assert {key: body[key] for key in asked} == asked
    assert (body["state"], body["images"], body["patient_mrn"]) == ("received", [], "MRN-001")
    assert client.get(f"{STUDIES}{body['id']}/").json() == body
    assert found(client) == [body["id"]]


def test_what_is_optional_may_be_left_out(api, rachel, anna):
    answer = api(rachel).post(STUDIES, {"patient": str(anna.pk), "modality": "CESM"})
    assert answer.status_code == 201
    assert answer.json()["laterality"] == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("patient", None),
        ("patient", "not-a-uuid"),
        ("patient", "00000000-0000-4000-8000-000000000000"),
        ("patient", {"id": 1}),
        ("patient", "a\0b"),
        ("modality", "XR"),
        ("modality", None),
        ("laterality", "X"),
        ("accession_number", "x" * 65),
        ("clinical_history", "x" * 10_001),
        ("clinical_history", "a\0b"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(api, rachel, anna, field, value):
    answer = api(rachel).post(STUDIES, {"patient": str(anna.pk), "modality": "US", field: value})
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]
    assert not Study.objects.exists()


def test_the_modality_has_to_be_stated(api, rachel, anna):
    answer = api(rachel).post(STUDIES, {"patient": str(anna.pk)})
    assert list(answer.json()["fields"]) == ["modality"]


def test_filters_narrow_the_list(api, rachel, anna, study):
    other_patient = create_patient(
        acting_user=None, mrn="MRN-9", given_name="Bea", family_name="Braun", birth_date="1980-01-01", sex="F"
    )
    mammogram = create_study(acting_user=rachel, patient=other_patient, modality="MG", accession_number="ACC-7")
    Study.objects.filter(pk=mammogram.pk).update(created_at=datetime(2026, 3, 5, 23, 30, tzinfo=UTC))
    succeeded(study=study, by=rachel, label="malignant")
    client = api(rachel)
    ultrasound, mammogram = str(study.pk), str(mammogram.pk)
    assert found(client) == [ultrasound, mammogram]
    assert found(client, ordering="created_at") == [mammogram, ultrasound]
    assert found(client, modality="MG") == [mammogram]
    assert found(client, state="analysed") == [ultrasound]
    assert found(client, state="succeeded") == [ultrasound]
    assert found(client, label="malignant") == [ultrasound]
    assert found(client, label="benign") == []
    assert found(client, q="braun bea") == [mammogram]
    assert found(client, q="acc-7") == [mammogram]
    assert found(client, patient=str(anna.pk)) == [ultrasound]
    assert found(client, to="2026-03-05") == [mammogram]
    assert found(client, to="2026-03-04") == []
    assert found(client, **{"from": "2026-03-05", "to": "2026-03-05"}) == [mammogram]
    assert found(client, **{"from": "2026-03-06"}) == [ultrasound]
    assert found(client, **{"from": "2026-03-05T23:30:00Z", "to": "2026-03-05T23:30:01Z"}) == [mammogram]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("modality", "XR"),
        ("state", "x"),
        ("label", "cancer"),
        ("from", "yesterday"),
        ("from", "0001-01-01"),
        ("to", "9999-12-31"),
        ("to", "2026-02-30"),
        ("ordering", "patient__birth_date"),
        ("cursor", "cD14"),
        ("patient", "x"),
        ("q", "a\0b"),
        ("q", "x" * 201),
    ],
)
def test_a_filter_that_means_nothing_is_refused_by_name(api, rachel, study, name, value):
    answer = api(rachel).get(STUDIES, {name: value})
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [name]


def test_pages_follow_each_other_without_gap_or_repeat_and_keep_the_filters(api, rachel, anna):
    expected = [str(create_study(acting_user=rachel, patient=anna, modality="US").pk) for _ in range(5)]
    create_study(acting_user=rachel, patient=anna, modality="MG")
    client, seen, url = api(rachel), [], f"{STUDIES}?page_size=2&modality=US"
    while url:
        page = client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == expected[::-1]


def test_the_number_of_queries_does_not_grow_with_the_list(api, rachel, anna, django_assert_max_num_queries):
    for number in range(6):
        failed(study=create_study(acting_user=rachel, patient=anna, modality="US"), by=rachel, seed=number)
    client = api(rachel)
    with django_assert_max_num_queries(8):
        assert len(found(client)) == 6


def test_an_administrator_reads_but_does_not_create(api, adam, anna, study):
    client = api(adam)
    assert found(client) == [str(study.pk)]
    refused = client.post(STUDIES, {"patient": str(anna.pk), "modality": "US"})
    assert refused.status_code == 403
    assert refused.json()["code"] == "permission_denied"


def test_an_unknown_study_is_404(api, rachel):
    assert api(rachel).get(f"{STUDIES}{uuid.uuid4()}/").status_code == 404


def test_an_address_without_its_slash_says_what_is_wrong(api, rachel):
    answer = api(rachel).post("/api/v1/studies", {})
    assert answer.status_code == 404
    assert "slash" in answer.json()["detail"]
