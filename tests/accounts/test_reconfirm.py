"""Dangerous acts ask once more who it is."""

from __future__ import annotations

import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import AuditEvent
from tests.conftest import PASSWORD
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
MINUTE = 60.0
QUESTION = "/account/reauthenticate/"
FORM = "/account/tokens/new/"


@pytest.fixture
def clock(monkeypatch):
    """``clock(seconds)`` lets that much time pass."""
    passed = [0.0]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + passed[0])

    def let_pass(seconds: float) -> None:
        passed[0] += seconds

    return let_pass


@pytest.fixture
def signed_in(client, rachel):
    client.force_login(rachel)
    return client


def test_a_form_survives_the_question_who_you_are(signed_in, rachel):
    """What was typed while the five minutes ran out is sent after the answer, not lost."""
    typed = {"label": "Import of the PACS", "days": "7"}
    question = signed_in.post(FORM, typed)["Location"]

    answer = signed_in.post(question, {"password": PASSWORD, "next": FORM})

    assert answer.status_code == 201
    assert rachel.api_tokens.get().label == "Import of the PACS"


def test_the_question_comes_before_the_form_and_not_again_within_five_minutes(signed_in, clock):
    assert signed_in.get(FORM).status_code == 302
    confirm(signed_in)
    assert signed_in.get(FORM).status_code == 200
    clock(4 * MINUTE)
    assert signed_in.get(FORM).status_code == 200
    clock(2 * MINUTE)
    assert signed_in.get(FORM).status_code == 302


def test_a_wrong_password_does_not_answer_the_question(signed_in):
    signed_in.post(QUESTION, {"password": "wrong", "next": FORM})

    assert signed_in.get(FORM).status_code == 302


def test_part_of_a_page_leads_the_whole_page_to_the_question(signed_in):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/account/sessions/?a=1"}

    answer = signed_in.get(FORM, headers=headers)

    assert answer.status_code == 204
    assert answer["HX-Redirect"] == "/account/reauthenticate/?next=%2Faccount%2Fsessions%2F%3Fa%3D1"


def test_the_question_does_not_lead_to_another_site(signed_in):
    for elsewhere in ("//evil.example/", "https://evil.example/", "/\\evil.example/", "javascript:alert(1)"):
        answer = signed_in.post(QUESTION, {"password": PASSWORD, "next": elsewhere})
        assert answer["Location"] == "/"


def test_files_are_not_kept_and_the_page_says_so(signed_in):
    """What was chosen while the five minutes ran out has to be chosen again."""
    typed = {"file": SimpleUploadedFile("image.png", b"a,b"), "label": "x"}

    answer = signed_in.post(FORM, typed, follow=True)

    assert "Your files were not taken" in answer.content.decode()


def test_a_fresh_sign_in_counts_as_an_answer(client, rachel):
    client.post("/account/login/", {"login": rachel.email, "password": PASSWORD})

    assert client.get(FORM).status_code == 200


def test_the_answer_is_in_the_ledger(signed_in, rachel):
    signed_in.post(QUESTION, {"password": PASSWORD, "next": FORM})

    event = AuditEvent.objects.get(action="user.reconfirmed")
    assert (event.actor, event.details["by"]) == (rachel, "password")
