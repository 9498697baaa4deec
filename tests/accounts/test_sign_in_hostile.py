"""What people who mean harm send to the way in: refused, noted, nothing changed."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.actions import create_user
from accounts.addresses import canonical, look_alike
from accounts.models import AuditEvent, User
from tests.conftest import PASSWORD
from tests.fixture_mail import deliver

pytestmark = pytest.mark.django_db
LOGIN = "/account/login/"
ASK = "/account/password/reset/"
NEW = "seven quiet herons"
ELSEWHERE = [
    "//evil.example/",
    "///evil.example/",
    "https://evil.example/",
    "http:evil.example",
    "/\\evil.example/",
    "\\\\evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "http://testserver@evil.example/",
    "/\t/evil.example/",
    "%2F%2Fevil.example",
    "http://localhost/patients/",
]


def sign_in(client, user, **more):
    return client.post(LOGIN, {"login": user.email, "password": PASSWORD, **more})


def mailed_link() -> str:
    deliver()
    found = re.search(r"https?://\S+", mail.outbox[-1].body)
    assert found is not None
    return found[0]


def path_of(link: str) -> str:
    return "/" + link.split("/", 3)[3]


# Where next= leads


@pytest.mark.parametrize("target", ELSEWHERE)
def test_sign_in_leads_nowhere_else(client, rachel, target):
    assert sign_in(client, rachel, next=target)["Location"] == "/"


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_out_leads_nowhere_else(client, rachel, target):
    client.force_login(rachel)

    assert client.post("/account/logout/", {"next": target})["Location"] == LOGIN


@pytest.mark.parametrize("target", ELSEWHERE)
def test_the_sign_in_page_does_not_carry_it(client, target):
    assert target not in client.get(LOGIN, {"next": target}).content.decode()


# The Host header


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_HOST": "evil.example"},
        {"HTTP_HOST": "localhost:evil"},
        {"HTTP_HOST": "localhost@evil.example"},
        {"HTTP_HOST": ""},
    ],
)
def test_another_host_is_refused(rachel, headers):
    answer = Client(**headers).post(ASK, {"email": rachel.email})

    assert answer.status_code == 400
    deliver()
    assert mail.outbox == []


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_X_FORWARDED_HOST": "evil.example"},
        {"HTTP_X_HOST": "evil.example"},
        {"HTTP_FORWARDED": "host=evil.example"},
        {"HTTP_HOST": "127.0.0.1:9999"},
        {"HTTP_X_ORIGINAL_URL": "https://evil.example/"},
    ],
)
def test_the_link_names_the_public_address_whatever_the_request_says(rachel, settings, headers):
    Client(**headers).post(ASK, {"email": rachel.email})

    assert mailed_link().startswith(f"{settings.PUBLIC_URL}/account/password/reset/key/")


# Reset links


def reset(client, link: str, password: str = NEW):
    answer = client.get(path_of(link))
    if answer.status_code != 302:
        return answer
    return client.post(answer["Location"], {"password1": password, "password2": password})


def test_a_link_is_void_after_its_use_also_in_the_browser_that_used_it(client, rachel):
    client.post(ASK, {"email": rachel.email})
    link = mailed_link()
    reset(client, link)

    for browser in (client, Client()):
        answer = reset(browser, link, "another long password")
        assert "This link no longer works" in answer.content.decode()
    rachel.refresh_from_db()
    assert rachel.check_password(NEW)


def test_a_newer_password_voids_every_link_that_is_under_way(client, rachel):
    client.post(ASK, {"email": rachel.email})
    first = mailed_link()
    client.post(ASK, {"email": rachel.email})
    reset(client, mailed_link())

    assert "no longer works" in reset(Client(), first).content.decode()


def test_one_persons_link_does_not_open_another_account(client, rachel, adam):
    client.post(ASK, {"email": rachel.email})
    link = mailed_link()
    hers, key = re.search(r"/key/([0-9a-z]+)-([^/]+)/", link).groups()
    forged = link.replace(f"/{hers}-{key}/", f"/{adam.pk}-{key}/")

    assert "no longer works" in reset(Client(), forged).content.decode()
    adam.refresh_from_db()
    assert adam.check_password(PASSWORD)


def test_a_link_signs_nobody_in_and_does_not_skip_the_second_factor(client, rachel):
    client.post(ASK, {"email": rachel.email})
    reset(client, mailed_link())

    assert "_auth_user_id" not in client.session


def test_a_link_opened_by_somebody_else_who_is_signed_in_changes_nothing_of_theirs(client, rachel, adam):
    client.post(ASK, {"email": rachel.email})
    link = mailed_link()
    theirs = Client()
    theirs.force_login(adam)

    reset(theirs, link)

    adam.refresh_from_db()
    assert adam.check_password(PASSWORD)
    assert theirs.session.get("_auth_user_id") != str(rachel.pk)


@pytest.mark.parametrize("key", ["x", "1-x", "zzzzzzzzzzzz-set-password", "1-set-password", "0-" + "a" * 500])
def test_a_forged_link_says_so(client, rachel, key):
    assert (
        "no longer works" in client.get(f"/account/password/reset/key/{key}/", follow=True).content.decode()
        or key == "x"
    )
    rachel.refresh_from_db()
    assert rachel.check_password(PASSWORD)


def test_asking_for_a_link_does_not_sign_out_or_void_the_password(client, rachel):
    client.force_login(rachel)
    Client().post(ASK, {"email": rachel.email})

    assert client.get("/patients/").status_code == 200


@pytest.mark.parametrize(
    "email",
    [
        "rachel@test.local\nBcc: evil@evil.example",
        "rachel@test.local%0aBcc:x@y.z",
        "rachel@test.local,evil@evil.example",
        "<rachel@test.local>",
    ],
)
def test_header_injection_sends_nothing(client, rachel, email):
    client.post(ASK, {"email": email})
    deliver()

    assert mail.outbox == []


# Addresses that look alike


@pytest.mark.parametrize(
    "typed",
    [
        "rаchel@test.local",
        "rachеl@test.local",
        "rachel@tеst.local",
        "rachél@test.local",
        "rachel@test.lοcal",
        "rachel@teśt.local",
    ],
)
def test_an_address_that_looks_like_another_gets_nothing(client, rachel, typed):
    assert canonical(typed) != rachel.email
    assert look_alike(typed, [rachel.email]) == rachel.email

    sign_in_answer = client.post(LOGIN, {"login": typed, "password": PASSWORD})
    client.post(ASK, {"email": typed})
    deliver()

    assert sign_in_answer.status_code == 200
    assert "_auth_user_id" not in client.session
    assert mail.outbox == []


@pytest.mark.parametrize("typed", ["rachel@tеst.local", "rachel@teśt.local", "RACHEL@TEST.LOCAL", "ｒachel@test.local"])
def test_nobody_is_made_with_an_address_that_is_or_looks_taken(rachel, adam, typed):
    with pytest.raises(ValidationError):
        create_user(acting_user=adam, email=typed, role="radiologist")

    assert User.objects.filter(role="radiologist").count() == 1


def test_the_mail_goes_to_the_address_on_record_not_to_the_one_typed(client, rachel):
    client.post(ASK, {"email": "RACHEL@teſt.local"})
    deliver()

    assert [message.to for message in mail.outbox] == [["rachel@test.local"]]


def test_other_addresses_stay_possible():
    taken = ["rachel@test.local", "anna@uniklinik-köln.de"]
    for other in ("rachel2@test.local", "rachel@test2.local", "ana@uniklinik-köln.de"):
        assert look_alike(other, taken) is None


# What is typed into the form


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("\0", "x"),
        ("rachel@test.local", "\0"),
        ("rachel@test.local\0", PASSWORD),
        ("' OR 1=1 --", "x"),
        ("rachel@test.local", "x" * 100_000),
        ("x" * 100_000 + "@test.local", "x"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"), "x"),
        ("<script>alert(1)</script>@x.y", "x"),
    ],
)
def test_nonsense_is_refused_without_a_fault(client, rachel, login, password):
    answer = client.post(LOGIN, {"login": login, "password": password})

    assert answer.status_code in (200, 400)
    assert "<script>alert(1)" not in answer.content.decode()
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("field", ["role", "is_staff", "is_superuser", "user", "user_id", "backend"])
def test_further_fields_change_nothing(client, petra, field):
    client.post(LOGIN, {"login": petra.email, "password": PASSWORD, field: "administrator"})

    petra.refresh_from_db()
    assert (petra.role, petra.is_staff) == ("patient", False)


def test_a_session_that_was_there_before_signing_in_is_not_kept(client, rachel):
    """Session fixation."""
    client.get(LOGIN)
    session = client.session
    session["planted"] = "yes"
    session.save()
    before = session.session_key
    client.cookies["sessionid"] = before

    sign_in(client, rachel)

    assert client.session.session_key != before


def test_a_form_without_the_csrf_token_is_refused(rachel):
    client = Client(enforce_csrf_checks=True)

    assert client.post(LOGIN, {"login": rachel.email, "password": PASSWORD}).status_code == 403
    assert client.post("/account/session/").status_code in (302, 403)


def test_a_refused_sign_in_is_in_the_ledger_without_what_was_typed(client, rachel):
    client.post(LOGIN, {"login": rachel.email, "password": "a secret of hers"})

    event = AuditEvent.objects.get(action="user.sign_in_failed")
    assert event.object_id == str(rachel.pk)
    assert "secret" not in str(event.details)


# Passwords


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("elevenchars", "too short"),
        ("password12345", "too common"),
        ("1q2w3e4r5t6y", "too common"),
        ("sunshine123456!", "common password"),
        ("dragon1dragon1", "common password"),
        ("senolens-2026", "words of this site"),
        ("SENOLENSsenolens", "words of this site"),
        ("radiologist1!", "words of this site"),
        ("rachel@test.local", "too similar"),
        ("x" * 1001, "longer than 1000"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(client, rachel, password, sentence):
    client.force_login(rachel)

    typed = {"oldpassword": PASSWORD, "password1": password, "password2": password}
    answer = client.post("/account/password/change/", typed)

    rachel.refresh_from_db()
    assert rachel.check_password(PASSWORD)
    assert sentence in answer.content.decode()


@pytest.mark.parametrize(
    "password",
    [
        "twelve chars",
        "alllowercaseletterswithoutanydigit",
        "   spaces   count   ",
        "пароль из нескольких слов",
        "🦢🦢🦢🦢 swans on the lake",
        "x" * 64 + "y" * 64 + "z" * 128,
        "senolens is where seven quiet herons live",
    ],
)
def test_any_long_password_is_taken_to_its_last_character(client, rachel, password):
    client.force_login(rachel)

    client.post("/account/password/change/", {"oldpassword": PASSWORD, "password1": password, "password2": password})

    rachel.refresh_from_db()
    assert rachel.check_password(password)
    assert not rachel.check_password(password[:-1])
    assert not rachel.check_password(password[:72]) or len(password) <= 72
    fresh = Client()
    fresh.post(LOGIN, {"login": rachel.email, "password": password})
    assert "_auth_user_id" in fresh.session
