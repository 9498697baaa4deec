"""What the ledger keeps of sessions and passwords."""

from __future__ import annotations

import re

import pytest
from django.core import mail

from accounts.models import AuditEvent
from tests.conftest import PASSWORD
from tests.fixture_mail import deliver
from tests.fixture_sign_in import add_app, code

pytestmark = pytest.mark.django_db
LOGIN = "/account/login/"


def rows(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action))


def test_signing_in_and_out_are_one_row_each_with_the_address(client, rachel):
    client.post(LOGIN, {"login": rachel.email, "password": PASSWORD}, REMOTE_ADDR="192.0.2.7")
    client.post("/account/logout/", REMOTE_ADDR="192.0.2.7")

    for action in ("user.signed_in", "user.signed_out"):
        (event,) = rows(action)
        assert (event.actor, event.address) == (rachel, "192.0.2.7")


def test_with_what_one_signed_in_is_kept(client, rachel):
    secret = add_app(rachel)
    client.post(LOGIN, {"login": rachel.email, "password": PASSWORD})
    assert not rows("user.signed_in")

    client.post("/account/2fa/code/", {"code": code(secret)})

    (event,) = rows("user.signed_in")
    assert event.details["by"] == ["password", "totp"]


def test_a_failed_sign_in_names_the_account_that_was_tried(client, rachel):
    client.post(LOGIN, {"login": "Rachel@test.local", "password": "wrong"})

    (event,) = rows("user.sign_in_failed")
    assert event.actor is None
    assert event.object_id == str(rachel.pk)


def test_what_was_typed_is_not_kept_where_there_is_no_such_account(client, rachel):
    client.post(LOGIN, {"login": "my-secret@typed.wrong", "password": "my secret"})

    (event,) = rows("user.sign_in_failed")
    assert event.object_id == ""
    assert "secret" not in f"{event.details} {event}"


def test_a_changed_password_is_in_the_ledger(client, rachel):
    client.force_login(rachel)
    new = "seven quiet herons"
    client.post("/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})

    (event,) = rows("user.password_changed")
    assert (event.actor, event.details["by"]) == (rachel, "change")
    assert new not in str(event.details)


def test_a_reset_password_is_in_the_ledger(client, rachel):
    client.post("/account/password/reset/", {"email": rachel.email})
    deliver()
    link = re.search(r"https?://[^/]+(/\S+)", mail.outbox[0].body)
    assert link is not None
    form = client.get(link[1])["Location"]
    client.post(form, {"password1": "seven quiet herons", "password2": "seven quiet herons"})

    (event,) = rows("user.password_changed")
    assert (event.actor, event.details["by"]) == (rachel, "mail")
