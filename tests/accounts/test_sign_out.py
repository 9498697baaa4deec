"""Signing out."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
URL = "/account/logout/"


def test_sign_out_ends_the_session_and_says_so(client, rachel):
    client.force_login(rachel)

    answer = client.post(URL, follow=True)

    assert answer.redirect_chain[-1][0] == "/account/login/"
    assert "You are signed out." in answer.content.decode()
    assert client.get("/patients/")["Location"].startswith("/account/login/")


def test_the_cookie_of_an_ended_session_opens_nothing(client, rachel):
    client.force_login(rachel)
    kept = client.cookies["sessionid"].value
    client.post(URL)

    somebody = Client()
    somebody.cookies["sessionid"] = kept

    assert somebody.get("/patients/")["Location"].startswith("/account/login/")
    assert somebody.get("/api/v1/patients/").status_code == 401


def test_following_a_link_does_not_sign_out(client, rachel):
    client.force_login(rachel)

    assert client.get(URL).status_code == 200
    assert client.get("/patients/").status_code == 200


def test_pages_are_not_kept_by_the_browser(client, rachel):
    client.force_login(rachel)

    assert "no-store" in client.get("/patients/")["Cache-Control"]
