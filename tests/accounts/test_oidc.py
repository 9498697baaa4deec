"""Single sign-on by OpenID Connect, with a real provider over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.test import Client

from accounts.models import AuditEvent, Notification, User
from tests.accounts.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.conftest import PASSWORD
from tests.fixture_sign_in import add_app

pytestmark = pytest.mark.django_db
START = "/account/provider/hospital/"
LOGIN = "/account/login/"


@pytest.fixture(scope="module")
def server():
    running = Provider()
    yield running
    running.close()


@pytest.fixture
def provider(server, settings):
    settings.OIDC_URL = server.url
    settings.OIDC_NAME = "St Anna sign-in"
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [
                {
                    "provider_id": "hospital",
                    "name": settings.OIDC_NAME,
                    "client_id": CLIENT_ID,
                    "secret": CLIENT_SECRET,
                    "settings": {"server_url": server.url},
                }
            ],
        }
    }
    server.spoil, server.userinfo, server.signing_key, server.algorithm = {}, {}, server.key, "RS256"
    server.issuer, server.moved = "", set()
    return server


def come_in(client, *, next_page: str = ""):
    """Press the button, sign in at the provider, come back."""
    start = client.post(f"{START}?{urlencode({'next': next_page})}" if next_page else START)
    back = requests.get(start["Location"], allow_redirects=False, timeout=5).headers["Location"]
    return client.get(f"{urlsplit(back).path}?{urlsplit(back).query}")


def signed_in_as(client) -> str | None:
    return client.session.get("_auth_user_id")


def refusals() -> list[str]:
    return [event.details["code"] for event in AuditEvent.objects.filter(action="user.provider_refused")]


def test_the_sign_in_page_has_the_button_only_where_there_is_a_provider(client, db, provider, settings):
    assert "Sign in with St Anna sign-in" in client.get(LOGIN).content.decode()
    settings.OIDC_URL = ""
    assert START not in client.get(LOGIN).content.decode()


def test_a_link_elsewhere_starts_no_sign_in(db, provider):
    strict = Client(enforce_csrf_checks=True)

    assert strict.get(START, {"next": "/patients/"})["Location"] == LOGIN
    assert strict.post(START).status_code == 403
    assert not strict.session.get("socialaccount_states")


def test_without_a_provider_its_addresses_are_not_there(client, db):
    assert client.get(START).status_code == client.post(START).status_code == 404
    assert client.get(f"{START}back/?code=x&state=y").status_code == 404


def test_a_colleague_on_record_comes_in_and_arrives_where_she_wanted(client, rachel, provider):
    provider.signs_in(sub="s-1", email="Rachel@TEST.local")

    answer = come_in(client, next_page="/patients/")

    assert answer["Location"] == "/patients/"
    assert signed_in_as(client) == str(rachel.pk)
    assert AuditEvent.objects.get(action="user.signed_in").details["by"] == ["socialaccount"]
    assert AuditEvent.objects.filter(action="user.provider_connected").count() == 1


def test_the_password_stays_and_the_owner_is_told_of_the_new_way_in(client, rachel, provider):
    before = rachel.password
    provider.signs_in(sub="s-1", email=rachel.email)

    come_in(client)

    rachel.refresh_from_db()
    assert rachel.password == before
    assert "hospital's sign-in too" in Notification.objects.filter(user=rachel).latest("pk").text or any(
        "hospital's sign-in too" in text for text in Notification.objects.values_list("text", flat=True)
    )


def test_she_is_known_by_her_number_from_then_on_not_by_her_address(client, rachel, provider):
    provider.signs_in(sub="s-1", email=rachel.email)
    come_in(client)
    client.post("/account/logout/")
    provider.signs_in(sub="s-1", email="rachel.married@test.local")

    come_in(client)

    assert signed_in_as(client) == str(rachel.pk)


def test_somebody_else_who_got_her_address_is_not_let_in(client, rachel, provider):
    provider.signs_in(sub="s-1", email=rachel.email)
    come_in(client)
    client.post("/account/logout/")
    provider.signs_in(sub="s-2", email=rachel.email)

    answer = come_in(client)

    assert answer.status_code == 403
    assert signed_in_as(client) is None
    assert refusals() == ["another_person"]


@pytest.mark.parametrize("verified", [False, None, "false", "true", 1, 0])
def test_an_address_that_the_provider_has_not_verified_opens_nothing(client, rachel, provider, verified):
    provider.signs_in(sub="s-1", email=rachel.email, verified=verified)

    assert come_in(client).status_code == 403
    assert signed_in_as(client) is None
    assert not SocialAccount.objects.exists()


def test_nobody_is_made(client, rachel, provider):
    provider.signs_in(sub="s-9", email="newcomer@test.local")

    answer = come_in(client)

    assert answer.status_code == 403
    assert "there is no active account here" in answer.content.decode()
    assert User.objects.count() == 1
    assert refusals() == ["not_on_record"]


def test_somebody_switched_off_is_not_let_in_before_or_after_being_connected(client, rachel, provider):
    provider.signs_in(sub="s-1", email=rachel.email)
    User.objects.filter(pk=rachel.pk).update(is_active=False)
    assert come_in(client).status_code == 403
    User.objects.filter(pk=rachel.pk).update(is_active=True)
    come_in(client)
    client.post("/account/logout/")
    User.objects.filter(pk=rachel.pk).update(is_active=False)

    come_in(client)

    assert signed_in_as(client) is None


@pytest.mark.parametrize("claim", ["role", "roles", "groups", "is_staff"])
def test_the_role_is_never_taken_from_the_provider(client, petra, provider, claim):
    provider.signs_in(sub="s-1", email=petra.email, **{claim: "administrator"})

    come_in(client)

    petra.refresh_from_db()
    assert (petra.role, petra.is_staff) == ("patient", False)


# Forged answers


@pytest.mark.parametrize(
    "spoil",
    [
        {"iss": "https://evil.example"},
        {"aud": "somebody-else"},
        {"exp": 1_000_000_000},
        {"sub": "s-2"},
        {"iat": 99_999_999_999},
    ],
    ids=["issuer", "audience", "expired", "another subject than userinfo", "from the future"],
)
def test_an_id_token_that_does_not_fit_is_refused(client, rachel, provider, spoil):
    provider.signs_in(sub="s-1", email=rachel.email)
    provider.spoil = spoil

    assert come_in(client).status_code == 403
    assert signed_in_as(client) is None
    assert len(refusals()) == 1


def test_an_id_token_signed_by_somebody_else_is_refused(client, rachel, provider):
    provider.signs_in(sub="s-1", email=rachel.email)
    provider.signing_key = provider.other_key

    assert come_in(client).status_code == 403
    assert signed_in_as(client) is None


@pytest.mark.parametrize(("algorithm", "key"), [("none", ""), ("HS256", "x" * 32)])
def test_an_id_token_without_a_public_keys_signature_is_refused(client, rachel, provider, algorithm, key):
    provider.signs_in(sub="s-1", email=rachel.email)
    provider.algorithm, provider.signing_key = algorithm, key

    assert come_in(client).status_code == 403
    assert signed_in_as(client) is None


def test_an_answer_that_nobody_asked_for_is_refused(client, rachel, provider):
    """Login CSRF: somebody else's code and state in her browser."""
    provider.signs_in(sub="s-1", email=rachel.email)
    theirs = requests.get(client.post(START)["Location"], allow_redirects=False, timeout=5).headers["Location"]
    client.cookies.clear()

    answer = client.get(f"{urlsplit(theirs).path}?{urlsplit(theirs).query}")

    assert answer.status_code == 403
    assert signed_in_as(client) is None


def test_an_answer_works_once(client, rachel, provider):
    provider.signs_in(sub="s-1", email=rachel.email)
    start = client.post(START)["Location"]
    back = urlsplit(requests.get(start, allow_redirects=False, timeout=5).headers["Location"])
    client.get(f"{back.path}?{back.query}")
    client.post("/account/logout/")

    assert client.get(f"{back.path}?{back.query}").status_code == 403
    assert signed_in_as(client) is None


def test_the_request_is_bound_to_this_browser_and_names_the_public_address(client, db, provider, settings):
    asked = parse_qs(urlsplit(client.post(START, HTTP_HOST="127.0.0.1:9")["Location"]).query)

    assert asked["redirect_uri"] == [f"{settings.PUBLIC_URL}{START}back/"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["state"]


@pytest.mark.parametrize(
    "query",
    ["?process=connect", "?scope=admin", "?auth_params=redirect_uri%3Dhttps://evil.example/", "?action=reauthenticate"],
)
def test_nothing_of_the_address_but_next_is_passed_on(client, adam, provider, query):
    client.force_login(adam)
    asked = parse_qs(urlsplit(client.post(START + query)["Location"]).query)

    assert set(asked["scope"][0].split()) == {"openid", "profile", "email"}
    assert "evil" not in str(asked)


def test_it_leads_to_no_other_site(client, rachel, provider):
    provider.signs_in(sub="s-1", email=rachel.email)

    assert come_in(client, next_page="//evil.example/")["Location"] == "/"


@pytest.mark.parametrize(
    "query", ["", "?error=access_denied", "?code=x", "?state=x", "?code=x&state=x", "?code=%00&state=%00"]
)
def test_a_broken_answer_is_refused_in_words(client, db, provider, query):
    answer = client.get(f"{START}back/{query}")

    assert answer.status_code == 403
    assert "You are not signed in" in answer.content.decode()


def test_a_provider_that_is_down_leaves_the_password(client, rachel, provider, settings):
    app = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]
    app["settings"] = {"server_url": "http://127.0.0.1:9"}

    answer = client.post(START)

    assert answer.status_code == 403
    assert "sign in with your password" in answer.content.decode()


def test_a_provider_that_calls_itself_another_is_refused(client, rachel, provider):
    """Before the browser is sent there, and after: its papers may change in between."""
    provider.signs_in(sub="s-1", email=rachel.email)
    back = urlsplit(requests.get(client.post(START)["Location"], allow_redirects=False, timeout=5).headers["Location"])
    provider.issuer = "https://login.evil.example"

    assert client.post(START).status_code == 403
    assert client.get(f"{back.path}?{back.query}").status_code == 403
    assert signed_in_as(client) is None


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/userinfo"])
def test_an_answer_of_the_provider_that_leads_elsewhere_is_not_followed(client, rachel, provider, path):
    provider.signs_in(sub="s-1", email=rachel.email)
    back = urlsplit(requests.get(client.post(START)["Location"], allow_redirects=False, timeout=5).headers["Location"])
    provider.moved = {path}

    assert client.get(f"{back.path}?{back.query}").status_code == 403
    assert signed_in_as(client) is None


def test_no_token_of_the_provider_is_kept_or_reaches_the_browser(client, rachel, provider):
    provider.signs_in(sub="s-1", email=rachel.email)

    answer = come_in(client)

    assert signed_in_as(client) == str(rachel.pk)
    assert not SocialToken.objects.exists()
    said = f"{answer.headers} {answer.content!r} {answer.cookies} {dict(client.session)}"
    # A JSON Web Token has three parts, the first two JSON; our own signed cookies are not such.
    assert not re.search(r"eyJ[\w-]+\.eyJ[\w-]+\.|\baccess\b", said)


# Second factors


def test_the_provider_alone_does_not_satisfy_the_policy(client, rachel, provider, settings):
    settings.MFA_ROLES = frozenset({"radiologist"})
    provider.signs_in(sub="s-1", email=rachel.email)
    come_in(client)

    assert client.get("/patients/")["Location"] == "/account/2fa/"


def test_it_does_where_the_site_says_so(client, rachel, provider, settings):
    settings.MFA_ROLES, settings.OIDC_SATISFIES_MFA = frozenset({"radiologist"}), True
    provider.signs_in(sub="s-1", email=rachel.email)
    come_in(client)

    assert client.get("/patients/").status_code == 200
    client.post("/account/logout/")
    client.post(LOGIN, {"login": rachel.email, "password": PASSWORD})
    assert client.get("/patients/")["Location"] == "/account/2fa/"


def test_a_second_factor_of_ones_own_is_asked_for_after_the_provider(client, rachel, provider):
    add_app(rachel)
    provider.signs_in(sub="s-1", email=rachel.email)

    answer = come_in(client)

    assert answer["Location"] == "/account/2fa/code/"
    assert signed_in_as(client) is None


def test_not_where_the_provider_has_asked_for_one(client, rachel, provider, settings):
    settings.OIDC_SATISFIES_MFA = True
    add_app(rachel)
    provider.signs_in(sub="s-1", email=rachel.email)

    come_in(client)

    assert signed_in_as(client) == str(rachel.pk)
    assert Authenticator.objects.filter(user=rachel).count() == 2


def test_a_token_made_after_such_a_sign_in_works_and_none_is_given_for_the_password_alone(
    client, api, rachel, provider, settings
):
    settings.MFA_ROLES, settings.OIDC_SATISFIES_MFA = frozenset({"radiologist"}), True
    provider.signs_in(sub="s-1", email=rachel.email)
    come_in(client)

    made = client.post("/account/tokens/new/", {"label": "Import", "days": "1"})
    secret = re.search(r'id="token"[^>]*>([\w-]+)<', made.content.decode())
    assert secret is not None
    program = Client(headers={"Authorization": f"Bearer {secret[1]}"})
    by_password = api().post("/api/v1/tokens/", {"email": rachel.email, "password": PASSWORD}, format="json")

    assert program.get("/api/v1/studies/").status_code == 200
    assert by_password.json()["code"] == "mfa_required"


def test_who_has_no_password_confirms_by_the_provider(client, rachel, provider):
    provider.signs_in(sub="s-1", email=rachel.email)
    come_in(client)
    rachel.refresh_from_db()
    rachel.set_unusable_password()
    rachel.save()
    client.force_login(rachel)

    question = client.get("/account/tokens/new/")["Location"]
    asked = parse_qs(urlsplit(client.get(question)["Location"]).query)

    assert question.startswith("/account/reauthenticate/provider/")
    assert asked["prompt"] == ["login"]


def test_the_environment_alone_configures_it(tmp_path):
    script = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        "app = settings.SOCIALACCOUNT_PROVIDERS['openid_connect']['APPS'][0]\n"
        "print(app['client_id'], app['secret'], app['settings']['server_url'], settings.OIDC_NAME)\n"
    )
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OIDC_")},
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DEMO": "1",
        "DATA_DIR": str(tmp_path),
        "OIDC_URL": "https://login.example/realms/a/",
        "OIDC_CLIENT_ID": "senolens",
        "OIDC_CLIENT_SECRET_FILE": str(secret),
        "OIDC_NAME": "St Anna",
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    missing = subprocess.run(
        [sys.executable, "-c", script],
        env={name: value for name, value in environment.items() if name != "OIDC_CLIENT_ID"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stdout.split("\n")[0] == "senolens from a file https://login.example/realms/a St Anna", done.stderr
    assert "OIDC_CLIENT_ID is not set" in missing.stderr
