"""Dangerous acts ask once more who it is."""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import AuditEvent
from diagnosis import actions
from diagnosis.models import Study
from tests.conftest import PASSWORD
from tests.fixture_results import filed
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


def test_the_session_goes_on_under_a_new_key(client, rachel):
    """Who read the old key before has nothing of the answer; the list of sessions shows the same one."""
    signed_in = client
    signed_in.post("/account/login/", {"login": rachel.email, "password": PASSWORD})
    former, rows = signed_in.session.session_key, UserSession.objects.filter(user=rachel)
    shown = rows.get().pk

    signed_in.post(QUESTION, {"password": PASSWORD, "next": FORM})

    current = signed_in.session.session_key
    assert current != former
    assert [(row.pk, row.session_key) for row in rows] == [(shown, current)]
    assert not Session.objects.filter(session_key=former).exists()
    assert signed_in.get(FORM).status_code == 200
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = former
    assert thief.get(FORM)["Location"].startswith("/account/login/")


# Acts that ask


def downloads(study, rachel, adam):
    """Each download of people's data, who may have it, the page that it is on, and that page's filters."""
    export = actions.request_export(acting_user=adam, studies=Study.objects.filter(pk=study.pk), purpose="Quality.")
    return [
        (rachel, "get", "/history/export.csv?label=benign", "/history/", "?label=benign"),
        (adam, "get", "/users/export.csv?role=radiologist", "/users/", "?role=radiologist"),
        (adam, "post", "/ledger/export/", "/ledger/", "?action=report.released"),
        (adam, "get", f"/exports/{export.pk}/package.zip", f"/exports/{export.pk}/", ""),
    ]


def test_a_file_with_peoples_data_asks_first_and_leads_back_to_its_page(study, rachel, adam, settings):
    settings.EXPORT_NEEDS_CONSENT = False
    for person, method, address, page, query in downloads(study, rachel, adam):
        client = Client()
        client.force_login(person)

        answer = getattr(client, method)(address, headers={"Referer": f"http://testserver{page}{query}"})

        assert answer.status_code == 302, address
        question = urlsplit(answer["Location"])
        assert question.path == QUESTION
        assert parse_qs(question.query)["next"] == [page + query]
        assert "say first who you are, then ask for it once more" in client.get(answer["Location"]).content.decode()
        back = client.post(answer["Location"], {"password": PASSWORD, "next": page + query})
        assert back["Location"] == page + query
        # The package of the last one is not made yet: its page says so.
        assert getattr(client, method)(address, {"format": "csv"}).status_code in (200, 404)


def test_a_link_to_such_a_file_lets_the_question_open(client, adam, study, rachel):
    """With ``download`` a browser would save the page of the question under the name of the file."""
    filed(study=study, by=rachel)
    client.force_login(adam)

    for page, link in (("/history/", "/history/export.csv"), ("/users/", "/users/export.csv")):
        html = client.get(page).content.decode()
        tag = re.search(rf'<a [^>]*href="{link}[^>]*>', html)[0]
        assert " download" not in tag


def test_the_way_back_is_a_page_of_ours_whatever_the_browser_says(client, rachel):
    client.force_login(rachel)

    answer = client.get("/history/export.csv", headers={"Referer": "https://evil.example/history/?next=//evil"})
    assert "evil.example" not in answer["Location"]
    answer = client.get("/history/export.csv", headers={"Referer": "http://testserver/studies/?q=1"})
    assert answer["Location"].endswith("?next=%2Fhistory%2F")


@pytest.mark.parametrize("act", ["merge", "split"])
def test_joining_and_parting_records_asks_first(client, adam, anna, act):
    client.force_login(adam)
    address = f"/patients/{anna.pk}/{act}/"

    for answer in (client.get(address), client.post(address, {"mrn": "MRN-002"})):
        assert answer.status_code == 302
        assert answer["Location"].startswith(QUESTION)
    assert not AuditEvent.objects.filter(action__in=("patient.merged", "patient.split")).exists()
    confirm(client)
    assert client.get(address).status_code == 200
