"""The bar at the top of every page."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.django_db

STAFF = {"Home", "Patients", "History", "Models", "Users", "Ledger", "API", "Admin site"}


def labels(client) -> list[str]:
    return [entry.label for entry in client.get("/account/password/change/").context["entries"]]


@pytest.mark.parametrize(
    ("who", "offered"),
    [
        ("rachel", STAFF - {"Users", "Ledger", "Admin site"}),
        ("adam", STAFF),
        ("ivan", STAFF - {"Patients", "History"}),
        ("petra", {"Home", "Messages", "Appointments", "Who looked", "Consent and data"}),
    ],
)
def test_it_offers_what_the_role_may_open(client, request, who, offered):
    client.force_login(request.getfixturevalue(who))

    assert set(labels(client)) == offered


@pytest.mark.parametrize("who", ["rachel", "adam", "ivan", "petra"])
def test_everything_it_offers_opens(client, request, who):
    client.force_login(request.getfixturevalue(who))

    entries = client.get("/account/password/change/").context["entries"]

    assert {entry.url: client.get(entry.url).status_code for entry in entries} == {entry.url: 200 for entry in entries}


def test_it_says_where_one_is_and_who(client, rachel):
    client.force_login(rachel)

    answer = client.get("/patients/")

    page = answer.content.decode()
    assert [entry.label for entry in answer.context["entries"] if entry.current] == ["Patients"]
    assert page.count('aria-current="page"') == 1
    assert "Rachel Radiologist" in page
    assert "Sign out" in page


def test_strangers_are_offered_nothing(client):
    assert client.get("/account/login/").context["entries"] == []


def test_every_page_says_what_it_is_not_and_which_version(client, settings):
    page = client.get("/account/login/").content.decode()

    assert "Decision support, not a diagnosis" in page
    assert f"version {settings.VERSION}" in page
    assert "Demonstration hospital: synthetic patients" in page


def test_a_real_site_has_no_demonstration_ribbon(client, settings):
    settings.DEMO = False

    assert "synthetic patients" not in client.get("/account/login/").content.decode()


def test_the_bell_comes_after_the_navigation(client, rachel):
    """By keyboard it is reached where it is seen: at the end of the bar."""
    client.force_login(rachel)

    html = client.get("/").content.decode()

    assert html.index('id="site-menu"') < html.index(">Sign out<") < html.index('id="bell"')
