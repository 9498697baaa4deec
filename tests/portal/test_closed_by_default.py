"""No address is open by accident: each asks who is there and what they may; the few open ones are named here."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from accounts.permissions import may
from accounts.roles import TABLE, Role
from tests.fixture_results import lesion, succeeded, with_report

OPEN = {
    "healthz": "the process is alive",
    "readyz": "the site is ready",
    "verify": "is this paper report genuine; shows nothing clinical",
    "account_login": "the way in",
    "account_signup": "says that nobody signs up here",
    "account_inactive": "says that the account is switched off",
    "account_reset_password": "the way back in",
    "account_reset_password_done": "the way back in",
    "account_reset_password_from_key": "the way back in",
    "account_reset_password_from_key_done": "the way back in",
    "mfa_authenticate": "the second step of the way in",
    "mfa_login_webauthn": "the way in with a passkey",
    "openid_connect_login": "leads to the hospital's single sign-on",
    "openid_connect_callback": "the way back from there",
    "join": "a patient with the code of an invitation and the date of birth",
    "join-address": "the next step of it",
    "join-password": "the last step of it",
    "api-tokens": "the way in for programs",
    "admin:login": "the way in to the admin site",
}
"""Every address that answers strangers, and why."""

OWN = ("accounts.", "diagnosis.", "portal.")
SAMPLES = {
    "uuid": str(uuid.UUID(int=7)),
    "int": "7",
    "str": "x",
    "slug": "x",
    "path": "x/",
    "uidb36": "1",
    "key": "x-x",
    "object_id": "7",
    "app_label": "auth",
    "content_type_id": "7",
    "url": "nothing/",
}


@dataclass(frozen=True)
class Address:
    """One URL pattern with a path that it matches."""

    name: str
    path: str
    callback: object

    @property
    def view(self) -> object:
        return getattr(self.callback, "view_class", None) or getattr(self.callback, "cls", None) or self.callback

    @property
    def is_own(self) -> bool:
        return f"{self.view.__module__}.".startswith(OWN)

    @property
    def permissions(self) -> dict[str, tuple[str, str]]:
        """Method -> what is asked of the table."""
        if hasattr(self.callback, "required_permission"):
            return {"GET": self.callback.required_permission, "POST": self.callback.required_permission}
        return getattr(self.view, "required_permissions", {})

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/")


def _sample(route: str) -> str:
    """A path that the route (``path()``) or the expression (``re_path()``) matches."""
    route = re.sub(r"<(?:(\w+):)?(\w+)>", lambda found: SAMPLES[found[1] or "str"] if found[1] else "x", route)
    route = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", lambda found: SAMPLES.get(found[1], "x"), route)
    return route.replace("^", "").replace("$", "").replace("\\", "")


def _walk(patterns, prefix="/", namespace=""):
    for entry in patterns:
        # A named group looks like a converter: the two kinds of route are told apart by their class.
        text = str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk(entry.url_patterns, prefix + text, inner)
        elif isinstance(entry, URLPattern):
            is_expression = type(entry.pattern).__name__ == "RegexPattern"
            route = text if is_expression else re.sub(r"<(\w+)>", r"<str:\1>", text)
            yield Address(
                name=f"{namespace}{entry.name or text}",
                path=re.sub(r"^/+", "/", _sample(prefix + route)),
                callback=entry.callback,
            )


ADDRESSES = list(_walk(get_resolver().url_patterns))
CLOSED = [address for address in ADDRESSES if address.name not in OPEN]
OURS = [address for address in CLOSED if address.is_own and not address.name.startswith("admin:")]


def by_name(addresses):
    return [pytest.param(address, id=address.name) for address in addresses]


def test_the_walk_finds_the_addresses_it_should():
    names = {address.name for address in ADDRESSES}
    assert {"home", "history", "patient-list", "api-study", "admin:index", *OPEN} <= names
    assert len(ADDRESSES) > 50


@pytest.mark.parametrize("address", by_name(CLOSED))
def test_a_stranger_gets_nothing(client, db, address):
    for method in ("get", "post", "put", "patch", "delete"):
        answer = getattr(client, method)(address.path)
        if answer.status_code in (301, 302):
            assert re.match(r"^(/account/login/|/admin/login/)", answer["Location"]), answer["Location"]
        else:
            assert answer.status_code in ((401,) if address.is_api else (403, 404, 405))


@pytest.mark.parametrize("address", by_name(OURS))
def test_every_view_of_ours_names_what_it_asks_of_the_table(address):
    assert address.permissions, f"{address.view} names no permission"
    for target, verb in address.permissions.values():
        assert TABLE[target][verb]


@pytest.mark.parametrize("address", by_name(address for address in OURS if not address.is_api))
@pytest.mark.parametrize("role", list(Role))
def test_a_role_that_is_not_in_the_table_does_not_get_in(client, address, role, request):
    person = request.getfixturevalue(
        {"radiologist": "rachel", "administrator": "adam", "it_staff": "ivan"}.get(role, "petra")
    )
    client.force_login(person)
    statuses = [getattr(client, method.lower())(address.path).status_code for method in address.permissions]
    if all(may(person, *needed) for needed in address.permissions.values()):
        assert 403 not in statuses
    else:
        assert {403, 404} & set(statuses)
        # A method that the page does not have is refused before anybody asks who sent it.
        assert set(statuses) <= {403, 404, 405}


@pytest.mark.parametrize("address", by_name(address for address in ADDRESSES if address.name.startswith("admin:")))
def test_the_admin_site_is_shut_to_radiologists_and_patients(client, rachel, petra, address):
    for person in (rachel, petra):
        client.force_login(person)
        answer = client.get(address.path)
        allowed = (200,) if address.name in ("admin:login", "admin:logout") else ()
        if answer.status_code == 302:
            assert answer["Location"].startswith(("/admin/login/", "/account/")) or answer["Location"] == "/admin/"
        else:
            assert answer.status_code in (403, 404, 405, *allowed)


# The REST API, role by role


@dataclass(frozen=True)
class Call:
    """A request of the API, what it asks of the table, and whose sight of the object decides between 403 and 404."""

    method: str
    path: str
    needs: tuple[str, str]
    sight: tuple[str, str] | None = None


CALLS = [
    Call("delete", "tokens/current/", ("token", "delete")),
    Call("get", "patients/", ("patient", "view")),
    Call("post", "patients/", ("patient", "create")),
    Call("get", "patients/{patient}/", ("patient", "view"), ("patient", "view")),
    Call("patch", "patients/{patient}/", ("patient", "change"), ("patient", "view")),
    Call("get", "studies/", ("study", "view")),
    Call("post", "studies/", ("study", "create")),
    Call("get", "studies/{study}/", ("study", "view"), ("study", "view")),
    Call("post", "studies/{study}/images/", ("image", "add"), ("study", "view")),
    Call("get", "analyses/{analysis}/", ("analysis", "view"), ("analysis", "view")),
    Call("post", "analyses/{analysis}/retry/", ("analysis", "retry"), ("analysis", "view")),
    Call("post", "analyses/{analysis}/cancel/", ("analysis", "cancel"), ("analysis", "view")),
    Call("get", "analyses/{analysis}/explanation.png", ("analysis", "view"), ("analysis", "view")),
    Call("get", "analyses/{analysis}/segmentation.png", ("analysis", "view"), ("analysis", "view")),
    Call("get", "models/", ("model", "view")),
]


@pytest.fixture
def objects(rachel, anna, study):
    analysis = succeeded(study=study, by=rachel, found=lesion())
    with_report(analysis)
    return {"patient": anna.pk, "study": study.pk, "analysis": analysis.pk}


@pytest.mark.parametrize("call", [pytest.param(call, id=f"{call.method} {call.path}") for call in CALLS])
@pytest.mark.parametrize("role", list(Role))
def test_the_api_answers_each_role_as_the_table_says(objects, rachel, adam, ivan, petra, call, role):
    person = {"radiologist": rachel, "administrator": adam, "it_staff": ivan, "patient": petra}[role]
    client = APIClient()
    client.force_authenticate(person)
    status = getattr(client, call.method)("/api/v1/" + call.path.format(**objects), {}).status_code
    if may(person, *call.needs):
        # A token is deleted only by a request that carries one.
        assert status in (200, 201, 400, 409, 415) or (status, call.path) == (404, "tokens/current/")
    elif call.sight is None or may(person, *call.sight):
        assert status == 403
    else:
        assert status == 404


def test_the_matrix_covers_every_address_of_the_api():
    covered = {re.sub(r"{\w+}", "*", call.path) for call in CALLS}
    covered |= {"tokens/", "analyses/*/report.pdf", "models/x/x/card/", "x/"}
    api = {address.path.removeprefix("/api/v1/") for address in ADDRESSES if address.path.startswith("/api/v1/")}
    assert {path.replace(SAMPLES["uuid"], "*") for path in api} == covered


@pytest.mark.parametrize(("role", "status"), [("rachel", 200), ("adam", 200), ("ivan", 404), ("petra", 404)])
def test_a_report_is_for_those_who_may_see_it(objects, request, role, status):
    client = APIClient()
    client.force_authenticate(request.getfixturevalue(role))
    assert client.get(f"/api/v1/analyses/{objects['analysis']}/report.pdf").status_code == status


def test_an_address_of_the_api_that_does_not_exist_says_so_to_people_and_nothing_to_strangers(rachel):
    client = APIClient()
    assert client.get("/api/v1/nothing/").status_code == 401
    client.force_authenticate(rachel)
    assert client.get("/api/v1/nothing/").json()["code"] == "not_found"
