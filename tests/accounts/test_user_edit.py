"""Changing a user: name, address, role, teams, record."""

from __future__ import annotations

import re
from datetime import date

import pytest
from allauth.account.models import EmailAddress

from accounts.actions import create_patient, create_team, create_token, link_patient_login, update_team, update_user
from accounts.models import AuditEvent, Notification, OutgoingMail, User
from tests.conftest import PASSWORD
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db


@pytest.fixture
def sign_in(client):
    """``sign_in(user)``: signed in a moment ago, so that nobody is asked who they are."""

    def signed_in(user):
        client.force_login(user)
        confirm(client)

    return signed_in


def save(client, user, **changes):
    typed = {
        "given_name": user.given_name,
        "family_name": user.family_name,
        "email": user.email,
        "role": user.role,
        **changes,
    }
    return client.post(f"/users/{user.pk}/", typed)


def test_the_page_says_what_the_person_may_and_how_they_signed_in(client, adam, rachel):
    client.post("/account/login/", {"login": rachel.email, "password": "wrong"})
    create_token(acting_user=rachel)
    client.force_login(adam)

    page = re.sub(r"\s+", " ", client.get(f"/users/{rachel.pk}/").content.decode())

    for text in ("rachel@test.local", "Wrong password", "127.0.0.1", "It ends 1 API token."):
        assert text in page
    assert "<title>User - " in page


def test_a_new_role_counts_at_once_and_the_person_is_told(client, sign_in, adam, rachel):
    sign_in(adam)

    assert save(client, rachel, role="it_staff")["Location"] == f"/users/{rachel.pk}/"

    rachel.refresh_from_db()
    assert rachel.role == "it_staff"
    details = AuditEvent.objects.get(action="user.changed").details
    assert (details["fields"], details["role"]) == (["role"], ["radiologist", "it_staff"])
    assert Notification.objects.get(user=rachel).text == "Your role is now IT staff."
    assert OutgoingMail.objects.get().recipient == rachel.email


@pytest.mark.parametrize("changes", [{"role": "it_staff"}, {"email": "r.radiologist@test.local"}])
def test_a_new_role_or_address_ends_what_is_signed_in(client, sign_in, adam, rachel, changes):
    token = create_token(acting_user=rachel)[1]
    client.post("/account/login/", {"login": rachel.email, "password": PASSWORD})
    hers = client.cookies.copy()
    client.logout()
    sign_in(adam)
    save(client, rachel, **changes)

    client.cookies = hers
    assert client.get("/patients/").status_code == 302
    client.cookies.clear()
    assert client.get("/api/v1/models/", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_after_a_change_of_address_the_old_one_is_told_and_does_not_sign_in(client, sign_in, adam, rachel):
    EmailAddress.objects.create(user=rachel, email="rachel@test.local", primary=True, verified=True)
    sign_in(adam)
    save(client, rachel, email="r.radiologist@test.local")
    client.logout()

    told = set(OutgoingMail.objects.filter(kind="account_event").values_list("recipient", flat=True))
    assert told == {"rachel@test.local", "r.radiologist@test.local"}
    client.post("/account/login/", {"login": "rachel@test.local", "password": PASSWORD})
    assert "_auth_user_id" not in client.session
    client.post("/account/login/", {"login": "r.radiologist@test.local", "password": PASSWORD})
    assert client.session["_auth_user_id"] == str(rachel.pk)


def test_a_new_name_ends_nothing_and_tells_nobody(client, sign_in, adam, rachel):
    epoch = rachel.sign_in_epoch
    sign_in(adam)

    save(client, rachel, given_name="Rahel")

    rachel.refresh_from_db()
    assert (rachel.given_name, rachel.sign_in_epoch) == ("Rahel", epoch)
    assert not OutgoingMail.objects.exists()


def test_nobody_changes_their_own_role(client, sign_in, adam):
    sign_in(adam)

    page = client.get(f"/users/{adam.pk}/").content.decode()
    save(client, adam, role="it_staff", given_name="Addo")

    adam.refresh_from_db()
    assert "Nobody changes their own role" in page
    assert "Switch off" not in page
    assert (adam.role, adam.given_name) == ("administrator", "Addo")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"email": "adam@test.local"}, "There is already a user with this e-mail address."),
        ({"email": "adam@\uff54est.local"}, "There is already a user with this e-mail address."),
        ({"given_name": "Eve\r\nBcc: all@test.local"}, "line break or an invisible character"),
        ({"family_name": "Rachel\u202eRadiologist"}, "line break or an invisible character"),
        ({"role": "emperor"}, "not one of the available choices"),
    ],
)
def test_what_is_refused_names_the_reason_and_changes_nothing(client, sign_in, adam, rachel, changes, sentence):
    sign_in(adam)

    answer = save(client, rachel, **changes)

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert User.objects.get(pk=rachel.pk).__dict__.items() >= {"given_name": "Rachel", "role": "radiologist"}.items()


def test_an_address_that_looks_like_a_colleagues_is_refused(client, sign_in, adam, rachel):
    User.objects.filter(pk=rachel.pk).update(email="rachel@clinic.example")
    sign_in(adam)

    answer = save(client, adam, email="rachel@сlinic.example")

    assert answer.status_code == 422
    assert "looks like that of another user (rachel@clinic.example)" in answer.content.decode()


def test_saving_without_a_change_writes_no_ledger_row(client, sign_in, adam, rachel):
    sign_in(adam)

    save(client, rachel)

    assert not AuditEvent.objects.filter(action="user.changed").exists()


@pytest.mark.parametrize(
    "forged",
    [
        {"is_staff": "on"},
        {"is_superuser": "on"},
        {"is_active": ""},
        {"password": "x"},
        {"sign_in_epoch": "9"},
        {"invited_at": "2026-01-01"},
        {"id": "1", "pk": "1"},
    ],
)
def test_fields_that_the_form_does_not_have_change_nothing(client, sign_in, adam, rachel, forged):
    before = User.objects.filter(pk=rachel.pk).values().get()
    sign_in(adam)

    save(client, rachel, **forged)

    assert User.objects.filter(pk=rachel.pk).values().get() == before


def test_it_staff_change_only_their_own_kind(client, sign_in, ivan, adam, rachel):
    sign_in(ivan)

    save(client, rachel, email="ivan-too@test.local", given_name="Other", role="administrator")

    rachel.refresh_from_db()
    assert (rachel.email, rachel.given_name, rachel.role) == ("rachel@test.local", "Rachel", "radiologist")
    with pytest.raises(PermissionError):
        update_user(acting_user=ivan, user=adam, email="ivan-too@test.local")
    with pytest.raises(PermissionError):
        update_user(acting_user=ivan, user=rachel, role="it_staff")


@pytest.mark.parametrize(("who", "status"), [("adam", 302), ("ivan", 302), ("petra", 404)])
def test_who_may(client, sign_in, request, rachel, who, status):
    sign_in(request.getfixturevalue(who))

    assert save(client, rachel, given_name="Other").status_code == status


def test_a_radiologist_does_not_learn_whether_a_user_exists(client, rachel, adam):
    client.force_login(rachel)

    assert client.get(f"/users/{adam.pk}/").status_code == 404
    assert client.get("/users/999999/").status_code == 404


def test_an_old_sign_in_is_asked_who_it_is_and_then_the_form_goes_through(client, adam, rachel):
    client.force_login(adam)

    answer = save(client, rachel, role="it_staff")
    assert "/account/reauthenticate/" in answer["Location"]
    assert User.objects.get(pk=rachel.pk).role == "radiologist"

    client.post(answer["Location"], {"password": PASSWORD}, follow=True)
    assert User.objects.get(pk=rachel.pk).role == "it_staff"


# Teams


def test_teams_are_chosen_from_those_there_are(client, sign_in, adam, rachel):
    clinic, screening = (create_team(acting_user=adam, name=name) for name in ("Breast clinic", "Screening"))
    closed = update_team(acting_user=adam, team=create_team(acting_user=adam, name="Old ward"), is_active=False)
    sign_in(adam)

    page = client.get(f"/users/{rachel.pk}/").content.decode()
    save(client, rachel, teams=[clinic.pk, screening.pk])

    assert "Breast clinic" in page
    assert "Old ward" not in page
    assert list(rachel.teams.all()) == [clinic, screening]
    assert save(client, rachel, teams=[closed.pk]).status_code == 422
    save(client, rachel, teams=[])
    assert not rachel.teams.exists()


def test_it_staff_do_not_choose_teams(client, sign_in, ivan, adam, rachel):
    clinic = create_team(acting_user=adam, name="Breast clinic")
    other = User.objects.create(email="i2@test.local", role="it_staff")
    sign_in(ivan)

    for user in (rachel, other):
        save(client, user, teams=[clinic.pk])
        assert not user.teams.exists()


# A patient's log-in and its record


def test_a_patients_log_in_moves_to_the_right_record(client, sign_in, adam, petra, anna):
    wrong = create_patient(
        acting_user=None, mrn="MRN-2", given_name="Other", family_name="Anna", birth_date=date(1970, 5, 17)
    )
    link_patient_login(acting_user=None, patient=wrong, user=petra)
    sign_in(adam)

    assert save(client, petra, patient_mrn="MRN-001").status_code == 302

    wrong.refresh_from_db()
    anna.refresh_from_db()
    assert (wrong.user, anna.user) == (None, petra)
    assert AuditEvent.objects.filter(action="patient.login_unlinked", patient=wrong).exists()


def test_saving_something_else_keeps_the_connection(client, sign_in, adam, petra, anna):
    link_patient_login(acting_user=None, patient=anna, user=petra)
    sign_in(adam)

    save(client, petra, given_name="Petronela", patient_mrn="MRN-001")

    anna.refresh_from_db()
    assert anna.user == petra


def test_an_emptied_mrn_takes_the_connection_away(client, sign_in, adam, petra, anna):
    link_patient_login(acting_user=None, patient=anna, user=petra)
    sign_in(adam)

    save(client, petra, patient_mrn="")

    anna.refresh_from_db()
    assert anna.user is None
