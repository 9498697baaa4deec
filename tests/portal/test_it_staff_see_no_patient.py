"""IT staff run the site and meet no patient: every page, file and answer that opens for them is searched for one."""

from __future__ import annotations

import html
import json

import pytest
from django.contrib import admin
from django.http import HttpResponse
from django.urls import NoReverseMatch, reverse

from accounts.permissions import may
from accounts.roles import Role
from portal.addresses import addresses
from tests.portal.access_samples import SAMPLES
from tests.portal.access_world import PLANTED, World
from tests.portal.test_access_matrix import path_of
from tests.portal.test_closed_by_default import OPEN

IT = Role.IT_STAFF
PART_OF_NAME = PLANTED["family name"][:-3]
"""What is searched for: a page may repeat the words, but not complete them."""
NEVER = ("patient", "image", "report", "study", "analysis", "ledger", "message", "assessment")
"""What the table must not let IT staff view, whatever else changes."""


def body_of(answer: HttpResponse) -> str:
    """All that was sent: headers, and the body as a person would read it."""
    whole = answer.getvalue() if answer.streaming else answer.content
    text = whole.decode("utf-8", errors="replace")
    if "json" in answer.get("Content-Type", ""):
        text += json.dumps(json.loads(text), ensure_ascii=False)
    return f"{answer.headers} {text} {html.unescape(text)}".casefold()


def leaks(answer: HttpResponse) -> list[str]:
    text = body_of(answer)
    return [what for what, words in PLANTED.items() if words.casefold() in text]


def opened(world: World) -> list[str]:
    """Every address outside the admin site that the table opens to IT staff, and those that are open to all."""
    user, found = world.people[IT], []
    for address in addresses():
        if address.is_admin:
            continue
        asked = address.permissions.get("GET")
        if asked is not None and may(user, *asked):
            keys = world.seen[IT].get(SAMPLES.get(address.name, ""), {})
            if keys or not address.arguments:
                found.append(path_of(address, keys))
        elif address.name in OPEN and not address.arguments:
            found.append(reverse(address.name))
    return found


def admin_pages() -> list[str]:
    """Every page of the admin site: the lists, the forms, and each row of each of its models."""
    pages = [reverse("admin:index")]
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages += [reverse(f"{name}_changelist"), f"{reverse(f'{name}_changelist')}?q={PART_OF_NAME}"]
        for view in ("add", "export"):
            try:
                pages.append(reverse(f"{name}_{view}"))
            except NoReverseMatch:
                continue
        for row in model._default_manager.all():
            pages += [reverse(f"{name}_{view}", args=[row.pk]) for view in ("change", "history", "delete")]
        app_list = reverse("admin:app_list", args=[model._meta.app_label])
        if app_list not in pages:
            pages.append(app_list)
    return pages


def test_the_table_gives_them_no_patient(world):
    assert [name for name in NEVER if may(world.people[IT], name, "view")] == []


def test_what_they_need_is_open(world):
    user = world.people[IT]

    for target, verb in (
        ("job", "view"),
        ("job", "retry"),
        ("model", "view"),
        ("operations", "view"),
        ("user", "view"),
        ("mail", "retry"),
        ("ledger_metadata", "view"),
    ):
        assert may(user, target, verb)
    for page in ("/", "/users/", "/models/", "/operations/parts/", "/admin/"):
        assert world.client(IT).get(page).status_code == 200


def test_the_planted_patient_is_found_where_she_may_be_read(world):
    """The search itself works: her radiologist reads everything that is planted."""
    client, seen = world.client(Role.RADIOLOGIST), world.seen[Role.RADIOLOGIST]
    read = {
        what
        for name, kind in (
            ("patient-detail", "patient"),
            ("patient-messages", "patient"),
            ("study-detail", "study"),
            ("analysis-detail", "analysis"),
        )
        for what in leaks(client.get(reverse(name, kwargs=seen[kind])))
    }
    read |= set(leaks(world.client(Role.ADMINISTRATOR).get("/emergency-access/")))
    read |= set(leaks(world.client(Role.ADMINISTRATOR).get("/users/")))

    assert set(PLANTED) - read == set()


def test_no_page_and_no_answer_names_a_patient(world):
    client, found = world.client(IT), {}
    paths = opened(world)
    for path in paths:
        answer = world.program(IT).get(path) if path.startswith("/api/v1/") else client.get(path)
        assert answer.status_code < 500 or path == "/readyz", path
        found[path] = leaks(answer)

    assert len(paths) > 40
    assert {path: what for path, what in found.items() if what} == {}


def test_no_page_of_the_admin_site_names_a_patient(world):
    client, found, shown = world.client(IT), {}, 0
    for path in admin_pages():
        answer = client.get(path)
        assert answer.status_code < 500, path
        shown += answer.status_code == 200
        found[path] = leaks(answer)

    assert shown > 5
    assert {path: what for path, what in found.items() if what} == {}


def test_the_admin_site_has_no_clinical_model():
    clinical = {"patient", "study", "image", "assessment", "message", "appointment", "knownoutcome"}

    assert {model._meta.model_name for model in admin.site._registry} & clinical == set()


@pytest.mark.parametrize("kind", ["patient", "study", "image", "analysis", "report", "appointment"])
def test_an_address_that_they_were_sent_leads_nowhere(world, kind):
    paths = [path_of(address, world.seen[IT][kind]) for address in addresses() if SAMPLES.get(address.name) == kind]
    client = world.client(IT)

    assert paths
    for path in paths:
        answer = world.program(IT).get(path) if path.startswith("/api/") else client.get(path)
        assert answer.status_code in (403, 404, 405), path
        assert leaks(answer) == []


@pytest.mark.parametrize("what", list(PLANTED))
def test_a_search_for_a_part_of_it_completes_nothing(world, what):
    words = PLANTED[what][: -max(2, len(PLANTED[what]) // 4)]
    client = world.client(IT)

    answers = [client.get("/admin/accounts/user/", {"q": words}), client.post("/users/", {"q": words}, follow=True)]

    repeated = {name for name, planted in PLANTED.items() if planted.casefold() in words.casefold()}
    assert [set(leaks(answer)) - repeated for answer in answers] == [set(), set()]


PROBES = (
    "teams__studies__patient__family_name__startswith",
    "teams__studies__images__analysis__label",
    "teams__members__password__startswith",
    "role__regex",
)
"""Questions that are no filter of the list of users: how many rows answer them tells what a record says."""


@pytest.mark.parametrize("question", PROBES)
def test_no_filter_of_the_admin_site_asks_about_other_columns(client, world, question):
    client.force_login(world.people[IT])

    answer = client.get(reverse("admin:accounts_user_changelist"), {question: PLANTED["family name"][:1]})

    assert answer.status_code == 400


def test_the_filters_of_the_admin_site_that_are_offered_still_work(client, world):
    client.force_login(world.people[IT])

    users = reverse("admin:accounts_user_changelist")
    for query in ("role__exact=it_staff", "is_active__exact=1", "teams__id__exact=1", "teams__isnull=True"):
        assert client.get(f"{users}?{query}").status_code == 200, query
    mails = reverse("admin:accounts_outgoingmail_changelist")
    for query in ("state__exact=failed", "kind=account", "error_code=smtp", "error_code__isnull=True"):
        assert client.get(f"{mails}?{query}").status_code == 200, query
    notices = reverse("admin:accounts_notification_changelist")
    assert client.get(f"{notices}?read_at__isempty=1").status_code == 200


@pytest.mark.parametrize("of", [("diagnosis", "report", "analysis"), ("diagnosis", "shadowreading", "analysis")])
def test_nothing_is_completed_while_it_is_typed(client, world, of):
    client.force_login(world.people[IT])
    asked = dict(zip(("app_label", "model_name", "field_name"), of, strict=True))

    answer = client.get(reverse("admin:autocomplete"), asked)

    assert answer.status_code == 404
    assert "malignant" not in body_of(answer)
