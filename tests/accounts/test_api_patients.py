"""``/api/v1/patients/``."""

from __future__ import annotations

import pytest

from accounts.actions import create_patient
from accounts.models import AuditEvent, Patient

PATIENTS = "/api/v1/patients/"
NEW = {"mrn": "MRN-2", "given_name": "Ümit", "family_name": "Çağlar", "birth_date": "1979-11-02", "sex": "F"}


def address(patient):
    return f"{PATIENTS}{patient.pk}/"


def test_a_radiologist_creates_and_reads_a_patient(api, rachel):
    client = api(rachel)
    answer = client.post(PATIENTS, NEW)
    assert answer.status_code == 201
    body = answer.json()
    assert {key: body[key] for key in NEW} == NEW
    assert client.get(f"{PATIENTS}{body['id']}/").json() == body
    assert AuditEvent.objects.get(action="patient.created").object_id == body["id"]


def test_a_change_is_kept_and_the_rest_stays(api, rachel, anna):
    answer = api(rachel).patch(address(anna), {"family_name": "Nowak"})
    assert answer.status_code == 200
    anna.refresh_from_db()
    assert (anna.family_name, anna.given_name) == ("Nowak", "Anna")
    assert AuditEvent.objects.get(action="patient.changed").details == {"fields": ["family_name"]}


def test_putting_a_whole_record_is_not_a_method_of_this_address(api, rachel, anna):
    assert api(rachel).put(address(anna), NEW).status_code == 405


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mrn", ""),
        ("mrn", "MRN-001"),
        ("mrn", "x" * 65),
        ("mrn", "a\0b"),
        ("given_name", "x" * 101),
        ("given_name", None),
        ("family_name", ["x"]),
        ("birth_date", "1979-13-45"),
        ("birth_date", "2999-01-01"),
        ("birth_date", 7),
        ("sex", "X"),
        ("sex", {"a": 1}),
        ("email", "not an address"),
        ("history", "x" * 10_001),
        ("phone", "1" * 41),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_a_sentence(api, rachel, anna, field, value):
    answer = api(rachel).post(PATIENTS, {**NEW, field: value})
    assert answer.status_code == 400
    body = answer.json()
    assert body["code"] == "invalid"
    assert list(body["fields"]) == [field]
    assert body["detail"] == body["fields"][field][0]
    assert Patient.objects.count() == 1


def test_a_taken_mrn_says_so_in_words(api, rachel, anna):
    body = api(rachel).post(PATIENTS, {**NEW, "mrn": " MRN-001 "}).json()
    assert body["fields"]["mrn"] == ["There is already a patient with this MRN."]


def test_the_list_is_paged_by_position_and_misses_nobody(api, rachel):
    for number in range(7):
        create_patient(acting_user=None, **{**NEW, "mrn": f"P{number}"})
    client = api(rachel)
    seen, url = [], f"{PATIENTS}?page_size=3"
    while url:
        page = client.get(url).json()
        seen += [row["mrn"] for row in page["results"]]
        url = page["next"]
    assert seen == [f"P{number}" for number in range(7)]


@pytest.mark.parametrize("words", ["żół", "anna ŻÓŁĆ", "mrn-001"])
def test_search_finds_by_name_and_mrn(api, rachel, anna, words):
    create_patient(acting_user=None, **NEW)
    found = api(rachel).get(PATIENTS, {"q": words})
    assert [row["id"] for row in found.json()["results"]] == [str(anna.pk)]


def test_search_that_finds_nobody_is_an_empty_list(api, rachel, anna):
    assert api(rachel).get(PATIENTS, {"q": "zzz"}).json()["results"] == []


@pytest.mark.parametrize(
    "query",
    [{"cursor": "%%%"}, {"cursor": "żółć"}, {"cursor": "cD0AAA=="}, {"q": "a\0b"}, {"q": "x" * 201}],
)
def test_a_bad_question_is_refused(api, rachel, anna, query):
    answer = api(rachel).get(PATIENTS, query)
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "detail", "fields"}


@pytest.mark.parametrize("key", ["1", "not-a-uuid", "00000000-0000-0000-0000-000000000000", "%00"])
def test_an_unknown_patient_is_404_in_json(api, rachel, key):
    answer = api(rachel).get(f"{PATIENTS}{key}/")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_it_staff_see_no_patients(api, ivan, anna):
    client = api(ivan)
    assert client.get(PATIENTS).status_code == 403
    assert client.get(address(anna)).status_code == 404
    assert client.patch(address(anna), {"sex": "M"}).status_code == 404
    assert client.post(PATIENTS, NEW).status_code == 403


def test_a_patient_sees_no_patients(api, petra, anna):
    client = api()
    client.force_login(petra)
    assert client.get(PATIENTS).status_code == 403
    assert client.get(address(anna)).status_code == 404


def test_a_stranger_is_asked_to_sign_in(api, anna):
    for answer in (api().get(PATIENTS), api().post(PATIENTS, NEW), api().get(address(anna))):
        assert answer.status_code == 401
        assert answer.json()["code"] == "not_authenticated"
