"""Second factors: adding one, signing in with it, and taking it away."""

from __future__ import annotations

import re

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.test import Client

from accounts.actions import create_token, reset_mfa, use_code
from accounts.models import AuditEvent, Notification
from tests.conftest import PASSWORD
from tests.fixture_sign_in import add_app, code, confirm, keep_off_the_edge, recovery_codes

pytestmark = pytest.mark.django_db
LOGIN = "/account/login/"
FACTORS = "/account/2fa/"
CODE = "/account/2fa/code/"
ADD_APP = "/account/2fa/app/add/"
REMOVE_APP = "/account/2fa/app/remove/"


def give_password(client, user, **more):
    return client.post(LOGIN, {"login": user.email, "password": PASSWORD, **more})


def signed_in_as(client) -> str | None:
    return client.session.get("_auth_user_id")


def told(user) -> list[str]:
    return list(Notification.objects.filter(user=user, kind="account_event").values_list("text", flat=True))


@pytest.fixture
def rachels_secret(rachel) -> str:
    keep_off_the_edge()
    return add_app(rachel)


# Adding


def test_an_app_is_added_with_the_code_it_shows_and_comes_with_recovery_codes(client, rachel):
    keep_off_the_edge()
    client.force_login(rachel)
    confirm(client)
    page = client.get(ADD_APP).content.decode()
    secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', page)
    assert secret is not None

    answer = client.post(ADD_APP, {"code": code(secret[1])}, follow=True)

    assert len(recovery_codes(rachel)) == 10
    assert all(one in answer.content.decode() for one in recovery_codes(rachel))
    assert set(AuditEvent.objects.filter(action="mfa.added").values_list("details__kind", flat=True)) == {
        "totp",
        "recovery_codes",
    }
    assert "An authenticator app was added to your account." in told(rachel)


def test_the_code_that_added_the_app_does_not_sign_in_as_well(client, rachel):
    keep_off_the_edge()
    client.force_login(rachel)
    confirm(client)
    secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', client.get(ADD_APP).content.decode())
    assert secret is not None
    used = code(secret[1])
    client.post(ADD_APP, {"code": used})

    assert use_code(user=rachel, code=used) is None


def test_a_wrong_code_adds_nothing(client, rachel):
    client.force_login(rachel)
    confirm(client)
    client.get(ADD_APP)

    answer = client.post(ADD_APP, {"code": "000000"})

    assert "This code is wrong" in answer.content.decode()
    assert not Authenticator.objects.exists()


def test_the_key_of_an_app_is_not_readable_in_the_database(rachel, rachels_secret):
    row = Authenticator.objects.get(user=rachel, type="totp")

    assert rachels_secret not in str(row.data)
    assert all(one not in str(Authenticator.objects.values_list("data")) for one in recovery_codes(rachel))


def test_factors_are_added_only_by_somebody_who_just_proved_who_they_are(client, rachel):
    client.force_login(rachel)

    for page in (ADD_APP, "/account/2fa/passkeys/add/"):
        assert client.get(page)["Location"] == f"/account/reauthenticate/?next={page.replace('/', '%2F')}"


def test_adding_and_removing_a_factor_signs_the_other_browsers_out(client, rachel):
    keep_off_the_edge()
    for step in ("add", "remove"):
        rachel.refresh_from_db()
        elsewhere = Client()
        elsewhere.force_login(rachel)
        client.force_login(rachel)
        confirm(client)
        secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', client.get(ADD_APP, follow=True).content.decode())
        client.post(ADD_APP, {"code": code(secret[1])}) if secret and step == "add" else client.post(REMOVE_APP)

        assert client.get("/patients/").status_code == 200
        assert elsewhere.get("/patients/").status_code == 302


# Signing in


def test_the_password_alone_no_longer_signs_in(client, rachel, rachels_secret):
    answer = give_password(client, rachel)

    assert answer["Location"] == CODE
    assert signed_in_as(client) is None
    assert client.get("/patients/")["Location"].startswith(LOGIN)


def test_the_code_of_the_app_signs_in_and_leads_where_one_wanted(client, rachel, rachels_secret):
    give_password(client, rachel, next="/patients/")

    answer = client.post(CODE, {"code": code(rachels_secret)})

    assert answer["Location"] == "/patients/"
    assert signed_in_as(client) == str(rachel.pk)
    assert AuditEvent.objects.get(action="user.signed_in").details["by"] == ["password", "totp"]


@pytest.mark.parametrize("steps", [-1, 1], ids=["clock behind", "clock ahead"])
def test_a_code_counts_in_its_own_half_minute_alone(client, rachel, rachels_secret, steps):
    give_password(client, rachel)

    answer = client.post(CODE, {"code": code(rachels_secret, steps=steps)})

    assert signed_in_as(client) is None
    assert "Wait for the next one, then try again." in answer.content.decode()
    client.post(CODE, {"code": code(rachels_secret)})
    assert signed_in_as(client) == str(rachel.pk)


def test_a_code_works_once_even_when_the_cache_is_lost(client, rachel, rachels_secret):
    used = code(rachels_secret)
    give_password(client, rachel)
    client.post(CODE, {"code": used})
    client.post("/account/logout/")
    cache.clear()
    give_password(client, rachel)

    answer = client.post(CODE, {"code": used})

    assert signed_in_as(client) is None
    assert "This code is wrong or was used already" in answer.content.decode()


def test_an_older_code_is_refused_after_a_newer_one(rachel, rachels_secret):
    assert use_code(user=rachel, code=code(rachels_secret)) is not None

    assert use_code(user=rachel, code=code(rachels_secret, steps=-1)) is None


def test_another_persons_code_does_not_work(client, rachel, adam, rachels_secret):
    theirs = add_app(adam)
    give_password(client, rachel)

    for wrong in (code(theirs), recovery_codes(adam)[0]):
        client.post(CODE, {"code": wrong})

    assert signed_in_as(client) is None
    assert len(recovery_codes(adam)) == 10
    assert AuditEvent.objects.filter(action="mfa.failed", object_id=str(rachel.pk)).count() == 2


def test_a_recovery_code_works_once_and_its_owner_is_told(client, rachel, rachels_secret):
    first = recovery_codes(rachel)[0]
    give_password(client, rachel)
    client.post(CODE, {"code": first})
    assert signed_in_as(client) == str(rachel.pk)
    assert "A recovery code was used to sign in. You have 9 left." in told(rachel)

    client.post("/account/logout/")
    give_password(client, rachel)
    client.post(CODE, {"code": first})

    assert signed_in_as(client) is None


def test_codes_cannot_be_guessed_at_for_long(client, rachel, rachels_secret):
    give_password(client, rachel)
    for guess in range(5):
        client.post(CODE, {"code": f"{guess:06}"})

    answer = client.post(CODE, {"code": code(rachels_secret)})

    assert signed_in_as(client) is None
    assert "Too many wrong tries" in answer.content.decode()


@pytest.mark.parametrize("typed", ["", "  ", "\0", "９９９９９９", "x" * 5000, "🎈" * 6, "' OR 1=1 --"])
def test_what_is_no_code_is_refused(client, rachel, rachels_secret, typed):
    give_password(client, rachel)

    assert client.post(CODE, {"code": typed}).status_code == 200
    assert signed_in_as(client) is None


@pytest.mark.parametrize(
    "typed", ["", "{}", "[]", "null", '{"response": null}', '{"id": "x", "rawId": "x", "response": {}}', "not json"]
)
@pytest.mark.parametrize("address", [CODE, "/account/2fa/passkeys/sign-in/"])
def test_what_is_no_passkey_is_refused(client, rachel, rachels_secret, typed, address):
    give_password(client, rachel)

    assert client.post(address, {"credential": typed}).status_code in (200, 302)
    assert signed_in_as(client) is None


def test_a_password_alone_does_not_take_the_second_factor_away(client, rachel, rachels_secret):
    give_password(client, rachel)

    assert client.post(REMOVE_APP)["Location"].startswith(LOGIN)
    assert Authenticator.objects.filter(user=rachel, type="totp").exists()


def test_the_admin_sites_own_sign_in_does_not_dodge_the_second_factor(client, ivan):
    add_app(ivan)

    client.post("/admin/login/", {"username": ivan.email, "password": PASSWORD, "next": "/admin/"})

    assert signed_in_as(client) is None


# Taking away


def test_an_app_is_removed_with_its_recovery_codes(client, rachel, rachels_secret):
    client.force_login(rachel)
    confirm(client)

    client.post(REMOVE_APP)

    assert not Authenticator.objects.filter(user=rachel).exists()
    assert AuditEvent.objects.filter(action="mfa.removed").count() == 2
    assert "An authenticator app was removed from your account." in told(rachel)


def test_recovery_codes_are_made_anew_and_the_old_ones_are_void(client, rachel, rachels_secret):
    old = recovery_codes(rachel)
    client.force_login(rachel)
    confirm(client)

    client.post("/account/2fa/recovery-codes/new/")

    assert not set(old) & set(recovery_codes(rachel))
    assert use_code(user=rachel, code=old[0]) is None


def test_the_download_holds_the_codes_and_is_noted(client, rachel, rachels_secret):
    client.force_login(rachel)
    confirm(client)

    answer = client.get("/account/2fa/recovery-codes/file/")

    assert answer["Content-Disposition"] == 'attachment; filename="recovery-codes.txt"'
    assert all(one in answer.content.decode() for one in recovery_codes(rachel))
    assert "no-store" in answer["Cache-Control"]
    assert AuditEvent.objects.filter(action="mfa.recovery_codes_shown").count() == 1


def test_an_administrator_resets_a_lost_second_factor(client, rachel, adam, rachels_secret):
    create_token(acting_user=rachel)
    client.force_login(rachel)

    reset_mfa(acting_user=adam, user=rachel, reason="Lost telephone, identity checked in person")

    assert not Authenticator.objects.filter(user=rachel).exists()
    assert not rachel.api_tokens.exists()
    assert client.get("/patients/").status_code == 302
    event = AuditEvent.objects.get(action="user.mfa_reset")
    assert event.actor == adam
    assert "Lost telephone" in str(event.details) + event.purpose
    assert any("Your second factor was reset" in text for text in told(rachel))


def test_nobody_resets_their_own_or_that_of_a_role_they_may_not_grant(rachel, adam, ivan, rachels_secret):
    add_app(adam)
    for acting, user in ((rachel, adam), (adam, adam), (ivan, rachel), (ivan, adam)):
        with pytest.raises(PermissionDenied):
            reset_mfa(acting_user=acting, user=user, reason="because")
    with pytest.raises(ValueError, match="Say why"):
        reset_mfa(acting_user=adam, user=rachel, reason="  ")

    assert Authenticator.objects.filter(type="totp").count() == 2
