"""Switching people off and on, ending what they have open, taking a lost second factor away."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.core.exceptions import PermissionDenied

from accounts.actions import create_token, create_user, update_user
from accounts.models import AuditEvent, OutgoingMail, User
from tests.conftest import PASSWORD
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
ACTS = ("activate", "deactivate", "invite", "revoke", "reset-mfa", "end-sessions")


@pytest.fixture
def press(client):
    """``press(who, act, user)``: that person, signed in a moment ago, presses a button on the user's page."""

    def pressed(who, act, user, **typed):
        client.force_login(who)
        confirm(client)
        answer = client.post(f"/users/{user.pk}/{act}/", typed, follow=True)
        user.refresh_from_db()
        return answer.content.decode()

    return pressed


def test_switching_off_ends_sessions_and_tokens_and_the_person_is_told(client, press, adam, rachel):
    create_token(acting_user=rachel)
    client.post("/account/login/", {"login": rachel.email, "password": PASSWORD})
    hers = client.cookies.copy()
    client.cookies.clear()

    page = press(adam, "deactivate", rachel)

    assert not rachel.is_active
    assert "Rachel Radiologist is switched off" in page
    assert not rachel.api_tokens.exists()
    assert OutgoingMail.objects.get().recipient == rachel.email
    client.cookies = hers
    assert client.get("/patients/")["Location"].startswith("/account/login/")
    assert AuditEvent.objects.get(action="user.changed").details["is_active"] == [True, False]


def test_switching_on_lets_them_in_again(client, press, adam, rachel):
    update_user(acting_user=adam, user=rachel, is_active=False)

    press(adam, "activate", rachel)

    client.logout()
    assert client.post("/account/login/", {"login": rachel.email, "password": PASSWORD}).status_code == 302
    assert client.session["_auth_user_id"] == str(rachel.pk)


def test_pressing_twice_writes_once(press, adam, rachel):
    press(adam, "deactivate", rachel)
    press(adam, "deactivate", rachel)

    assert AuditEvent.objects.filter(action="user.changed").count() == 1
    assert OutgoingMail.objects.count() == 1


def test_nobody_switches_themselves_off(press, adam):
    page = press(adam, "deactivate", adam)

    assert adam.is_active
    assert "Nobody changes their own role or deactivates themselves" in page


def test_the_last_administrator_stays(press, ivan, adam):
    page = press(ivan, "deactivate", adam)

    assert adam.is_active
    assert "This is the only active administrator." in page
    assert not AuditEvent.objects.filter(action="user.changed").exists()


def test_one_of_two_administrators_can_be_switched_off(press, ivan, adam, rachel):
    update_user(acting_user=adam, user=rachel, role="administrator")

    press(ivan, "deactivate", adam)

    assert not adam.is_active


def test_a_person_who_was_just_demoted_changes_nobody_any_more(adam, rachel, ivan):
    update_user(acting_user=adam, user=rachel, role="administrator")
    rachel.refresh_from_db()
    stale = User.objects.get(pk=rachel.pk)
    update_user(acting_user=adam, user=rachel, role="radiologist")

    with pytest.raises(PermissionDenied):
        update_user(acting_user=stale, user=adam, role="radiologist")
    with pytest.raises(PermissionDenied):
        create_user(acting_user=stale, email="eve@test.local", role="administrator")
    adam.refresh_from_db()
    assert adam.role == "administrator"


def test_a_lost_second_factor_is_reset_with_a_reason(press, adam, rachel):
    Authenticator.objects.create(user=rachel, type=Authenticator.Type.TOTP, data={})
    create_token(acting_user=rachel)

    without = press(adam, "reset-mfa", rachel, reason="  ")
    assert "Say why the second factor is reset." in without
    assert Authenticator.objects.filter(user=rachel).exists()

    press(adam, "reset-mfa", rachel, reason="Telephone lost, recognised by badge")
    assert not Authenticator.objects.filter(user=rachel).exists()
    assert not rachel.api_tokens.exists()
    event = AuditEvent.objects.get(action="user.mfa_reset")
    assert (event.actor, event.purpose) == (adam, "Telephone lost, recognised by badge")


def test_it_staff_do_not_reset_an_administrators_second_factor(press, ivan, adam):
    Authenticator.objects.create(user=adam, type=Authenticator.Type.TOTP, data={})

    page = press(ivan, "reset-mfa", adam, reason="Please")

    assert "Reset the second factor" not in page
    assert Authenticator.objects.filter(user=adam).exists()


def test_signing_out_everywhere(press, ivan, rachel):
    create_token(acting_user=rachel)
    epoch = rachel.sign_in_epoch

    assert "Rachel Radiologist is signed out everywhere." in press(ivan, "end-sessions", rachel)

    assert rachel.sign_in_epoch > epoch
    assert not rachel.api_tokens.exists()


@pytest.mark.parametrize("act", ACTS)
def test_who_may_not_learns_nothing_and_changes_nothing(client, rachel, petra, adam, act):
    before = User.objects.filter(pk=adam.pk).values().get()
    for person in (rachel, petra):
        client.force_login(person)
        confirm(client)
        assert client.post(f"/users/{adam.pk}/{act}/", {"reason": "x"}).status_code == 404
    assert User.objects.filter(pk=adam.pk).values().get() == before


@pytest.mark.parametrize("act", ACTS)
def test_it_staff_reach_no_patients_log_in(client, ivan, petra, act):
    client.force_login(ivan)
    confirm(client)
    assert client.post(f"/users/{petra.pk}/{act}/", {"reason": "x"}).status_code == 404


@pytest.mark.parametrize("act", ACTS)
def test_an_old_sign_in_is_asked_who_it_is_first(client, adam, rachel, act):
    client.force_login(adam)
    before = User.objects.filter(pk=rachel.pk).values().get()

    answer = client.post(f"/users/{rachel.pk}/{act}/", {"reason": "x"})

    assert "/account/reauthenticate/" in answer["Location"]
    assert User.objects.filter(pk=rachel.pk).values().get() == before


@pytest.mark.parametrize("act", ACTS)
def test_a_link_cannot_press_the_button(client, adam, rachel, act):
    client.force_login(adam)
    confirm(client)
    assert client.get(f"/users/{rachel.pk}/{act}/").status_code == 405
