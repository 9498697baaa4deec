"""Teams: who makes them, who is in them, and what the pages say."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts import actions
from accounts.models import AuditEvent, Team
from tests.conftest import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic(adam):
    return actions.create_team(acting_user=adam, name="Breast clinic")


@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 200), ("rachel", 403), ("petra", 403)])
def test_who_sees_the_list(client, request, clinic, who, status):
    client.force_login(request.getfixturevalue(who))

    answer = client.get("/teams/")

    assert answer.status_code == status
    assert ("Breast clinic" in answer.content.decode()) == (status == 200)


def test_an_administrator_makes_a_team_and_puts_people_into_it(client, adam, rachel):
    client.force_login(adam)

    made = client.post("/teams/new/", {"name": "  Breast   clinic "})
    team = Team.objects.get()
    client.post(f"/teams/{team.pk}/", {"name": team.name, "is_active": "on", "members": [rachel.pk]})

    assert made.url == f"/teams/{team.pk}/"
    assert team.name == "Breast clinic"
    assert list(team.members.all()) == [rachel]
    assert AuditEvent.objects.filter(action="team.created", actor=adam).count() == 1
    assert AuditEvent.objects.get(action="user.teams_changed").details == {"added": [team.pk], "removed": []}
    assert "Nobody" not in client.get("/teams/").content.decode()


def test_saving_twice_changes_nothing_the_second_time(client, adam, rachel, clinic):
    client.force_login(adam)
    for _ in range(2):
        client.post(f"/teams/{clinic.pk}/", {"name": clinic.name, "is_active": "on", "members": [rachel.pk]})

    assert AuditEvent.objects.filter(action="user.teams_changed").count() == 1
    assert not AuditEvent.objects.filter(action="team.changed").exists()


def test_a_team_is_renamed_and_switched_off_and_its_members_stay(client, adam, rachel, clinic):
    actions.set_teams(acting_user=adam, user=rachel, teams=[clinic])
    client.force_login(adam)

    client.post(f"/teams/{clinic.pk}/", {"name": "Screening", "members": [rachel.pk]})

    clinic.refresh_from_db()
    assert (clinic.name, clinic.is_active) == ("Screening", False)
    assert list(clinic.members.all()) == [rachel]
    assert "Switched off" in client.get("/teams/").content.decode()
    assert AuditEvent.objects.get(action="team.changed").details == {"fields": ["name", "is_active"]}


@pytest.mark.parametrize("name", ["", "   ", "Breast clinic", "BREAST  CLINIC", "x" * 81, "Breast\u202eclinic", "a\0b"])
def test_a_name_that_is_empty_taken_long_or_hides_something_is_refused(client, adam, clinic, name):
    client.force_login(adam)

    answer = client.post("/teams/new/", {"name": name})

    assert answer.status_code == 422
    assert "Nothing was saved" in answer.content.decode()
    assert Team.objects.count() == 1


def test_a_name_is_never_markup(client, adam):
    actions.create_team(acting_user=adam, name="<script>alert(1)</script>")
    client.force_login(adam)

    html = client.get("/teams/").content.decode()

    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert" not in html


def test_it_staff_read_a_team_and_cannot_change_it(client, ivan, rachel, clinic):
    client.force_login(ivan)

    page = client.get(f"/teams/{clinic.pk}/").content.decode()
    refused = client.post(f"/teams/{clinic.pk}/", {"name": "Mine", "is_active": "on", "members": [rachel.pk]})

    assert "Nobody yet" in page
    assert "<input" not in page.split("<main")[1]
    assert refused.status_code == 403
    clinic.refresh_from_db()
    assert clinic.name == "Breast clinic"
    assert not clinic.members.exists()


@pytest.mark.parametrize("who", ["rachel", "ivan", "petra"])
def test_only_administrators_have_the_verbs(request, clinic, who):
    user = request.getfixturevalue(who)

    with pytest.raises(PermissionDenied):
        actions.create_team(acting_user=user, name="Mine")
    with pytest.raises(PermissionDenied):
        actions.update_team(acting_user=user, team=clinic, name="Mine")
    with pytest.raises(PermissionDenied):
        actions.set_teams(acting_user=user, user=user, teams=[clinic])
    with pytest.raises(PermissionDenied):
        actions.set_team_members(acting_user=user, team=clinic, members=[user])
    assert not clinic.members.exists()


def test_a_patient_works_in_no_team(client, adam, petra, clinic):
    with pytest.raises(ValidationError):
        actions.set_teams(acting_user=adam, user=petra, teams=[clinic])
    client.force_login(adam)

    answer = client.post(f"/teams/{clinic.pk}/", {"name": clinic.name, "is_active": "on", "members": [petra.pk]})

    assert answer.status_code == 422
    assert not clinic.members.exists()


def test_taking_somebody_out_of_a_team_leaves_their_other_teams(adam, rachel, clinic):
    screening = actions.create_team(acting_user=adam, name="Screening")
    bob = person("bob@test.local", "radiologist", "Bob", "Radiologist")
    actions.set_teams(acting_user=adam, user=rachel, teams=[clinic, screening])

    changed = actions.set_team_members(acting_user=adam, team=clinic, members=[bob])

    assert changed == 2
    assert list(rachel.teams.all()) == [screening]
    assert list(bob.teams.all()) == [clinic]


def test_a_site_without_teams_is_told_what_they_are_for(client, adam):
    client.force_login(adam)

    assert "Every radiologist sees every study" in client.get("/teams/").content.decode()
