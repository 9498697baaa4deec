"""Role x address x method: what the table allows is let in, everything else is refused and changes nothing.

The list of addresses is the site's own, and that of the API is compared with its schema. An address that names no
permission, or has an argument and no sample in ``access_samples``, fails here.
"""

from __future__ import annotations

import re

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator

from accounts.permissions import may
from accounts.roles import TABLE, Role
from portal.addresses import Address, addresses
from tests.portal.access_samples import BODY, EVERYBODYS, GONE, NOT_THERE, SAMPLES, SEES_ALL
from tests.portal.access_world import World
from tests.portal.test_closed_by_default import OPEN

ASKED = [one for one in addresses() if one.permissions and not one.is_admin and one.name not in OPEN]
"""Every address that asks the table before anything else."""
FORMS = ("POST", "PUT", "PATCH", "DELETE")
LET_IN = frozenset({200, 201, 202, 204, 302, 303, 400, 405, 409, 413, 415, 422, 429})
REFUSED = frozenset({403, 404})
NOTED = re.compile(
    r'^(INSERT INTO|UPDATE|DELETE FROM) "(?!accounts_auditevent|django_session|usersessions_|counted_tries|'
    r'accounts_apitoken" SET "last_used_at")'
)
"""A write to anything but the ledger, the session, the counters of tries, and when a token was last used."""


def by_name(found: list[Address]) -> list[object]:
    return [pytest.param(one, id=one.name) for one in found]


def path_of(address: Address, keys: dict[str, object]) -> str:
    if address.name == "api-no-such-address":
        return "/api/v1/nothing/"
    return reverse(address.name, kwargs={name: keys[name] for name in address.arguments})


def send(world: World, role: Role, address: Address, method: str, path: str) -> HttpResponse:
    client = world.program(role) if address.is_api else world.client(role)
    body = BODY if method in FORMS else {}
    answer = getattr(client, method.lower())(path, body, **({} if address.is_api else {"HTTP_ACCEPT": "text/html"}))
    if answer.streaming:
        answer.getvalue()  # closes its file
    return answer


def expected(address: Address, method: str, user: object) -> frozenset[int]:
    """What the table says: let in, or refused; 403 and 404 are told apart in the tests of each page."""
    return LET_IN if may(user, *address.permissions[method]) else REFUSED


# Nothing is forgotten


def test_every_address_of_ours_names_a_permission_or_is_open():
    unnamed = [one.name for one in addresses() if one.is_own and not one.is_admin and not one.permissions]
    assert [name for name in unnamed if name not in OPEN] == []
    assert len(ASKED) > 80


def test_every_permission_is_one_of_the_table():
    for address in ASKED:
        for target, verb in address.permissions.values():
            assert verb in TABLE[target], address.name


def test_every_address_with_an_argument_has_a_sample():
    needed = {one.name for one in ASKED if one.arguments} - set(NOT_THERE)
    assert needed - set(SAMPLES) == set(), "add a line to tests/portal/access_samples.py"
    assert set(SAMPLES) - needed == set(), "these addresses are gone"


def test_every_sample_has_somebody_elses_or_says_why_not(world):
    for address in ASKED:
        kind = SAMPLES.get(address.name)
        for role in Role:
            if kind is None or not may(world.people[role], *next(iter(address.permissions.values()))):
                continue
            assert kind in world.seen[role], (address.name, role)
            alone = kind in EVERYBODYS or kind in SEES_ALL.get(role, ())
            assert (kind in world.hidden[role]) != alone, (address.name, role, kind)


def test_the_schema_of_the_api_and_the_table_know_the_same_methods():
    schema = SchemaGenerator().get_schema(request=None, public=True)
    open_to_programs = {("POST", "/api/v1/tokens/")}
    described = {
        (method.upper(), re.sub(r"{\w+}", "*", path))
        for path, operations in schema["paths"].items()
        for method in operations
        if method in ("get", "post", "put", "patch", "delete")
    }
    asked = {
        (method, re.sub(r"<[^>]+>", "*", one.route))
        for one in ASKED
        if one.route.startswith("/api/v1/") and one.name not in NOT_THERE
        for method in one.permissions
    }
    assert described == asked | open_to_programs


# Each cell


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("address", by_name(ASKED))
def test_a_role_is_let_in_exactly_where_the_table_says(world, address, role):
    user = world.people[role]
    keys = world.seen[role].get(SAMPLES.get(address.name, ""), {})
    statuses = {}
    for method in address.permissions:
        if SAMPLES.get(address.name) and not keys:
            # The role has no such object of its own: it must not be let in at all.
            assert not may(user, *address.permissions[method])
            continue
        path = path_of(address, keys)
        with transaction.atomic(), CaptureQueriesContext(connection) as queries:
            answer = send(world, role, address, method, path)
            transaction.set_rollback(True)
        statuses[method] = answer.status_code
        allowed = expected(address, method, user)
        if address.name in NOT_THERE and allowed is LET_IN:
            allowed = frozenset({404})
        assert answer.status_code in allowed | {405}, (method, path, answer.content[:300])
        if allowed is REFUSED:
            assert [query["sql"][:200] for query in queries if NOTED.match(query["sql"])] == []
        if answer.status_code in (302, 303):
            assert not answer["Location"].startswith("/account/login/?"), answer["Location"]
    assert not statuses or set(statuses.values()) != {405}


HIDDEN = [
    pytest.param(address, role, id=f"{address.name}-{role}")
    for address in ASKED
    for role in Role
    if address.name in SAMPLES
    and SAMPLES[address.name] not in EVERYBODYS
    and SAMPLES[address.name] not in SEES_ALL.get(role, ())
    and any(role in TABLE[target][verb] for target, verb in address.permissions.values())
]


@pytest.mark.parametrize(("address", "role"), HIDDEN)
def test_what_belongs_to_somebody_else_does_not_exist(world, address, role):
    path = path_of(address, world.hidden[role][SAMPLES[address.name]])
    for method in address.permissions:
        with transaction.atomic(), CaptureQueriesContext(connection) as queries:
            answer = send(world, role, address, method, path)
            transaction.set_rollback(True)
        refused = (302, 405) if address.name in GONE else (404, 405)
        assert answer.status_code in refused, (method, path, answer.content[:300])
        assert [query["sql"][:200] for query in queries if NOTED.match(query["sql"])] == []


def test_a_stranger_gets_in_nowhere(world):
    for address in ASKED:
        keys = next((seen for seen in world.seen.values() if SAMPLES.get(address.name) in seen), {})
        path = path_of(address, keys.get(SAMPLES.get(address.name, ""), {}))
        for method in address.permissions:
            answer = getattr(Client(), method.lower())(path)
            shut = answer.status_code in (401, 403, 404, 405)
            asked_to_sign_in = answer.status_code == 302 and answer["Location"].startswith("/account/login/")
            assert shut or asked_to_sign_in, (address.name, method, answer.status_code)
