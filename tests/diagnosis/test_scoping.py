"""Whose studies a radiologist sees: those of no team and of their teams. Everything else does not exist for them."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.actions import create_patient, create_team, set_teams, update_team
from accounts.models import AuditEvent, Patient
from diagnosis import actions
from diagnosis.models import Analysis, Image, Report, Study
from tests.conftest import person
from tests.fixture_images import good_png
from tests.fixture_results import failed, filed, succeeded, with_report

pytestmark = pytest.mark.django_db


@pytest.fixture
def north(adam):
    return create_team(acting_user=adam, name="North clinic")


@pytest.fixture
def south(adam):
    return create_team(acting_user=adam, name="South clinic")


@pytest.fixture
def bob(adam, south):
    """A radiologist of the south."""
    user = person("bob@test.local", "radiologist", "Bob", "Radiologist")
    set_teams(acting_user=adam, user=user, teams=[south])
    return user


@pytest.fixture
def rachel_of_north(adam, rachel, north):
    set_teams(acting_user=adam, user=rachel, teams=[north])
    return rachel


@pytest.fixture
def theirs(anna, rachel_of_north):
    """A result of Anna in the north, with its report."""
    study = actions.create_study(
        acting_user=rachel_of_north, patient=anna, modality="US", accession_number="ACC-7", laterality="L"
    )
    analysis = succeeded(study=study, by=rachel_of_north)
    with_report(analysis)
    return analysis


def patient(mrn: str, family_name: str) -> Patient:
    return create_patient(
        acting_user=None, mrn=mrn, given_name="Bea", family_name=family_name, birth_date="1980-02-29", sex="F"
    )


def seen(user) -> dict[str, int]:
    return {
        model.__name__: model.objects.visible_to(user).count() for model in (Patient, Study, Image, Analysis, Report)
    }


ALL = {"Patient": 1, "Study": 1, "Image": 1, "Analysis": 1, "Report": 1}
NOTHING = dict.fromkeys(ALL, 0)


def test_a_study_belongs_to_the_only_team_of_who_makes_it(theirs, north):
    assert theirs.image.study.team == north
    assert theirs.team == north


def test_only_that_team_and_the_administrators_see_it(theirs, rachel_of_north, adam, bob, ivan):
    assert seen(rachel_of_north) == seen(adam) == ALL
    assert seen(bob) == NOTHING
    assert seen(ivan) == NOTHING


def test_a_study_of_no_team_is_seen_by_every_radiologist(study, rachel, bob):
    filed(study=study, by=rachel)

    assert seen(bob) == {**ALL, "Report": 0}


def test_a_patient_without_a_study_is_seen_by_every_radiologist(anna, bob):
    assert seen(bob)["Patient"] == 1


def test_one_visible_study_opens_the_patient_and_only_that_study(client, theirs, anna, bob, rachel_of_north):
    own = actions.create_study(acting_user=bob, patient=anna, modality="MG")

    assert [*Study.objects.visible_to(bob)] == [own]
    client.force_login(bob)
    html = client.get(f"/patients/{anna.pk}/").content.decode()
    assert f"/studies/{own.pk}/" in html
    assert str(theirs.image.study_id) not in html


def test_who_leaves_a_team_no_longer_sees_its_studies(client, theirs, rachel_of_north, south, adam):
    client.force_login(rachel_of_north)
    assert client.get(f"/studies/{theirs.image.study_id}/").status_code == 200

    set_teams(acting_user=adam, user=rachel_of_north, teams=[south])

    assert client.get(f"/studies/{theirs.image.study_id}/").status_code == 404


def test_a_team_that_is_switched_off_keeps_its_studies_to_its_members(theirs, rachel_of_north, bob, north, adam):
    update_team(acting_user=adam, team=north, is_active=False)

    assert seen(rachel_of_north) == ALL
    assert seen(bob) == NOTHING


def test_a_record_that_was_merged_away_is_not_listed(anna, rachel, adam):
    other = patient("MRN-002", "Other")
    Patient.objects.filter(pk=anna.pk).update(merged_into=other)

    assert [*Patient.objects.visible_to(rachel)] == [*Patient.objects.visible_to(adam)] == [other]


# No way around (every address by itself: tests/portal/test_access_matrix.py)


def test_no_list_says_anything_of_it(client, fetch, api, theirs, bob):
    client.force_login(bob)
    pages = [
        fetch(client, address).whole.decode()
        for address in (
            "/",
            "/patients/",
            "/history/",
            f"/history/?patient={theirs.patient_id}",
            "/history/export.csv",
            "/api/v1/patients/",
            "/api/v1/patients/?q=anna",
            "/api/v1/studies/",
            "/api/v1/studies/?q=ACC-7",
            f"/api/v1/studies/?patient={theirs.patient_id}",
            "/api/v1/studies/?label=malignant",
        )
    ]
    pages += [client.post(where, {"q": "ACC-7"}, follow=True).content.decode() for where in ("/patients/", "/history/")]

    for secret in ("Żółć", "MRN-001", str(theirs.pk), str(theirs.image_id), str(theirs.image.study_id)):
        assert [page for page in pages if secret in page] == []


def test_the_counts_of_the_history_are_of_what_is_seen(client, theirs, bob, adam):
    own = actions.create_study(acting_user=bob, patient=patient("MRN-002", "Other"), modality="US")
    succeeded(study=own, by=bob, label="benign")

    def counts(user):
        client.force_login(user)
        summary = client.get("/history/").context["summary"]
        return summary["total"], {row["label"]: row["count"] for row in summary["by_label"]}

    assert counts(bob) == (1, {"benign": 1, "malignant": 0, "normal": 0})
    assert counts(adam) == (2, {"benign": 1, "malignant": 1, "normal": 0})


def test_jobs_of_other_teams_are_not_on_the_home_page(client, theirs, rachel_of_north, bob):
    filed(study=theirs.image.study, by=rachel_of_north, seed=7)
    failed(study=theirs.image.study, by=rachel_of_north, seed=8)
    client.force_login(bob)

    context = client.get("/").context

    assert (context["unfinished_count"], context["failed_count"], context["summaries"]) == (0, 0, [])


def test_the_same_file_in_a_hidden_study_is_not_shown_as_a_duplicate(client, theirs, anna, bob):
    own = actions.create_study(acting_user=bob, patient=anna, modality="US")
    client.force_login(bob)
    file = SimpleUploadedFile("scan.png", good_png(0), content_type="image/png")

    answer = client.post(f"/studies/{own.pk}/upload/", {"file": file}, headers={"accept": "application/json"})

    assert answer.status_code == 201
    assert str(theirs.pk) not in answer.content.decode()
    assert own.images.count() == 1


# Foreign ids in a body


def test_a_study_for_an_invisible_patient_is_refused_by_the_api(api, theirs, bob):
    answer = api(bob).post("/api/v1/studies/", {"patient": str(theirs.patient_id), "modality": "US"})

    assert answer.status_code == 400
    assert answer.json()["fields"] == {"patient": ["There is no patient with this id."]}
    assert Study.objects.count() == 1


def test_a_study_for_somebody_elses_team_is_refused(api, anna, bob, north):
    answer = api(bob).post("/api/v1/studies/", {"patient": str(anna.pk), "modality": "US", "team": north.pk})

    assert answer.status_code == 400
    assert "team" in answer.json()["fields"]
    assert not Study.objects.exists()


def test_the_owner_and_the_state_of_a_study_cannot_be_sent(api, anna, bob, south, adam):
    body = {"patient": str(anna.pk), "modality": "US", "created_by": adam.pk, "state": "signed", "id": str(anna.pk)}

    made = api(bob).post("/api/v1/studies/", body)

    study = Study.objects.get()
    assert made.status_code == 201
    assert made.json()["team"] == south.pk
    assert (study.created_by, study.state, study.team) == (bob, "received", south)
    assert study.pk != anna.pk


# Who is in several teams says which


@pytest.fixture
def carla(adam, north, south):
    user = person("carla@test.local", "radiologist", "Carla", "Radiologist")
    set_teams(acting_user=adam, user=user, teams=[north, south])
    return user


def test_the_study_form_asks_who_is_in_several_teams(client, anna, carla, south):
    client.force_login(carla)

    assert 'name="team"' in client.get(f"/patients/{anna.pk}/studies/new/").content.decode()
    refused = client.post(f"/patients/{anna.pk}/studies/new/", {"modality": "US"})
    client.post(f"/patients/{anna.pk}/studies/new/", {"modality": "US", "team": south.pk})

    assert refused.status_code == 422
    assert Study.objects.get().team == south


def test_who_is_in_one_team_is_not_asked(client, anna, bob):
    client.force_login(bob)

    for address in (f"/patients/{anna.pk}/studies/new/", f"/patients/{anna.pk}/"):
        assert 'name="team"' not in client.get(address).content.decode()


def test_the_upload_card_asks_too_and_files_where_it_was_told(client, anna, carla, south, north):
    client.force_login(carla)
    assert 'name="team"' in client.get(f"/patients/{anna.pk}/").content.decode()

    def start(**values):
        return client.post(f"/patients/{anna.pk}/studies/today/", values, headers={"accept": "application/json"})

    assert start().status_code == 400
    assert start(team=999).status_code == 400
    first, again, other = (start(team=team.pk).json()["id"] for team in (south, south, north))

    assert first == again != other
    assert Study.objects.get(pk=first).team == south
    assert Study.objects.get(pk=other).team == north


def test_the_patients_newest_study_suggests_the_team(client, anna, carla, south, north):
    actions.create_study(acting_user=carla, patient=anna, modality="US", team=south)
    client.force_login(carla)

    form = client.get(f"/patients/{anna.pk}/studies/new/").context["form"]

    assert form["team"].initial == south


def test_the_api_asks_too(api, anna, carla, north):
    refused = api(carla).post("/api/v1/studies/", {"patient": str(anna.pk), "modality": "US"})
    made = api(carla).post("/api/v1/studies/", {"patient": str(anna.pk), "modality": "US", "team": north.pk})

    assert refused.status_code == 400
    assert "several teams" in refused.json()["detail"]
    assert made.json()["team"] == north.pk


def test_a_team_that_is_switched_off_takes_no_new_study(anna, carla, north, south, adam):
    update_team(acting_user=adam, team=north, is_active=False)

    with pytest.raises(ValidationError):
        actions.create_study(acting_user=carla, patient=anna, modality="US", team=north)
    assert actions.create_study(acting_user=carla, patient=anna, modality="US").team == south


# Another team gets it


def test_an_administrator_gives_a_study_to_another_team(client, theirs, adam, bob, rachel_of_north, south):
    client.force_login(adam)

    answer = client.post(f"/studies/{theirs.image.study_id}/team/", {"team": south.pk}, follow=True)

    assert "those of South clinic" in answer.content.decode()
    theirs.refresh_from_db()
    assert theirs.team == south
    assert seen(bob) == ALL
    assert seen(rachel_of_north) == NOTHING
    event = AuditEvent.objects.get(action="study.assigned")
    assert (event.actor, event.patient_id, event.details["team"]) == (adam, theirs.patient_id, south.pk)


def test_to_no_team_opens_it_to_every_radiologist(client, theirs, adam, bob):
    client.force_login(adam)

    client.post(f"/studies/{theirs.image.study_id}/team/", {"team": ""})

    assert seen(bob) == ALL


def test_an_image_that_is_filed_while_the_study_moves_follows_it(theirs, adam, rachel_of_north, south):
    read_before = Study.objects.get(pk=theirs.image.study_id)
    actions.assign_study(acting_user=adam, study=theirs.image.study, team=south)

    analysis = filed(study=read_before, by=rachel_of_north, seed=3)

    assert analysis.team == south


@pytest.mark.parametrize("team", ["999", "x", "-1"])
def test_a_team_that_does_not_exist_moves_nothing(client, theirs, adam, north, team):
    client.force_login(adam)

    answer = client.post(f"/studies/{theirs.image.study_id}/team/", {"team": team}, follow=True)

    assert "stays where it was" in answer.content.decode()
    theirs.image.study.refresh_from_db()
    assert theirs.image.study.team == north


def test_twice_the_same_is_one_change(theirs, adam, south):
    for _ in range(2):
        actions.assign_study(acting_user=adam, study=theirs.image.study, team=south)

    assert AuditEvent.objects.filter(action="study.assigned").count() == 1


@pytest.mark.parametrize("who", ["rachel_of_north", "ivan", "petra"])
def test_only_administrators_give_studies_away(client, request, theirs, south, who):
    user = request.getfixturevalue(who)
    client.force_login(user)

    assert client.post(f"/studies/{theirs.image.study_id}/team/", {"team": south.pk}).status_code == 404
    with pytest.raises(PermissionDenied):
        actions.assign_study(acting_user=user, study=theirs.image.study, team=south)


# Without teams


def test_a_site_without_teams_asks_one_small_question_more(rachel, study, django_assert_num_queries):
    with django_assert_num_queries(2):
        assert [*Study.objects.visible_to(rachel)] == [study]


def test_without_teams_no_row_is_filtered(rachel):
    assert not Analysis.objects.visible_to(rachel).query.where
    assert not Study.objects.visible_to(rachel).query.where
