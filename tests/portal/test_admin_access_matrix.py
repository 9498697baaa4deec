"""The admin site asks the same table: role x model x what one can do to its rows. Nobody deletes anything there."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.db.models import Model
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.permissions import may
from accounts.roles import TABLE, Role
from tests.portal.access_samples import BODY
from tests.portal.access_world import World
from tests.portal.test_access_matrix import NOTED

MODELS = [pytest.param(model, id=model._meta.model_name) for model in admin.site._registry]
ACTIONS = ("retry", "cancel", "delete_selected")
SHUT = frozenset({302, 403, 404})
"""Refused, or led to the sign-in, or back to the start of the admin site."""


def address(model: type[Model], view: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=arguments)


def allowed(world: World, role: Role, model: type[Model], verb: str) -> bool:
    """Whether the table lets the role do the verb to rows of the model, on the admin site."""
    target, user = admin.site._registry[model].target, world.people[role]
    return may(user, "operations", "view") and verb in TABLE[target] and may(user, target, verb)


def sent(world: World, role: Role, path: str, body: dict[str, object] | None = None) -> tuple[HttpResponse, list[str]]:
    """The answer, and what was written for it beside the ledger."""
    client = world.client(role)
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        answer = client.get(path) if body is None else client.post(path, body)
        transaction.set_rollback(True)
    return answer, [query["sql"][:200] for query in queries if NOTED.match(query["sql"])]


@pytest.mark.parametrize("model", MODELS)
def test_every_class_names_an_object_of_the_table(model):
    assert "view" in TABLE[admin.site._registry[model].target]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("model", MODELS)
def test_a_list_opens_exactly_where_the_table_says(world, model, role):
    answer, _ = sent(world, role, address(model, "changelist"))

    assert (answer.status_code == 200) == allowed(world, role, model, "view")
    assert answer.status_code in SHUT | {200}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("model", MODELS)
def test_a_row_is_made_and_changed_only_where_the_table_says(world, model, role):
    row = model._default_manager.order_by("pk").first()
    forms = [("create", address(model, "add"))]
    forms += [("change", address(model, "change", row.pk))] if row is not None else []
    for verb, path in forms:
        answer, written = sent(world, role, path, dict(BODY))
        if not allowed(world, role, model, verb):
            assert answer.status_code in SHUT, (verb, path)
            assert written == []


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("model", MODELS)
def test_nobody_deletes_a_row(world, model, role):
    for row in model._default_manager.order_by("pk")[:3]:
        answer, written = sent(world, role, address(model, "delete", row.pk), {"post": "yes"})

        assert answer.status_code in SHUT
        assert written == []


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("model", MODELS)
def test_an_action_is_done_only_by_who_may(world, model, role):
    rows = [str(pk) for pk in model._default_manager.values_list("pk", flat=True)[:3]]
    for action in ACTIONS:
        body = {"action": action, "_selected_action": rows, "post": "yes"}
        answer, written = sent(world, role, address(model, "changelist"), body)

        assert answer.status_code < 500
        if not allowed(world, role, model, action):
            assert written == [], action


def test_it_staff_change_nobody_whom_they_do_not_see(world):
    hidden = world.hidden[Role.IT_STAFF]["log-in"]["pk"]
    model = type(world.people[Role.IT_STAFF])

    answer, written = sent(world, Role.IT_STAFF, address(model, "change", hidden), dict(BODY))

    assert answer.status_code in SHUT
    assert written == []
