"""The report: read, saved, made again, and checked by whoever holds the paper."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.models import AuditEvent
from diagnosis import actions
from diagnosis.models import Report
from portal import jobs
from tests.fixture_patients import with_log_in
from tests.fixture_results import concluded, succeeded, with_report

PDF = b"%PDF-1.7 made by a test"


@pytest.fixture
def report(study, rachel) -> Report:
    """A stored report of Anna's; the result is malignant, 7 of 10."""
    return with_report(succeeded(study=study, by=rachel), pdf=PDF)


@pytest.fixture
def reading(client, rachel):
    client.force_login(rachel)
    return client


def test_the_report_opens_in_the_browser(reading, fetch, report):
    response = fetch(reading, reverse("report-file", args=[report.pk]))

    assert response.whole == PDF
    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"].startswith("inline")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "private" in response["Cache-Control"]


def test_it_is_saved_under_a_name_that_says_nothing_about_the_patient(reading, fetch, report):
    response = fetch(reading, reverse("report-file", args=[report.pk]), {"download": "1"})

    assert response["Content-Disposition"] == f'attachment; filename="report-{report.verification_code}-v1.pdf"'


def test_each_download_is_in_the_ledger(reading, fetch, report, rachel, anna):
    fetch(reading, reverse("report-file", args=[report.pk]))

    event = AuditEvent.objects.get(action="report.downloaded")
    assert (event.actor, event.patient, event.object_id) == (rachel, anna, str(report.pk))


def test_who_has_the_file_already_is_not_sent_it_again(reading, fetch, report):
    response = fetch(reading, reverse("report-file", args=[report.pk]), headers={"if-none-match": f'"{report.sha256}"'})

    assert response.status_code == 304


@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 404), ("petra", 404)])
def test_other_roles(client, fetch, report, who, status, request):
    client.force_login(request.getfixturevalue(who))

    assert fetch(client, reverse("report-file", args=[report.pk])).status_code == status


def test_a_patient_reads_their_own_report_only_when_it_is_released(client, fetch, report, anna, petra, rachel):
    with_log_in(anna, petra)
    client.force_login(petra)
    assert client.get(reverse("report-file", args=[report.pk])).status_code == 404

    final = concluded(report.analysis, by=rachel)
    address = reverse("report-file", args=[final.pk])
    assert client.get(address).status_code == 404

    actions.release_report(acting_user=rachel, report=final, letter="All is well.")
    assert fetch(client, address).status_code == 200
    assert client.get(reverse("report-file", args=[report.pk])).status_code == 404


def test_a_report_that_is_being_made_is_not_there_yet(reading, study, rachel):
    waiting = succeeded(study=study, by=rachel).reports.get()

    assert reading.get(reverse("report-file", args=[waiting.pk])).status_code == 404


def test_the_result_page_says_how_far_the_report_is(reading, study, rachel):
    analysis = succeeded(study=study, by=rachel)
    address = reverse("analysis-panel", args=[analysis.pk])
    assert b"The report is being made" in reading.get(address).content

    report = with_report(analysis)
    html = reading.get(address).content.decode()
    assert reverse("report-file", args=[report.pk]) in html
    assert "PRELIMINARY" in html
    assert report.sha256[:12] in html
    assert "Make a new version" in html


def test_a_failed_report_says_so_and_is_made_again_by_button(reading, study, rachel):
    analysis = succeeded(study=study, by=rachel)
    claim = jobs.claim(Report, analysis.reports.get().pk)
    assert actions.fail_report(claim=claim, code="internal_error", message="The report could not be made.", detail="x")
    assert b"The report could not be made." in reading.get(reverse("analysis-panel", args=[analysis.pk])).content

    reading.post(reverse("report-reissue", args=[analysis.pk]))

    assert analysis.reports.count() == 2
    assert analysis.reports.get(version=2).requested_by == rachel


def test_a_second_press_while_it_is_made_changes_nothing(reading, study, rachel):
    analysis = succeeded(study=study, by=rachel)

    response = reading.post(reverse("report-reissue", args=[analysis.pk]), follow=True)

    assert b"being made already" in response.content
    assert analysis.reports.count() == 1


def test_all_versions_stay_readable(reading, report, rachel):
    actions.reissue_report(acting_user=rachel, analysis=report.analysis)
    second = with_report(report.analysis)

    html = reading.get(reverse("analysis-panel", args=[report.analysis.pk])).content.decode()

    assert "All versions (2)" in html
    for one in (report, second):
        assert reverse("report-file", args=[one.pk]) in html


def test_anyone_may_check_that_a_paper_is_genuine(client, report):
    response = client.get(reverse("verify", args=[report.verification_code]))

    html = response.content.decode()
    assert response.status_code == 200
    assert "Genuine and current" in html
    assert report.sha256 in html


def test_the_check_says_nothing_clinical_and_no_name(client, report):
    html = client.get(reverse("verify", args=[report.verification_code])).content.decode()

    for words in ("Anna", "Żółć", "MRN-001", "1970", "alignan", "7 of 10", "Left", "Ultrasound", "Rachel", "scan-"):
        assert words not in html


def test_a_replaced_report_is_called_superseded(client, report, rachel):
    actions.reissue_report(acting_user=rachel, analysis=report.analysis)
    assert b"Genuine and current" in client.get(reverse("verify", args=[report.verification_code])).content

    second = with_report(report.analysis)

    assert b"Genuine, but superseded" in client.get(reverse("verify", args=[report.verification_code])).content
    assert b"Genuine and current" in client.get(reverse("verify", args=[second.verification_code])).content


@pytest.mark.parametrize("code", ["nothing-like-it", "AAAAAAAAAAAAAAAA"])
def test_an_unknown_code_is_called_unknown(client, db, code):
    response = client.get(reverse("verify", args=[code]))

    assert response.status_code == 404
    assert "Not known here" in response.content.decode()


def test_a_report_that_was_never_issued_is_unknown(client, study, rachel):
    waiting = succeeded(study=study, by=rachel).reports.get()

    assert client.get(reverse("verify", args=[waiting.verification_code])).status_code == 404
