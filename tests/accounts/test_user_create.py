"""A new user."""

from __future__ import annotations

import pytest

from accounts.actions import link_patient_login
from accounts.models import AuditEvent, User
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
URL = "/users/new/"


@pytest.fixture
def sign_in(client):
    """``sign_in(user)``: signed in a moment ago, so that nobody is asked who they are."""

    def signed_in(user):
        client.force_login(user)
        confirm(client)

    return signed_in


LOCUM = {"given_name": "Lena", "family_name": "Locum", "email": "Lena@Test.local", "role": "radiologist"}


def test_the_one_time_password_is_shown_once_and_opens_the_portal(client, sign_in, adam):
    sign_in(adam)

    answer = client.post(URL, LOCUM)

    password = answer.context["password"]
    assert answer.status_code == 201
    assert password in answer.content.decode()
    assert "Hand it over" in answer.content.decode()
    client.logout()
    assert client.post("/account/login/", {"login": "lena@test.local", "password": password}).status_code == 302


def test_it_is_in_the_ledger_without_the_password(client, sign_in, adam):
    sign_in(adam)
    password = client.post(URL, LOCUM).context["password"]

    event = AuditEvent.objects.get(action="user.created", actor=adam)

    assert event.object_id == str(User.objects.get(email="lena@test.local").pk)
    assert password not in str(event.details)


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"email": "ADAM@test.local"}, "email", "There is already a user with this e-mail address."),
        ({"email": "no address"}, "email", "Enter a valid email address."),
        ({"role": ""}, "role", "This field is required."),
        ({"role": "emperor"}, "role", "not one of the available choices"),
    ],
)
def test_a_refusal_names_the_field_and_keeps_what_was_typed(client, sign_in, adam, change, field, sentence):
    sign_in(adam)
    before = User.objects.count()

    answer = client.post(URL, {**LOCUM, **change})

    assert answer.status_code == 422
    assert sentence in " ".join(answer.context["form"].errors[field])
    assert 'value="Lena"' in answer.content.decode()
    assert User.objects.count() == before


@pytest.mark.parametrize(("who", "status"), [("adam", 201), ("ivan", 422), ("rachel", 403), ("petra", 403)])
def test_who_may(client, sign_in, request, who, status):
    sign_in(request.getfixturevalue(who))

    assert client.post(URL, LOCUM).status_code == status
    assert User.objects.filter(email="lena@test.local").exists() == (status == 201)


@pytest.mark.parametrize("role", ["radiologist", "administrator", "patient"])
def test_it_staff_make_no_log_ins_that_open_records(client, sign_in, ivan, role):
    sign_in(ivan)

    answer = client.post(URL, {**LOCUM, "role": role})

    assert answer.status_code == 422
    assert "role" in answer.context["form"].errors


def test_it_staff_make_log_ins_of_their_own_kind(client, sign_in, ivan):
    sign_in(ivan)

    assert client.post(URL, {**LOCUM, "role": "it_staff"}).status_code == 201
    assert User.objects.get(email="lena@test.local").role == "it_staff"


LOGIN_OF_ANNA = {"given_name": "Anna", "family_name": "Żółć", "email": "anna@test.local", "role": "patient"}


def test_a_patients_log_in_is_connected_with_the_record(client, sign_in, adam, anna):
    sign_in(adam)

    assert client.post(URL, {**LOGIN_OF_ANNA, "patient_mrn": "MRN-001"}).status_code == 201

    anna.refresh_from_db()
    assert anna.user == User.objects.get(email="anna@test.local")
    assert AuditEvent.objects.filter(action="patient.login_linked", actor=adam, patient=anna).exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"patient_mrn": "MRN-999"}, "There is no patient with this MRN."),
        ({"patient_mrn": "MRN-001", "role": "radiologist"}, "Only a log-in with the role Patient belongs to a record."),
    ],
)
def test_a_record_that_does_not_fit_is_refused_and_no_user_is_made(client, sign_in, adam, anna, change, sentence):
    sign_in(adam)

    answer = client.post(URL, {**LOGIN_OF_ANNA, **change})

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not User.objects.filter(email="anna@test.local").exists()


def test_a_record_has_one_log_in(client, sign_in, adam, anna, petra):
    link_patient_login(acting_user=None, patient=anna, user=petra)
    sign_in(adam)

    assert (
        "This record has a log-in already."
        in client.post(URL, {**LOGIN_OF_ANNA, "patient_mrn": "MRN-001"}).content.decode()
    )


def test_it_staff_are_not_asked_for_an_mrn(client, sign_in, ivan, anna):
    sign_in(ivan)

    assert "patient_mrn" not in client.get(URL).content.decode()
