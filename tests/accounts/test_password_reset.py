"""A new password by a link in a mail."""

from __future__ import annotations

import re

import pytest
from django.core import mail

from accounts.actions import create_token
from accounts.models import User
from tests.conftest import PASSWORD
from tests.fixture_mail import deliver

pytestmark = pytest.mark.django_db
ASK = "/account/password/reset/"
NEW = "seven quiet herons"


def link_mailed_to(client, email: str) -> str:
    client.post(ASK, {"email": email})
    deliver()
    found = re.search(r"https?://\S+(/account/password/reset/key/\S+)", mail.outbox[-1].body)
    assert found is not None
    return found[1]


def choose(client, link: str, password: str = NEW):
    form = client.get(link)["Location"]
    return client.post(form, {"password1": password, "password2": password}, follow=True)


def test_the_link_sets_a_new_password(client, rachel):
    create_token(acting_user=rachel)

    answer = choose(client, link_mailed_to(client, "RACHEL@test.local"))

    rachel.refresh_from_db()
    assert rachel.check_password(NEW)
    assert "Your password is changed" in answer.content.decode()
    assert not rachel.api_tokens.exists()


def test_the_mail_is_in_plain_words_and_names_the_site(client, rachel, settings):
    link_mailed_to(client, rachel.email)

    message = mail.outbox[-1]
    assert message.to == [rachel.email]
    assert message.subject == "Senolens: New password"
    assert settings.SITE_NAME in message.body
    assert "If it was not you, do nothing" in message.body


def test_the_link_works_once(client, rachel):
    link = link_mailed_to(client, rachel.email)
    choose(client, link)

    answer = client.get(link, follow=True)

    assert "This link no longer works" in answer.content.decode()


def test_a_link_that_was_altered_says_so(client, rachel):
    link = link_mailed_to(client, rachel.email)

    answer = client.get(link[:-5] + "zzzz/", follow=True)

    assert "This link no longer works" in answer.content.decode()
    rachel.refresh_from_db()
    assert rachel.check_password(PASSWORD)


def test_an_unknown_address_gets_no_mail_and_the_same_answer(client, rachel):
    known = client.post(ASK, {"email": rachel.email})
    unknown = client.post(ASK, {"email": "nobody@test.local"})
    deliver()

    assert known["Location"] == unknown["Location"]
    assert [message.to for message in mail.outbox] == [[rachel.email]]


def test_somebody_switched_off_gets_no_mail(client, rachel):
    User.objects.filter(pk=rachel.pk).update(is_active=False)

    client.post(ASK, {"email": rachel.email})

    assert deliver() == []
    assert mail.outbox == []


def test_too_many_requests_are_refused_with_429(client, rachel):
    answers = [client.post(ASK, {"email": rachel.email}).status_code for _ in range(6)]

    assert answers == [302] * 5 + [429]
    assert len(deliver()) == 5
