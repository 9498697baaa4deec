"""A new patient."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, Patient

pytestmark = pytest.mark.django_db
URL = "/patients/new/"
NINA = {
    "mrn": "MRN-900",
    "given_name": "Нина",
    "family_name": "Соколова-Żółć",
    "birth_date": "1955-07-30",
    "sex": "F",
    "phone": "+48 22 000 00 00",
    "email": "",
    "history": "Line one.\nLine two.",
}


def test_a_patient_is_put_on_record_with_the_names_as_typed(client, rachel):
    client.force_login(rachel)

    answer = client.post(URL, NINA)

    patient = Patient.objects.get(mrn="MRN-900")
    assert answer["Location"] == f"/patients/{patient.pk}/"
    assert patient.full_name == "Нина Соколова-Żółć"
    assert patient.birth_date == date(1955, 7, 30)
    assert not patient.synthetic
    assert AuditEvent.objects.filter(action="patient.created", actor=rachel, patient=patient).count() == 1


def _tomorrow() -> str:
    return (timezone.localdate() + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"mrn": "MRN-001"}, "mrn", "There is already a patient with this MRN."),
        ({"mrn": "  MRN-001 "}, "mrn", "There is already a patient with this MRN."),
        ({"mrn": "   "}, "mrn", "This field is required."),
        ({"family_name": ""}, "family_name", "This field is required."),
        ({"birth_date": "tomorrow"}, "birth_date", "Enter a valid date."),
        ({"birth_date": "1055-01-01"}, "birth_date", "Check the year."),
        ({"sex": "X"}, "sex", "not one of the available choices"),
        ({"email": "no address"}, "email", "Enter a valid email address."),
        ({"history": "x" * 10_001}, "history", "at most 10000 characters"),
        ({"given_name": "Nul\0"}, "given_name", "Null characters are not allowed."),
    ],
)
def test_a_refusal_names_the_field_and_keeps_what_was_typed(client, rachel, anna, change, field, sentence):
    client.force_login(rachel)

    answer = client.post(URL, {**NINA, **change})

    page = answer.content.decode()
    assert answer.status_code == 422
    assert sentence in " ".join(answer.context["form"].errors[field])
    assert "Nothing was saved." in page
    assert 'value="+48 22 000 00 00"' in page
    assert Patient.objects.count() == 1


def test_nobody_is_born_tomorrow(client, rachel):
    client.force_login(rachel)

    answer = client.post(URL, {**NINA, "birth_date": _tomorrow()})

    assert answer.context["form"].errors["birth_date"] == ["The date of birth lies in the future."]


@pytest.mark.parametrize(("who", "status"), [("rachel", 302), ("adam", 302), ("ivan", 403), ("petra", 403)])
def test_who_may(client, request, who, status):
    client.force_login(request.getfixturevalue(who))

    assert client.post(URL, NINA).status_code == status
    assert Patient.objects.exists() == (status == 302)


def test_a_form_without_its_token_is_refused_and_nothing_is_saved(rachel):
    client = Client(enforce_csrf_checks=True)
    client.force_login(rachel)

    answer = client.post(URL, NINA)

    assert answer.status_code == 403
    assert "This form is out of date" in answer.content.decode()
    assert not Patient.objects.exists()
