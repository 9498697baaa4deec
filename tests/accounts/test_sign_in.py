"""The sign-in page."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.actions import create_user
from accounts.models import User
from portal.demonstration import PEOPLE
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
URL = "/account/login/"


def sign_in(client, *, email: str, password: str = PASSWORD, **more: str):
    return client.post(URL, {"login": email, "password": password, **more})


def signed_in_as(client) -> str | None:
    return client.session.get("_auth_user_id")


def test_a_colleague_signs_in_and_arrives_at_home(client, rachel):
    answer = sign_in(client, email="rachel@test.local")

    assert answer.status_code == 302
    assert answer["Location"] == reverse("home")
    assert signed_in_as(client) == str(rachel.pk)


def test_the_case_of_the_address_does_not_matter(client, rachel):
    sign_in(client, email="Rachel@TEST.local")

    assert signed_in_as(client) == str(rachel.pk)


def test_sign_in_leads_to_the_page_that_was_asked_for(client, rachel):
    assert client.get("/patients/")["Location"] == f"{URL}?next=/patients/"

    assert sign_in(client, email=rachel.email, next="/patients/")["Location"] == "/patients/"


def test_sign_in_does_not_lead_to_another_site(client, rachel):
    assert sign_in(client, email=rachel.email, next="https://elsewhere.example/")["Location"] == reverse("home")


@pytest.mark.parametrize(
    ("email", "password"),
    [("rachel@test.local", "wrong"), ("nobody@test.local", PASSWORD)],
    ids=["password", "address"],
)
def test_a_wrong_password_and_an_unknown_address_read_the_same(client, rachel, email, password):
    answer = sign_in(client, email=email, password=password)

    assert "The e-mail address or the password is wrong. Check both and try again." in answer.content.decode()
    assert signed_in_as(client) is None


def test_the_password_is_not_sent_back(client, rachel):
    assert "a wrong secret" not in sign_in(client, email=rachel.email, password="a wrong secret").content.decode()


def test_somebody_switched_off_cannot_sign_in(client, rachel):
    User.objects.filter(pk=rachel.pk).update(is_active=False)

    answer = client.post(URL, {"login": rachel.email, "password": PASSWORD}, follow=True)

    assert signed_in_as(client) is None
    assert "This account is switched off" in answer.content.decode()


def test_switching_off_ends_an_open_session(client, rachel):
    client.force_login(rachel)
    assert client.get("/patients/").status_code == 200

    User.objects.filter(pk=rachel.pk).update(is_active=False)

    assert client.get("/patients/")["Location"].startswith(URL)


def test_the_sixth_wrong_try_is_refused_with_429_and_says_when_to_come_back(client, rachel):
    for _ in range(5):
        assert sign_in(client, email=rachel.email, password="wrong").status_code == 200

    answer = sign_in(client, email=rachel.email, password=PASSWORD)

    assert answer.status_code == 429
    assert answer["Retry-After"] == "300"
    assert "Too many wrong tries. Wait five minutes" in answer.content.decode()
    assert signed_in_as(client) is None


def test_a_stranger_elsewhere_cannot_lock_a_colleague_out(client, rachel):
    for _ in range(6):
        client.post(URL, {"login": rachel.email, "password": "wrong"}, REMOTE_ADDR="203.0.113.9")

    sign_in(client, email=rachel.email)

    assert signed_in_as(client) == str(rachel.pk)


def test_the_demonstration_shows_its_log_ins(client, db, settings):
    create_user(acting_user=None, email="radiologist@demo.local", role="radiologist", password=settings.DEMO_PASSWORD)

    page = client.get(URL).content.decode()

    assert "radiologist@demo.local" in page
    assert settings.DEMO_PASSWORD in page


def test_the_demonstration_names_only_the_log_ins_that_its_password_opens(client, db, settings):
    create_user(acting_user=None, email="ida@demo.local", role="radiologist", password="pebble-lantern-42-fig")

    assert "ida@demo.local" not in client.get(URL).content.decode()
    assert {person.email for person in PEOPLE} == set(settings.DEMO_LOGINS)


def test_a_real_site_shows_no_log_ins(client, rachel, settings):
    settings.DEMO = False

    page = client.get(URL).content.decode()

    assert settings.DEMO_PASSWORD not in page
    assert "Demonstration" not in page.replace(settings.SITE_NAME, "")


def test_on_a_real_site_the_first_sign_in_leads_to_the_password_page(client, rachel, settings):
    settings.DEMO = False

    first = sign_in(client, email=rachel.email, next="/patients/")
    client.post("/account/logout/")
    second = sign_in(client, email=rachel.email, next="/patients/")

    assert first["Location"] == "/account/password/change/"
    assert second["Location"] == "/patients/"
