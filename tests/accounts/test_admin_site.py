"""Django's admin site, as far as it concerns people."""

from __future__ import annotations

import pytest

from accounts.models import AuditEvent, User

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 200), ("rachel", 302), ("petra", 302)])
def test_who_may_open_it(client, request, who, status):
    client.force_login(request.getfixturevalue(who))

    assert client.get("/admin/").status_code == status


def test_others_who_are_signed_in_are_refused_there(client, rachel):
    client.force_login(rachel)

    assert client.get("/admin/", follow=True).status_code == 403


def test_it_has_no_sign_in_page_of_its_own(client):
    answer = client.get("/admin/login/?next=/admin/")

    assert answer["Location"].startswith("/account/login/")


def test_it_has_no_password_page_of_its_own(client, adam):
    client.force_login(adam)

    assert client.get("/admin/password_change/")["Location"] == "/account/password/change/"


def test_patients_are_not_there(client, adam, ivan, anna):
    for user in (adam, ivan):
        client.force_login(user)
        assert "patient" not in client.get("/admin/").content.decode().lower().replace("synthetic patients", "")
        assert client.get("/admin/accounts/patient/").status_code == 404


def test_a_change_goes_the_way_of_every_change(client, adam, rachel):
    client.force_login(adam)

    client.post(
        f"/admin/accounts/user/{rachel.pk}/change/",
        {"email": rachel.email, "given_name": "Rahel", "family_name": "Radiologist", "role": "radiologist"},
    )

    rachel.refresh_from_db()
    assert (rachel.given_name, rachel.is_active) == ("Rahel", False)
    assert set(AuditEvent.objects.get(action="user.changed").details["fields"]) == {"given_name", "is_active"}


def test_nobody_changes_their_own_access(client, adam):
    client.force_login(adam)

    client.post(
        f"/admin/accounts/user/{adam.pk}/change/",
        {"email": adam.email, "given_name": "Addo", "family_name": "Administrator", "role": "radiologist"},
    )

    adam.refresh_from_db()
    assert (adam.given_name, adam.role, adam.is_active) == ("Addo", "administrator", True)


def test_users_are_neither_added_nor_deleted_there(client, adam, rachel):
    client.force_login(adam)

    assert client.get("/admin/accounts/user/add/").status_code == 403
    assert client.post(f"/admin/accounts/user/{rachel.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=rachel.pk).exists()


def test_it_staff_do_not_see_patients_log_ins(client, ivan, petra, rachel):
    client.force_login(ivan)

    page = client.get("/admin/accounts/user/").content.decode()

    assert "rachel@test.local" in page
    assert "petra@test.local" not in page
