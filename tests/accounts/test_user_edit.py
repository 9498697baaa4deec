"""Changing a user: name, role, access."""

from __future__ import annotations

from datetime import date

import pytest
from allauth.account.models import EmailAddress

from accounts.actions import create_patient, create_token, link_patient_login, update_user
from accounts.models import AuditEvent, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def save(client, user, **changes: str):
    typed = {
        "given_name": user.given_name,
        "family_name": user.family_name,
        "email": user.email,
        "role": user.role,
        "is_active": "on",
        **changes,
    }
    return client.post(f"/users/{user.pk}/", {name: value for name, value in typed.items() if value != "off"})


def test_a_new_role_counts_at_once(client, adam, rachel):
    client.force_login(adam)

    assert save(client, rachel, role="it_staff").status_code == 302

    rachel.refresh_from_db()
    assert rachel.role == "it_staff"
    assert AuditEvent.objects.get(action="user.changed").details == {"fields": ["role"]}


def test_switching_off_deletes_the_api_tokens(client, adam, rachel):
    create_token(acting_user=rachel)
    client.force_login(adam)

    save(client, rachel, is_active="off")

    rachel.refresh_from_db()
    assert not rachel.is_active
    assert not rachel.api_tokens.exists()


def test_after_a_change_of_address_the_old_one_does_not_sign_in(client, adam, rachel):
    EmailAddress.objects.create(user=rachel, email="rachel@test.local", primary=True, verified=True)
    client.force_login(adam)
    save(client, rachel, email="r.radiologist@test.local")
    client.logout()

    client.post("/account/login/", {"login": "rachel@test.local", "password": PASSWORD})
    assert "_auth_user_id" not in client.session

    client.post("/account/login/", {"login": "r.radiologist@test.local", "password": PASSWORD})
    assert client.session["_auth_user_id"] == str(rachel.pk)


def test_nobody_changes_their_own_access(client, adam):
    client.force_login(adam)

    page = client.get(f"/users/{adam.pk}/").content.decode()
    save(client, adam, role="radiologist", is_active="off", given_name="Addo")

    adam.refresh_from_db()
    assert "Nobody changes their own access" in page
    assert (adam.role, adam.is_active, adam.given_name) == ("administrator", True, "Addo")


def test_a_taken_address_is_refused_and_nothing_is_saved(client, adam, rachel):
    client.force_login(adam)

    answer = save(client, rachel, email="adam@test.local", given_name="Changed")

    assert answer.status_code == 422
    assert "There is already a user with this e-mail address." in answer.content.decode()
    rachel.refresh_from_db()
    assert rachel.given_name == "Rachel"


def test_saving_without_a_change_writes_no_ledger_row(client, adam, rachel):
    client.force_login(adam)

    save(client, rachel)

    assert not AuditEvent.objects.filter(action="user.changed").exists()


def test_it_staff_deactivate_anybody_but_change_only_their_own_kind(client, ivan, adam, rachel):
    client.force_login(ivan)

    save(client, rachel, email="ivan-too@test.local", given_name="Other", role="administrator")
    rachel.refresh_from_db()
    assert (rachel.email, rachel.given_name, rachel.role) == ("rachel@test.local", "Rachel", "radiologist")
    with pytest.raises(PermissionError):
        update_user(acting_user=ivan, user=adam, email="ivan-too@test.local")
    with pytest.raises(PermissionError):
        update_user(acting_user=ivan, user=rachel, role="it_staff")

    assert update_user(acting_user=ivan, user=User.objects.get(pk=rachel.pk), is_active=False).is_active is False


@pytest.mark.parametrize(("who", "status"), [("adam", 302), ("ivan", 302), ("petra", 404)])
def test_who_may(client, request, rachel, who, status):
    client.force_login(request.getfixturevalue(who))

    assert save(client, rachel, given_name="Other").status_code == status


def test_a_radiologist_does_not_learn_whether_a_user_exists(client, rachel, adam):
    client.force_login(rachel)

    assert client.get(f"/users/{adam.pk}/").status_code == 404
    assert client.get("/users/999999/").status_code == 404


def test_a_patients_log_in_moves_to_the_right_record(client, adam, petra, anna):
    wrong = create_patient(
        acting_user=None, mrn="MRN-2", given_name="Other", family_name="Anna", birth_date=date(1970, 5, 17)
    )
    link_patient_login(acting_user=None, patient=wrong, user=petra)
    client.force_login(adam)

    assert save(client, petra, patient_mrn="MRN-001").status_code == 302

    wrong.refresh_from_db()
    anna.refresh_from_db()
    assert (wrong.user, anna.user) == (None, petra)
    assert AuditEvent.objects.filter(action="patient.login_unlinked", patient=wrong).exists()


def test_saving_something_else_keeps_the_connection(client, adam, petra, anna):
    link_patient_login(acting_user=None, patient=anna, user=petra)
    client.force_login(adam)

    save(client, petra, given_name="Petronela", patient_mrn="MRN-001")

    anna.refresh_from_db()
    assert anna.user == petra


def test_an_emptied_mrn_takes_the_connection_away(client, adam, petra, anna):
    link_patient_login(acting_user=None, patient=anna, user=petra)
    client.force_login(adam)

    save(client, petra, patient_mrn="")

    anna.refresh_from_db()
    assert anna.user is None
