"""The list of users."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.utils import timezone

from accounts.actions import create_team, create_user, invite_user, set_teams
from accounts.models import AuditEvent, User
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
URL = "/users/"


def test_an_administrator_sees_name_address_role_and_last_sign_in(client, adam, rachel):
    client.force_login(adam)
    confirm(client)

    page = client.get(URL).content.decode()

    for text in ("Rachel Radiologist", "rachel@test.local", "Radiologist", "May sign in", "Never"):
        assert text in page


@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 200), ("rachel", 403), ("petra", 403)])
def test_who_may_open_it(client, request, who, status):
    client.force_login(request.getfixturevalue(who))
    confirm(client)

    assert client.get(URL).status_code == status


def test_strangers_are_sent_to_sign_in(client):
    assert client.get(URL)["Location"] == "/account/login/?next=/users/"


def test_it_staff_do_not_see_the_names_of_patients(client, ivan, petra, rachel):
    client.force_login(ivan)
    confirm(client)

    page = client.get(URL).content.decode()

    assert "rachel@test.local" in page
    assert "Petra" not in page
    assert client.get(f"/users/{petra.pk}/").status_code == 404


@pytest.fixture
def house(adam, ivan, rachel, petra):
    """Everybody: Rachel in the breast clinic with a second factor, Petra switched off, Lena invited."""
    clinic = create_team(acting_user=adam, name="Breast clinic")
    set_teams(acting_user=adam, user=rachel, teams=[clinic])
    Authenticator.objects.create(user=rachel, type=Authenticator.Type.TOTP, data={})
    User.objects.filter(pk=petra.pk).update(is_active=False)
    User.objects.filter(pk=ivan.pk).update(last_login=timezone.now() - timedelta(days=120))
    invite_user(acting_user=adam, email="lena@test.local", role="radiologist", family_name="Locum")
    return clinic


def found(client, query: str) -> set[str]:
    return {person.email.split("@")[0] for person in client.get(f"{URL}?{query}", follow=True).context["page"]}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("q=rach", {"rachel"}),
        ("q=RADIOLOGIST+rachel", {"rachel"}),
        ("role=it_staff", {"ivan"}),
        ("team={team}", {"rachel"}),
        ("team=999999", set()),
        ("active=no", {"petra"}),
        ("active=invited", {"lena"}),
        ("active=yes&role=patient", set()),
        ("factor=yes", {"rachel"}),
        ("factor=no&role=radiologist", {"lena"}),
        ("seen=long-ago", {"ivan"}),
        ("seen=never&active=yes", {"rachel", "lena"}),
        ("role=unheard-of&team=%27%3B--&active=x&factor=x&seen=x", {"adam", "ivan", "rachel", "petra", "lena"}),
        ("q=%00", {"adam", "ivan", "rachel", "petra", "lena"}),
    ],
)
def test_search_and_filters(client, adam, house, query, shown):
    client.force_login(adam)
    confirm(client)

    assert found(client, query.format(team=house.pk)) == shown


def test_the_row_says_teams_second_factor_and_what_became_of_the_invitation(client, adam, house):
    client.force_login(adam)
    confirm(client)

    page = client.get(URL).content.decode()

    for text in ("Breast clinic", "Set up", "Invited", "Switched off"):
        assert text in page


@pytest.mark.parametrize(
    ("sort", "first"),
    [("name", "adam"), ("-email", "rachel"), ("role", "adam"), ("last_sign_in", "ivan"), ("-last_sign_in", "adam")],
)
def test_it_sorts_and_who_never_signed_in_comes_last(client, adam, house, sort, first):
    client.force_login(adam)
    confirm(client)

    people = list(client.get(f"{URL}?sort={sort}").context["page"])

    assert people[0].email == f"{first}@test.local"
    if "last_sign_in" in sort:
        assert people[-1].last_login is None


def test_filters_order_and_page_stay_in_the_address(client, adam):
    for number in range(30):
        create_user(acting_user=None, email=f"u{number:02}@test.local", role="radiologist")
    client.force_login(adam)
    confirm(client)

    page = client.get(f"{URL}?role=radiologist&sort=-email").content.decode()

    assert "role=radiologist&amp;sort=-email&amp;page=2" in page
    assert "role=radiologist&amp;sort=email" in page
    assert 'value="radiologist" selected' in page


def test_what_was_searched_for_is_not_in_the_address(client, adam, petra):
    client.force_login(adam)
    confirm(client)

    answer = client.post(URL, {"q": "Petra", "role": "patient"}, follow=True)

    assert [person.email for person in answer.context["page"]] == ["petra@test.local"]
    assert "Petra" not in answer.redirect_chain[-1][0]
    assert "role=patient" in answer.redirect_chain[-1][0]


def test_a_list_of_many_costs_as_many_queries_as_one_of_few(client, adam, django_assert_max_num_queries):
    for number in range(24):
        create_user(acting_user=None, email=f"u{number:02}@test.local", role="radiologist")
    client.force_login(adam)
    confirm(client)
    client.get(URL)

    with django_assert_max_num_queries(16):
        client.get(URL)


def test_htmx_gets_the_rows_alone(client, adam):
    client.force_login(adam)
    confirm(client)

    rows = client.get(f"{URL}?role=administrator", HTTP_HX_REQUEST="true").content.decode()

    assert "adam@test.local" in rows
    assert "<html" not in rows


# As a file


def exported(client, query: str = "") -> list[list[str]]:
    answer = client.get(f"/users/export.csv{query}")
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


def test_the_file_has_what_the_filters_leave_and_the_ledger_says_so(client, adam, house):
    client.force_login(adam)
    confirm(client)

    heading, *rows = exported(client, "?role=radiologist&active=yes")

    assert heading[:5] == ["email", "given_name", "family_name", "role", "teams"]
    assert [row[:5] for row in rows] == [
        ["lena@test.local", "", "Locum", "radiologist", ""],
        ["rachel@test.local", "Rachel", "Radiologist", "radiologist", "Breast clinic"],
    ]
    event = AuditEvent.objects.get(action="user.exported")
    assert (event.actor, event.details["count"]) == (adam, 2)
    assert event.details["filters"] == {"role": "radiologist", "active": "yes"}


def test_a_formula_in_the_file_is_text(client, adam, rachel):
    User.objects.filter(pk=rachel.pk).update(given_name="=HYPERLINK(1)")
    client.force_login(adam)
    confirm(client)

    assert ["rachel@test.local", "'=HYPERLINK(1)"] in [row[:2] for row in exported(client)]


@pytest.mark.parametrize(("who", "status"), [("ivan", 403), ("rachel", 403), ("petra", 403)])
def test_nobody_else_gets_the_file(client, request, who, status):
    client.force_login(request.getfixturevalue(who))
    confirm(client)

    assert client.get("/users/export.csv").status_code == status
    assert "Export as CSV" not in client.get(URL).content.decode()
    assert not AuditEvent.objects.filter(action="user.exported").exists()
