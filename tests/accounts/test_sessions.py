"""``/account/sessions/``: what is signed in in one's name, and how it ends."""

from __future__ import annotations

import re
import time

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.test import Client

from accounts.actions import create_token, delete_token, end_own_session, end_sessions, update_user
from accounts.models import ApiToken, AuditEvent, Notification
from tests.conftest import PASSWORD
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
PAGE = "/account/sessions/"
LOGIN = "/account/login/"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1"


def browser(user, agent: str = FIREFOX, address: str = "192.0.2.7") -> Client:
    client = Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    client.post(LOGIN, {"login": user.email, "password": PASSWORD})
    return client


def is_in(client) -> bool:
    return client.get("/account/session/").status_code == 200


@pytest.fixture
def here(rachel):
    return browser(rachel)


@pytest.fixture
def elsewhere(rachel):
    return browser(rachel, SAFARI, "198.51.100.4")


def test_the_page_names_device_address_and_which_is_this_one(here, elsewhere):
    page = here.get(PAGE).content.decode()

    assert page.index("Firefox on Windows") < page.index("This one") < page.index("Safari on iPhone")
    assert "192.0.2.7" in page
    assert "198.51.100.4" in page


def test_one_sees_only_ones_own(here, adam):
    browser(adam, address="203.0.113.5")
    create_token(acting_user=adam, label="Of Adam")

    page = here.get(PAGE).content.decode()

    assert "203.0.113.5" not in page
    assert "Of Adam" not in page


def test_another_browser_is_signed_out(here, elsewhere, rachel):
    theirs = UserSession.objects.get(ip="198.51.100.4")

    here.post(f"/account/sessions/{theirs.pk}/end/")

    assert not is_in(elsewhere)
    assert is_in(here)
    assert not Session.objects.filter(session_key=theirs.session_key).exists()
    assert AuditEvent.objects.filter(action="user.sessions_ended", actor=rachel).count() == 1


def test_everywhere_else_is_signed_out_at_once(here, elsewhere, rachel):
    third = Client()
    third.force_login(rachel)
    token = create_token(acting_user=rachel)[1]

    answer = here.post("/account/sessions/others/end/", follow=True)

    assert (is_in(elsewhere), is_in(third), is_in(here)) == (False, False, True)
    assert "You are signed in only here" in answer.content.decode()
    assert answer.content.decode().count("This one") == 1
    assert Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/studies/").status_code == 200


def test_nobody_ends_another_persons_session(here, adam):
    theirs = browser(adam, address="203.0.113.5")
    session = UserSession.objects.get(ip="203.0.113.5")

    assert here.post(f"/account/sessions/{session.pk}/end/").status_code == 404
    with pytest.raises(PermissionDenied):
        end_own_session(acting_user=UserSession.objects.get(ip="192.0.2.7").user, session=session)
    assert is_in(theirs)


def test_ending_is_not_done_by_following_a_link(here, elsewhere):
    session = UserSession.objects.get(ip="198.51.100.4")

    for address in (f"/account/sessions/{session.pk}/end/", "/account/sessions/others/end/"):
        assert here.get(address).status_code == 405
    assert is_in(elsewhere)


@pytest.mark.parametrize("address", ["/account/sessions/others/end/", "/account/sessions/{}/end/"])
def test_an_old_sign_in_is_asked_who_it_is_before_it_ends_others(here, elsewhere, address, monkeypatch):
    theirs = UserSession.objects.get(ip="198.51.100.4")
    later = time.time() + 6 * 60
    monkeypatch.setattr("accounts.reconfirm.time.time", lambda: later)

    answer = here.post(address.format(theirs.pk))

    assert answer["Location"].startswith("/account/reauthenticate/")
    assert is_in(elsewhere)


# Tokens


def test_a_named_token_is_made_and_shown_once(here, rachel):
    confirm(here)

    made = here.post("/account/tokens/new/", {"label": "Import of the PACS", "days": "7"}).content.decode()
    page = here.get(PAGE).content.decode()

    found = re.search(r'id="token"[^>]*>([\w-]+)<', made)
    assert found is not None
    assert Client(headers={"Authorization": f"Bearer {found[1]}"}).get("/api/v1/studies/").status_code == 200
    assert "Import of the PACS" in page
    assert found[1] not in page
    told = Notification.objects.filter(user=rachel, kind="account_event").values_list("text", flat=True)
    assert any("An API token was made" in text for text in told)
    assert not any("Import of the PACS" in text for text in told)


@pytest.mark.parametrize(
    "typed",
    [
        {"label": "", "days": "7"},
        {"label": "x" * 81, "days": "7"},
        {"label": "two\nlines", "days": "7"},
        {"label": "left\u202eright", "days": "7"},
        {"label": "x", "days": "36500"},
        {"label": "x", "days": "-1"},
        {"label": "x"},
    ],
)
def test_a_token_that_may_not_be_is_not_made(here, rachel, typed):
    confirm(here)

    assert here.post("/account/tokens/new/", typed).status_code == 422
    assert not rachel.api_tokens.exists()


def test_a_token_is_revoked(here, rachel):
    token, secret = create_token(acting_user=rachel, label="Old")

    here.post(f"/account/tokens/{token.pk}/delete/")

    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/studies/").status_code == 401


def test_nobody_revokes_another_persons_token(here, adam, rachel):
    token, _ = create_token(acting_user=adam)

    assert here.post(f"/account/tokens/{token.pk}/delete/").status_code == 404
    with pytest.raises(PermissionDenied):
        delete_token(acting_user=rachel, token=token)
    assert ApiToken.objects.filter(pk=token.pk).exists()


def test_patients_see_their_browsers_and_make_no_tokens(petra):
    client = browser(petra)
    confirm(client)

    page = client.get(PAGE).content.decode()

    assert "This one" in page
    assert "API tokens" not in page
    assert client.get("/account/tokens/new/").status_code == 403


# All of it dies


def everything(user) -> tuple[Client, Client]:
    token = create_token(acting_user=user)[1]
    return browser(user, SAFARI), Client(headers={"Authorization": f"Bearer {token}"})


def is_dead(signed_in: Client, program: Client) -> bool:
    return not is_in(signed_in) and program.get("/api/v1/models/").status_code == 401


def test_a_changed_password_ends_everything_else(here, rachel):
    other, program = everything(rachel)
    new = "seven quiet herons"

    here.post("/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})

    assert is_dead(other, program)
    assert is_in(here)
    assert here.get(PAGE).content.decode().count("Sign out</button>") == 1  # the one of the menu


def test_deactivation_ends_everything_for_good(rachel, adam):
    other, program = everything(rachel)

    rachel = update_user(acting_user=adam, user=rachel, is_active=False)
    assert is_dead(other, program)
    update_user(acting_user=adam, user=rachel, is_active=True)

    assert is_dead(other, program)


def test_another_role_ends_everything(rachel, adam):
    other, program = everything(rachel)

    update_user(acting_user=adam, user=rachel, role="it_staff")

    assert is_dead(other, program)


def test_an_administrator_ends_everything_of_somebody(rachel, adam, ivan):
    for acting in (adam, ivan):
        other, program = everything(rachel)
        end_sessions(acting_user=acting, user=rachel)
        assert is_dead(other, program)
    assert AuditEvent.objects.filter(action="user.sessions_ended").count() == 2


def test_others_do_not(rachel, petra, adam):
    client = browser(adam)
    for acting in (rachel, petra):
        with pytest.raises(PermissionDenied):
            end_sessions(acting_user=acting, user=adam)
    assert is_in(client)
