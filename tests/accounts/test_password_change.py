"""Changing one's own password."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.actions import create_token
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
URL = "/account/password/change/"
NEW = "seven quiet herons"


def change(client, *, old: str = PASSWORD, new: str = NEW, again: str | None = None):
    return client.post(URL, {"oldpassword": old, "password1": new, "password2": new if again is None else again})


def test_the_new_password_works_and_the_old_one_does_not(client, rachel):
    client.force_login(rachel)

    assert change(client).status_code == 302

    rachel.refresh_from_db()
    assert rachel.check_password(NEW)
    assert not rachel.check_password(PASSWORD)


def test_one_stays_signed_in_here_and_is_signed_out_elsewhere(client, rachel):
    elsewhere = Client()
    client.force_login(rachel)
    elsewhere.force_login(rachel)

    change(client)

    assert client.get("/patients/").status_code == 200
    assert elsewhere.get("/patients/").status_code == 302


def test_api_tokens_are_deleted(client, rachel):
    create_token(acting_user=rachel)
    client.force_login(rachel)

    change(client)

    assert not rachel.api_tokens.exists()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"old": "not it"}, "This is not your current password."),
        ({"new": "short"}, "too short"),
        ({"new": "password1234"}, "too common"),
        ({"again": "seven loud herons"}, "same password"),
    ],
    ids=["old", "short", "common", "different"],
)
def test_a_refusal_says_why_and_keeps_the_old_password(client, rachel, typed, sentence):
    client.force_login(rachel)

    answer = change(client, **typed)

    assert sentence in answer.content.decode()
    rachel.refresh_from_db()
    assert rachel.check_password(PASSWORD)


def test_every_role_may_change_its_own(client, rachel, adam, ivan, petra):
    for user in (rachel, adam, ivan, petra):
        client.force_login(user)
        assert client.get(URL).status_code == 200


def test_strangers_are_sent_to_sign_in(client):
    assert client.get(URL)["Location"].startswith("/account/login/")
