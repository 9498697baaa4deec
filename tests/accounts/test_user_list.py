"""The list of users."""

from __future__ import annotations

import pytest

from accounts.models import User

pytestmark = pytest.mark.django_db
URL = "/users/"


def test_an_administrator_sees_name_address_role_and_last_sign_in(client, adam, rachel):
    client.force_login(adam)

    page = client.get(URL).content.decode()

    for text in ("Rachel Radiologist", "rachel@test.local", "Radiologist", "May sign in", "Never"):
        assert text in page


@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 200), ("rachel", 403), ("petra", 403)])
def test_who_may_open_it(client, request, who, status):
    client.force_login(request.getfixturevalue(who))

    assert client.get(URL).status_code == status


def test_strangers_are_sent_to_sign_in(client):
    assert client.get(URL)["Location"] == "/account/login/?next=/users/"


def test_it_staff_do_not_see_the_names_of_patients(client, ivan, petra, rachel):
    client.force_login(ivan)

    page = client.get(URL).content.decode()

    assert "rachel@test.local" in page
    assert "Petra" not in page
    assert client.get(f"/users/{petra.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("q=rach", {"rachel"}),
        ("q=RADIOLOGIST+rachel", {"rachel"}),
        ("role=it_staff", {"ivan"}),
        ("active=no", {"petra"}),
        ("active=yes&role=patient", set()),
        ("role=unheard-of", {"adam", "ivan", "rachel", "petra"}),
        ("q=%00", {"adam", "ivan", "rachel", "petra"}),
    ],
)
def test_search_and_filters(client, adam, ivan, rachel, petra, query, shown):
    User.objects.filter(pk=petra.pk).update(is_active=False)
    client.force_login(adam)

    found = {person.email.split("@")[0] for person in client.get(f"{URL}?{query}").context["page"]}

    assert found == shown


def test_htmx_gets_the_rows_alone(client, adam):
    client.force_login(adam)

    rows = client.get(f"{URL}?q=adam", HTTP_HX_REQUEST="true").content.decode()

    assert "adam@test.local" in rows
    assert "<html" not in rows
