"""Nobody signs up."""

from __future__ import annotations

import pytest

from accounts.models import User

pytestmark = pytest.mark.django_db


def test_the_page_says_who_makes_accounts(client):
    page = client.get("/account/signup/").content.decode()

    assert "Accounts are made by an administrator" in page
    assert "<form" not in page


def test_a_posted_sign_up_makes_no_user(client):
    client.post(
        "/account/signup/",
        {"email": "new@test.local", "password1": "seven quiet herons", "password2": "seven quiet herons"},
    )

    assert not User.objects.exists()


@pytest.mark.parametrize("path", ["email/", "confirm-email/", "login/code/confirm/"])
def test_pages_that_make_no_sense_here_do_not_exist(client, rachel, path):
    client.force_login(rachel)

    assert client.get(f"/account/{path}").status_code == 404
