"""No address is open by accident: each asks who is there; the few open ones are named here.

What each role may do at each address is in test_access_matrix.py.
"""

from __future__ import annotations

import re
import uuid

import pytest
from rest_framework.test import APIClient

from portal.addresses import Address, addresses

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

SAMPLES = {
    "uuid": str(uuid.UUID(int=7)),
    "int": "7",
    "str": "x",
    "slug": "x",
    "path": "x/",
    "object_id": "7",
    "app_label": "accounts",
    "content_type_id": "7",
    "url": "nothing/",
}
"""Converter or named group -> what stands for it."""


def sample(address: Address) -> str:
    """A path that the address matches."""
    route = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", lambda found: SAMPLES.get(found[1], "x"), address.route)
    route = re.sub(r"<(\w+):\w+>", lambda found: SAMPLES[found[1]], route)
    route = re.sub(r"<\w+>", "x", route)
    return re.sub(r"[\^$\\]", "", re.sub(r"^/+", "/", route))


ADDRESSES = addresses()
CLOSED = [address for address in ADDRESSES if address.name not in OPEN]


def by_name(found: list[Address]) -> list[object]:
    return [pytest.param(address, id=address.name) for address in found]


def test_the_walk_finds_the_addresses_it_should():
    paths = {sample(address) for address in ADDRESSES}

    assert {"/", "/history/", "/api/v1/studies/", "/admin/", f"/studies/{uuid.UUID(int=7)}/"} <= paths
    assert len(ADDRESSES) > 150


def test_every_open_address_exists():
    assert set(OPEN) - {address.name for address in ADDRESSES} == set()


@pytest.mark.parametrize("address", by_name(CLOSED))
def test_a_stranger_gets_nothing(client, db, address):
    for method in ("get", "post", "put", "patch", "delete"):
        answer = getattr(client, method)(sample(address))
        if answer.status_code in (301, 302):
            assert re.match(r"^(/account/login/|/admin/login/)", answer["Location"]), answer["Location"]
        else:
            assert answer.status_code in ((401,) if address.is_api else (403, 404, 405))


@pytest.mark.parametrize("address", by_name([address for address in ADDRESSES if address.is_admin]))
def test_the_admin_site_is_shut_to_radiologists_and_patients(client, rachel, petra, address):
    for person in (rachel, petra):
        client.force_login(person)
        answer = client.get(sample(address))
        allowed = (200,) if address.name in ("admin:login", "admin:logout") else ()
        if answer.status_code == 302:
            assert answer["Location"].startswith(("/admin/login/", "/account/")) or answer["Location"] == "/admin/"
        else:
            assert answer.status_code in (403, 404, 405, *allowed)


def test_an_address_of_the_api_that_does_not_exist_says_so_to_people_and_nothing_to_strangers(rachel):
    client = APIClient()
    assert client.get("/api/v1/nothing/").status_code == 401
    client.force_authenticate(rachel)
    assert client.get("/api/v1/nothing/").json()["code"] == "not_found"
