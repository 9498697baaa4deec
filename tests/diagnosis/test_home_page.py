"""The first page after sign-in says what waits for this person, and to IT never whose it is."""

from __future__ import annotations

import pytest
from django.urls import reverse

from diagnosis import actions
from diagnosis.actions import cancel_analysis
from tests.fixture_patients import with_log_in
from tests.fixture_results import RESEARCH, concluded, failed, filed, succeeded


def page(client, user) -> str:
    client.force_login(user)
    response = client.get(reverse("home"))
    assert response.status_code == 200
    return response.content.decode()


def test_a_stranger_is_sent_to_the_sign_in(client, db):
    response = client.get(reverse("home"))

    assert response.status_code == 302
    assert response.url.startswith(reverse("account_login"))


def test_a_radiologist_sees_recent_studies_with_the_highest_suspicion(client, study, rachel):
    succeeded(study=study, by=rachel, seed=1, label="benign", suspicion=2)
    succeeded(study=study, by=rachel, seed=2, label="malignant", suspicion=8)

    html = page(client, rachel)

    assert "Anna Żółć" in html
    assert "8 of 10" in html
    assert "2 of 10" not in html


def test_a_research_model_never_decides_what_a_study_ranks_by(client, study, rachel):
    succeeded(study=study, by=rachel, seed=1, label="benign", suspicion=2)
    succeeded(study=study, by=rachel, seed=2, label="malignant", suspicion=9, model=RESEARCH)

    html = page(client, rachel)

    assert "2 of 10" in html
    assert "9 of 10" not in html


def test_a_study_that_only_a_research_model_read_shows_no_suspicion_in_the_list(client, study, rachel):
    succeeded(study=study, by=rachel, seed=1, label="malignant", suspicion=9, model=RESEARCH)

    html = page(client, rachel)

    assert "9 of 10" not in html
    assert "Research model</span>" in html
    assert "Analysed" in html


def test_doubt_is_said_in_the_list(client, study, rachel):
    succeeded(study=study, by=rachel, seed=1, suspicion=5, uncertain=True)

    assert '<span class="mark">uncertain</span>' in page(client, rachel)


def test_a_radiologist_sees_what_is_in_work_and_what_failed(client, study, rachel):
    waiting = filed(study=study, by=rachel, seed=1)
    broken = failed(study=study, by=rachel, seed=2)

    html = page(client, rachel)

    assert reverse("analysis-detail", args=[waiting.pk]) in html
    assert reverse("analysis-detail", args=[broken.pk]) in html
    assert 'hx-trigger="every 3s"' in html


def test_the_board_stops_asking_when_nothing_is_in_work(client, study, rachel):
    succeeded(study=study, by=rachel)

    assert "every 3s" not in page(client, rachel)


def test_an_unchanged_board_is_not_sent_again(client, study, rachel):
    waiting = filed(study=study, by=rachel)
    seen = page(client, rachel).split("?seen=")[1].split('"')[0]
    assert client.get(reverse("home"), {"seen": seen}).status_code == 204

    cancel_analysis(acting_user=rachel, analysis=waiting)

    assert client.get(reverse("home"), {"seen": seen}).status_code == 200


def test_an_empty_site_teaches_the_next_step(client, rachel):
    html = page(client, rachel)

    assert "No studies yet" in html
    assert reverse("patient-create") in html


def test_an_administrator_sees_counts_and_no_patient(client, study, rachel, adam):
    succeeded(study=study, by=rachel)

    html = page(client, adam)

    assert "Analyses by result" in html
    assert "Żółć" not in html
    assert reverse("user-list") in html


def test_it_staff_see_the_queue_and_the_cause_of_a_failure_but_never_a_name(client, study, rachel, ivan):
    filed(study=study, by=rachel, seed=1)
    broken = failed(study=study, by=rachel, seed=2)

    html = page(client, ivan)

    assert str(broken.pk)[:8] in html
    assert "Traceback: secret" in html
    assert "Oldest waits" in html
    for word in ("Anna", "Żółć", "MRN-001", "scan-1.png"):
        assert word not in html


def test_it_staff_are_told_when_no_model_is_registered(client, ivan):
    assert "No model is registered" in page(client, ivan)


def test_a_patient_without_a_released_report_is_told_whom_to_call(client, anna, petra):
    with_log_in(anna, petra)

    html = page(client, petra)

    assert "No report has been released yet" in html
    assert "Call the reception of the breast clinic" in " ".join(html.split())


def test_a_patient_sees_only_their_own_final_report(client, study, anna, rachel, petra):
    with_log_in(anna, petra)
    report = concluded(succeeded(study=study, by=rachel), by=rachel)
    assert reverse("own-report", args=[report.pk]) not in page(client, petra)

    actions.release_report(acting_user=rachel, report=report, letter="All is well.")

    html = page(client, petra)
    assert reverse("own-report", args=[report.pk]) in html
    assert "malignan" not in html


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_page_is_only_read(client, rachel, method):
    client.force_login(rachel)

    assert getattr(client, method)(reverse("home")).status_code == 405
