"""Conclusions and release over ``/api/v1/``: the same verbs as the pages."""

from __future__ import annotations

import pytest

from accounts.actions import create_team
from accounts.models import AuditEvent
from diagnosis import actions
from diagnosis.models import Assessment, Report
from tests.fixture_patients import with_log_in
from tests.fixture_results import concluded, filed, rejected, released, succeeded, with_report

READING = {"label": "benign", "birads": "2", "conclusion": "Simple cyst."}


@pytest.fixture
def analysis(study, rachel):
    return succeeded(study=study, by=rachel)


def conclusions(analysis) -> str:
    return f"/api/v1/analyses/{analysis.pk}/conclusions/"


def verb(report, name="") -> str:
    return f"/api/v1/reports/{report.pk}/{name}"


@pytest.mark.parametrize("ended", [succeeded, rejected])
def test_a_conclusion_is_stored_and_the_final_report_is_queued(api, study, rachel, ended):
    analysis = ended(study=study, by=rachel)

    answer = api(rachel).post(conclusions(analysis), {**READING, "seen": 0}, format="json")

    assert answer.status_code == 201
    made = Assessment.objects.get()
    assert answer.json() == {
        "id": made.pk,
        **READING,
        "reader": "Rachel Radiologist",
        "created_at": made.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert Report.objects.get(assessment=made).status == Report.Status.FINAL
    event = AuditEvent.objects.get(action="assessment.made")
    assert (event.actor, event.channel) == (rachel, AuditEvent.Channel.API)
    listed = api(rachel).get(conclusions(analysis)).json()["results"]
    assert [one["id"] for one in listed] == [made.pk]


def test_somebody_elses_words_are_not_written_over_unread(api, analysis, rachel):
    concluded(analysis, by=rachel)

    answer = api(rachel).post(conclusions(analysis), {**READING, "seen": 0}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert Assessment.objects.count() == 1


def test_while_it_is_analysed_the_answer_is_409(api, study, rachel):
    answer = api(rachel).post(conclusions(filed(study=study, by=rachel)), READING, format="json")

    assert answer.status_code == 409
    assert not Assessment.objects.exists()


@pytest.mark.parametrize(
    "change",
    [{"birads": "7"}, {"label": "cancer"}, {"conclusion": "  "}, {"conclusion": "x" * 10_001}, {"seen": -1}],
)
def test_what_is_not_allowed_is_named_and_not_stored(api, analysis, rachel, change):
    answer = api(rachel).post(conclusions(analysis), READING | change, format="json")

    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == set(change)
    assert not Assessment.objects.exists()


def test_nobody_concludes_as_somebody_else(api, analysis, rachel, adam):
    api(rachel).post(
        conclusions(analysis), {**READING, "reader": adam.pk, "analysis": 1, "id": 9, "created_at": "2001-01-01"}
    )

    made = Assessment.objects.get()
    assert (made.reader, made.analysis) == (rachel, analysis)
    assert made.created_at.year > 2001


@pytest.mark.parametrize(("who", "status"), [("adam", 403), ("ivan", 404)])
def test_only_radiologists_conclude_and_release(api, analysis, rachel, who, status, request):
    person = request.getfixturevalue(who)
    report = concluded(analysis, by=rachel)

    assert api(person).post(conclusions(analysis), READING, format="json").status_code == status
    assert api(person).post(verb(report, "release/"), {"letter": "All is well."}).status_code == status
    assert Assessment.objects.count() == 1
    report.refresh_from_db()
    assert not report.is_released


def test_a_report_is_released_and_taken_back(api, analysis, rachel, adam):
    report = concluded(analysis, by=rachel)
    listed = api(rachel).get(f"/api/v1/analyses/{analysis.pk}/reports/").json()["results"]
    assert [(one["id"], one["status"]) for one in listed][0] == (str(report.pk), "final")

    answer = api(rachel).post(verb(report, "release/"), {"letter": " All is well. "}, format="json")

    assert answer.status_code == 200
    assert (answer.json()["letter"], answer.json()["withdrawn_at"]) == ("All is well.", None)
    report.refresh_from_db()
    assert report.is_released
    assert api(rachel).post(verb(report, "release/"), {"letter": "Again."}).status_code == 409
    assert api(adam).post(verb(report, "withdraw/"), {"reason": "Wrong side."}, format="json").status_code == 200
    report.refresh_from_db()
    assert (report.is_released, report.withdrawn_because) == (False, "Wrong side.")
    assert api(adam).post(verb(report, "withdraw/"), {"reason": "Wrong side."}).status_code == 409
    events = AuditEvent.objects.filter(action__in=("report.released", "report.withdrawn")).order_by("sequence")
    assert [(one.action, one.actor) for one in events] == [("report.released", rachel), ("report.withdrawn", adam)]


@pytest.mark.parametrize("body", [{}, {"letter": "  "}, {"letter": "x" * 8_001}])
def test_a_release_wants_a_letter(api, analysis, rachel, body):
    report = concluded(analysis, by=rachel)

    answer = api(rachel).post(verb(report, "release/"), body, format="json")

    assert answer.status_code == 400
    assert "letter" in answer.json()["fields"]
    report.refresh_from_db()
    assert not report.is_released


def test_a_preliminary_report_is_not_released(api, analysis, rachel):
    answer = api(rachel).post(verb(with_report(analysis), "release/"), {"letter": "All is well."})

    assert answer.status_code == 409


def test_a_patient_sees_their_own_released_report_and_no_other(client, analysis, study, anna, petra, rachel):
    mine, not_yet = released(analysis, by=rachel), concluded(succeeded(study=study, by=rachel, seed=1), by=rachel)
    client.force_login(with_log_in(anna, petra))

    assert client.get(verb(mine)).json()["letter"] == "Dear patient, all is well."
    assert client.get(verb(not_yet)).status_code == 404
    assert client.get(f"/api/v1/analyses/{not_yet.analysis_id}/reports/").status_code == 404
    listed = client.get(f"/api/v1/analyses/{analysis.pk}/reports/").json()["results"]
    assert [one["id"] for one in listed] == [str(mine.pk)]
    assert client.get(conclusions(analysis)).status_code == 404


def test_reading_leaves_a_trace(api, analysis, rachel, anna):
    report = concluded(analysis, by=rachel)
    api(rachel).get(verb(report))

    assert AuditEvent.objects.get(action="report.viewed").patient == anna


def test_another_teams_analysis_does_not_exist(api, analysis, rachel, adam):
    actions.assign_study(acting_user=adam, study=analysis.image.study, team=create_team(acting_user=adam, name="South"))

    assert api(rachel).get(conclusions(analysis)).status_code == 404
    assert api(rachel).post(conclusions(analysis), READING, format="json").status_code == 404
