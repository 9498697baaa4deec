"""Guessing is slowed down, whoever pretends to be where, and nobody is locked out by others."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory

from accounts import devices, rate_limits
from accounts.models import AuditEvent, Notification
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/account/login/"
TRIES = 5


def try_password(client, email: str, password: str = PASSWORD, **more: str):
    return client.post(LOGIN, {"login": email, "password": password}, **more)


def is_in(client) -> bool:
    return "_auth_user_id" in client.session


def known_browser(user, address: str = "10.1.1.1") -> Client:
    """A browser in which the person signed in before, and out again."""
    client = Client(REMOTE_ADDR=address)
    try_password(client, user.email)
    client.post("/account/logout/")
    return client


def test_a_forged_forwarding_header_gives_no_further_tries(client, rachel):
    for number in range(TRIES):
        try_password(client, rachel.email, "wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{number}")

    answer = try_password(client, rachel.email, HTTP_X_FORWARDED_FOR="203.0.113.99")

    assert answer.status_code == 429
    assert not is_in(client)


@pytest.mark.parametrize(
    "header", ["HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_CLIENT_IP", "HTTP_X_CLIENT_IP", "HTTP_CF_CONNECTING_IP"]
)
def test_nor_does_any_other_header(client, rachel, header):
    for number in range(TRIES):
        try_password(client, rachel.email, "wrong", **{header: f"203.0.113.{number}"})

    assert try_password(client, rachel.email, **{header: "203.0.113.99"}).status_code == 429


def test_other_spellings_of_the_address_give_no_further_tries(client, rachel):
    for spelling in (
        "rachel@test.local",
        "RACHEL@test.local",
        " Rachel@Test.Local ",
        "rachel@teſt.local",
        "Rachel@test.LOCAL",
    ):
        try_password(client, spelling, "wrong")

    assert try_password(client, rachel.email).status_code == 429


def test_many_addresses_together_do_not_get_many_tries(rachel):
    statuses = set()
    for number in range(101):
        guesser = Client(REMOTE_ADDR=f"10.0.{number}.1")
        statuses.add(try_password(guesser, rachel.email, f"guess {number}").status_code)
    assert statuses == {200, 429}

    assert try_password(Client(REMOTE_ADDR="10.9.9.9"), rachel.email).status_code == 429


def test_a_known_browser_is_not_locked_out_by_any_of_that(rachel):
    hers = known_browser(rachel)
    for number in range(101):
        try_password(Client(REMOTE_ADDR=f"10.0.{number}.1"), rachel.email, f"guess {number}")
    # Nor by somebody at the next desk, behind the same address of the hospital.
    for _ in range(TRIES + 1):
        try_password(Client(REMOTE_ADDR="10.1.1.1"), rachel.email, "wrong")

    try_password(hers, rachel.email)

    assert is_in(hers)


def test_a_flood_of_wrong_passwords_from_her_own_network_does_not_reach_a_known_browser(rachel):
    hers = known_browser(rachel)
    flood = Client(REMOTE_ADDR="10.1.1.1")
    statuses = {try_password(flood, f"nobody{number}@test.local", "wrong").status_code for number in range(61)}
    assert statuses == {200, 429}

    try_password(hers, rachel.email)

    assert is_in(hers)


def test_a_known_browser_has_no_more_tries_than_another(rachel):
    hers = known_browser(rachel)
    for _ in range(TRIES):
        try_password(hers, rachel.email, "wrong")

    assert try_password(hers, rachel.email).status_code == 429


def test_a_new_password_by_mail_ends_the_wait(client, rachel):
    """``docs/sign-in.md`` tells people who are guessed at to do this."""
    request = RequestFactory().post(LOGIN)
    for _ in range(100):
        rate_limits.allow(request, action="login_failed_elsewhere", key=rachel.email)
    assert not rate_limits.allow(request, action="login_failed_elsewhere", key=rachel.email)

    rate_limits.forget(request, action="login_failed_elsewhere", key=rachel.email)

    try_password(client, rachel.email)
    assert is_in(client)


@pytest.mark.parametrize("value", ["", "x", "e30:1:x", "\x00", "a" * 4000])
def test_a_forged_cookie_makes_no_browser_known(client, rachel, value):
    client.cookies[devices.COOKIE] = value

    assert devices.known_as(_request_with(value), rachel.email) is None
    assert try_password(client, rachel.email).status_code == 302


def _request_with(value: str):
    request = RequestFactory().get("/")
    request.COOKIES[devices.COOKIE] = value
    return request


def test_the_cookie_of_one_person_makes_the_browser_known_for_her_alone(rachel, adam):
    value = known_browser(rachel).cookies[devices.COOKIE].value

    assert devices.known_as(_request_with(value), rachel.email)
    assert devices.known_as(_request_with(value), adam.email) is None
    assert rachel.email not in value


def test_counts_are_shared_by_all_processes(settings):
    """The default cache is a table, not a process's own memory; tests/end_to_end tries it with two processes."""
    assert settings.CACHES["default"]["BACKEND"].endswith("DatabaseCache")
    cache.add("first", 1)
    assert not cache.add("first", 2)


def test_one_action_has_one_count_whatever_the_key(db):
    request = RequestFactory().post("/", REMOTE_ADDR="192.0.2.1")
    allowed = [rate_limits.allow(request, action="patient_invitation", key="one code") for _ in range(11)]

    assert allowed == [True] * 10 + [False]
    assert rate_limits.allow(request, action="patient_invitation", key="another code")


# Being told


def told(user) -> list[str]:
    return list(Notification.objects.filter(user=user, kind="account_event").values_list("text", flat=True))


def test_a_sign_in_from_an_unknown_browser_is_told_to_its_owner(rachel):
    known_browser(rachel)
    stranger = Client(REMOTE_ADDR="203.0.113.9", HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0")

    try_password(stranger, rachel.email)

    assert "You signed in with a browser that was not used before: Chrome on Linux, from 203.0.113.9." in told(rachel)
    assert AuditEvent.objects.filter(action="user.new_device").count() == 1


def test_the_first_sign_in_and_a_known_browser_are_not_worth_a_notice(rachel):
    hers = known_browser(rachel)
    try_password(hers, rachel.email)

    assert told(rachel) == []


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_6) Version/19.0 Safari/605.1", "Safari on Mac"),
        ("Mozilla/5.0 (Linux; Android 16; Pixel) Chrome/142.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.9.1", "curl"),
        ("", "an unknown browser"),
        ("<script>alert(1)</script>", "an unknown browser"),
    ],
)
def test_a_browser_is_named_in_words(agent, words):
    assert devices.in_words(agent) == words
