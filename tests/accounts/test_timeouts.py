"""Sessions end by themselves, and nothing that a page does on its own keeps them alive."""

from __future__ import annotations

import time

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts import timeouts
from accounts.models import AuditEvent
from portal import env

pytestmark = pytest.mark.django_db
STATE = "/account/session/"
MINUTE = 60.0
HOUR = 3600.0


@pytest.fixture
def clock(monkeypatch):
    """``clock(seconds)`` lets that much time pass for the time-outs."""
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


def is_signed_in(client) -> bool:
    return "_auth_user_id" in client.session


def test_the_defaults_are_a_quarter_of_an_hour_and_twelve_hours(settings):
    assert settings.SESSION_IDLE_SECONDS == 15 * MINUTE
    assert settings.SESSION_ABSOLUTE_SECONDS == 12 * HOUR
    assert settings.SESSION_COOKIE_AGE >= settings.SESSION_ABSOLUTE_SECONDS


@pytest.mark.parametrize("value", ["0", "-5", "ten", "99999", "nan"])
def test_a_time_that_is_none_stops_the_start(monkeypatch, value):
    monkeypatch.setenv("SESSION_IDLE_MINUTES", value)

    with pytest.raises(ImproperlyConfigured, match="SESSION_IDLE_MINUTES"):
        env.number("SESSION_IDLE_MINUTES", 15, minimum=0.05, maximum=24 * 60)


def test_who_was_away_too_long_signs_in_again_and_comes_back_where_they_were(signed_in, rachel, clock):
    assert signed_in.get("/patients/?page=1").status_code == 200
    clock(15 * MINUTE + 1)

    answer = signed_in.get("/patients/?page=1")

    assert answer["Location"] == "/account/login/?next=/patients/%3Fpage%3D1"
    assert not is_signed_in(signed_in)
    event = AuditEvent.objects.get(action="user.timed_out")
    assert (event.actor, event.details["by"]) == (rachel, "idle")


def test_activity_starts_the_time_anew(signed_in, clock):
    for _ in range(4):
        clock(10 * MINUTE)
        assert signed_in.get("/patients/").status_code == 200


def test_the_longest_time_ends_it_in_spite_of_activity(signed_in, clock):
    for _ in range(72):
        assert signed_in.get(STATE).status_code == 200
        assert signed_in.get("/patients/").status_code == 200
        clock(10 * MINUTE)

    assert signed_in.get("/patients/").status_code == 302
    assert AuditEvent.objects.get(action="user.timed_out").details["by"] == "absolute"


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("/patients/", {"X-Background": "1"}),
        ("/?seen=abc", {"HX-Request": "true"}),
        ("/?seen=abc", {}),
        ("/notifications/bell/", {}),
        (STATE, {}),
    ],
    ids=["marked", "polling", "polling without the mark", "bell", "asking how long"],
)
def test_what_a_page_does_on_its_own_is_no_activity(signed_in, clock, address, headers):
    signed_in.get("/patients/")
    for _ in range(3):
        clock(4 * MINUTE)
        assert signed_in.get(address, headers=headers).status_code == 200
    clock(4 * MINUTE)

    assert signed_in.get("/patients/").status_code == 302


def test_the_mark_cannot_be_used_to_stay_longer(signed_in, clock):
    """On whatever request it is, it only shortens."""
    clock(14 * MINUTE)
    signed_in.post(STATE, headers={"X-Background": "0"})
    clock(2 * MINUTE)

    assert signed_in.get(STATE).status_code != 200


def test_the_page_learns_how_long_is_left(signed_in, clock):
    signed_in.get("/patients/")
    clock(5 * MINUTE)

    left = signed_in.get(STATE).json()

    assert left["by"] == "idle"
    assert 9 * MINUTE < left["seconds"] <= 10 * MINUTE


def test_saying_that_one_is_still_there_starts_the_time_anew_to_the_second(signed_in, clock):
    signed_in.get("/patients/")
    clock(14 * MINUTE)

    assert signed_in.post(STATE).json()["seconds"] == pytest.approx(15 * MINUTE, abs=2)
    clock(10 * MINUTE)
    assert signed_in.get("/patients/").status_code == 200


def test_the_last_minutes_before_the_longest_time_say_so(signed_in, clock, settings):
    settings.SESSION_ABSOLUTE_SECONDS = 20 * MINUTE
    signed_in.get("/patients/")
    clock(10 * MINUTE)
    signed_in.get("/patients/")

    assert signed_in.get(STATE).json()["by"] == "absolute"


def test_signing_in_starts_the_longest_time(client, rachel, clock):
    client.force_login(rachel)
    begun = client.session[timeouts.SIGNED_IN_AT]
    clock(HOUR / 10)
    client.get("/patients/")

    assert client.session[timeouts.SIGNED_IN_AT] == begun


def test_a_session_of_the_api_ends_too(signed_in, clock):
    assert signed_in.get("/api/v1/studies/").status_code == 200
    clock(16 * MINUTE)

    assert signed_in.get("/api/v1/studies/").status_code == 401


def test_a_page_carries_the_dialog_and_a_strangers_page_does_not(signed_in, client):
    assert 'id="session-end"' in signed_in.get("/patients/").content.decode()
    client.logout()
    assert 'id="session-end"' not in client.get("/account/login/").content.decode()


def test_activity_is_written_at_most_twice_a_minute(signed_in):
    signed_in.get("/patients/")
    before = dict(signed_in.session.items())

    signed_in.get("/patients/")

    assert dict(signed_in.session.items()) == before
