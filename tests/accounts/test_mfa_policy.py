"""Roles that need a second factor get nowhere without one."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.actions import create_token
from tests.conftest import PASSWORD
from tests.fixture_sign_in import add_app, code, confirm, keep_off_the_edge

pytestmark = pytest.mark.django_db
FACTORS = "/account/2fa/"
TOKENS = "/api/v1/tokens/"


@pytest.fixture(autouse=True)
def _demanded(settings):
    settings.MFA_ROLES = frozenset({"radiologist", "administrator", "it_staff"})


def ask_for_token(api, user, **more):
    return api().post(TOKENS, {"email": user.email, "password": PASSWORD, **more}, format="json")


@pytest.mark.parametrize("page", ["/", "/patients/", "/history/", "/account/sessions/", "/account/tokens/new/"])
def test_every_page_leads_to_the_set_up(client, rachel, page):
    client.force_login(rachel)

    assert client.get(page)["Location"] == FACTORS


def test_the_set_up_says_why(client, rachel):
    client.force_login(rachel)

    assert "Your role needs a second factor" in client.get("/", follow=True).content.decode()


def test_what_is_needed_to_set_one_up_and_to_leave_is_open(client, rachel):
    client.force_login(rachel)
    confirm(client)

    for page in (FACTORS, "/account/2fa/app/add/", "/account/2fa/passkeys/add/", "/account/password/change/"):
        assert client.get(page).status_code == 200
    assert client.post("/account/logout/")["Location"] == "/account/login/"


def test_the_api_is_shut_to_such_a_session_in_the_shape_of_the_contract(client, rachel):
    client.force_login(rachel)

    answer = client.get("/api/v1/studies/")

    assert answer.status_code == 403
    assert answer.json()["code"] == "mfa_required"
    assert set(answer.json()) == {"code", "detail", "fields"}


def test_the_admin_site_is_shut_too(client, ivan):
    client.force_login(ivan)

    assert client.get("/admin/")["Location"] == FACTORS


def test_a_second_factor_opens_everything(client, rachel):
    client.force_login(rachel)
    add_app(rachel)

    assert client.get("/patients/").status_code == 200
    assert client.get("/api/v1/studies/").status_code == 200


def test_recovery_codes_alone_are_no_second_factor(client, rachel):
    add_app(rachel)
    Authenticator.objects.filter(type="totp").delete()
    client.force_login(rachel)

    assert client.get("/patients/")["Location"] == FACTORS


def test_roles_without_the_demand_go_on_as_before(client, petra):
    client.force_login(petra)

    assert client.get("/").status_code == 200


def test_the_demonstration_demands_none(client, rachel, settings):
    settings.MFA_ROLES = frozenset()
    client.force_login(rachel)

    assert client.get("/patients/").status_code == 200


def test_the_last_factor_of_such_a_role_is_not_removed(client, rachel):
    add_app(rachel)
    client.force_login(rachel)
    confirm(client)

    page = client.get("/account/2fa/app/remove/").content.decode()
    client.post("/account/2fa/app/remove/")

    assert "this is your last one" in page
    assert Authenticator.objects.filter(user=rachel, type="totp").exists()


def test_a_last_passkey_is_not_removed_either(client, rachel):
    passkey = Authenticator.objects.create(user=rachel, type="webauthn", data={"name": "Key", "credential": {}})
    client.force_login(rachel)
    confirm(client)

    answer = client.post(f"/account/2fa/passkeys/{passkey.pk}/remove/", follow=True)

    assert "this is your last one" in answer.content.decode()
    assert Authenticator.objects.filter(pk=passkey.pk).exists()


def test_nobody_removes_or_renames_another_persons_passkey(client, rachel, adam):
    passkey = Authenticator.objects.create(user=adam, type="webauthn", data={"name": "Key", "credential": {}})
    add_app(rachel)
    client.force_login(rachel)
    confirm(client)

    for verb in ("remove", "rename"):
        assert client.post(f"/account/2fa/passkeys/{passkey.pk}/{verb}/", {"name": "Mine"}).status_code == 404
    passkey.refresh_from_db()
    assert passkey.data["name"] == "Key"


# Programs


def test_no_token_without_the_second_factor_that_the_role_needs(api, rachel):
    answer = ask_for_token(api, rachel)

    assert answer.status_code == 403
    assert answer.json()["code"] == "mfa_required"
    assert not rachel.api_tokens.exists()


def test_a_token_from_before_the_demand_stops_working(api, rachel):
    client = api(rachel)

    assert client.get("/api/v1/studies/").status_code == 401


def test_with_a_second_factor_the_code_is_asked_for(api, rachel):
    keep_off_the_edge()
    secret = add_app(rachel)

    asked = ask_for_token(api, rachel)
    given = ask_for_token(api, rachel, otp=code(secret))
    again = ask_for_token(api, rachel, otp=code(secret))

    assert (asked.status_code, asked.json()["code"]) == (401, "otp_required")
    assert given.status_code == 201
    assert (again.status_code, again.json()["code"]) == (401, "otp_invalid")


def test_the_code_is_asked_for_whatever_the_role(api, adam, settings):
    settings.MFA_ROLES = frozenset()
    add_app(adam)

    assert ask_for_token(api, adam).json()["code"] == "otp_required"


def test_a_wrong_password_does_not_tell_that_there_is_a_second_factor(api, rachel):
    add_app(rachel)

    answer = api().post(TOKENS, {"email": rachel.email, "password": "wrong", "otp": "123456"}, format="json")

    assert answer.json()["code"] == "invalid_credentials"


def test_codes_cannot_be_guessed_at_through_the_api(api, rachel):
    keep_off_the_edge()
    secret = add_app(rachel)
    guesses = [ask_for_token(api, rachel, otp=f"{guess:06}") for guess in range(5)]

    answer = ask_for_token(api, rachel, otp=code(secret))

    assert {guess.status_code for guess in guesses} == {401}
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0


def test_a_signed_in_program_keeps_its_token(api, rachel):
    add_app(rachel)
    token = create_token(acting_user=rachel)[1]
    client = Client(headers={"Authorization": f"Bearer {token}"})

    assert client.get("/api/v1/studies/").status_code == 200
