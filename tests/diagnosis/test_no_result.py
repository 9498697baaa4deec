"""An image without a result: the radiologist concludes all the same, and the report says that the machine gave none."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.urls import reverse
from pypdf import PdfReader

from diagnosis import actions, discordance, report, report_context
from diagnosis.models import Analysis, Report
from portal import jobs
from tests.fixture_models import registered
from tests.fixture_results import concluded, failed, filed, rejected, succeeded

READING = {"label": "malignant", "birads": "4B", "conclusion": "Irregular mass. Biopsy.", "seen": "0"}
VERDICTS = ("Suspicion", "Probability", "of 10", "Grad-CAM", "AI analysis report", "Decision support")
"""Words that stand only beside what a machine said."""


@pytest.fixture
def refused(study, rachel) -> Analysis:
    return rejected(study=study, by=rachel)


def cancelled(*, study, by) -> Analysis:
    analysis = filed(study=study, by=by)
    actions.cancel_analysis(acting_user=by, analysis=analysis)
    analysis.refresh_from_db()
    return analysis


def paper(row: Report) -> str:
    """The words of the report as the worker makes it."""
    rendered = report.render(report_context.of(Report.objects.get(pk=row.pk)))
    return " ".join(" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(rendered.pdf)).pages)


@pytest.mark.parametrize("ended", [rejected, failed, cancelled])
def test_a_radiologist_concludes_without_a_result_and_releases_the_report(client, study, rachel, ended):
    analysis = ended(study=study, by=rachel)
    client.force_login(rachel)

    answer = client.post(reverse("analysis-conclude", args=[analysis.pk]), READING)

    assert answer.status_code == 302
    row = Report.objects.get()
    assert (row.status, row.assessment.birads) == (Report.Status.FINAL, "4B")
    claim = jobs.claim(Report, row.pk)
    assert actions.record_report(claim=claim, pdf=b"%PDF", sha256="0" * 64, page_count=1)
    html = client.get(reverse("analysis-detail", args=[analysis.pk])).content.decode()
    assert "Irregular mass. Biopsy." in html
    assert "The computer gave no result for this image." in html
    assert reverse("report-release", args=[row.pk]) in html
    answer = client.post(reverse("report-release", args=[row.pk]), {"letter": "We want to know for sure."})
    assert answer.status_code == 302
    row.refresh_from_db()
    assert row.is_released


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (rejected, "The image was refused before any score was made. Not passed: Sharpness. Too blurred."),
        (failed, "The analysis stopped because of a fault of the system"),
        (cancelled, "The analysis was cancelled before it ended"),
    ],
)
def test_the_report_says_why_there_is_no_result_and_gives_no_verdict(study, rachel, ended, why):
    text = paper(concluded(ended(study=study, by=rachel), by=rachel, label="malignant", birads="4B", text="A mass."))

    assert "No AI result" in text
    assert why in text
    assert "A mass." in text
    assert "BI-RADS 4B" in text
    for word in VERDICTS:
        assert word not in text, word
    assert "Traceback" not in text


def test_the_check_that_refused_is_listed_as_not_passed(refused, rachel):
    text = paper(concluded(refused, by=rachel))

    assert "Sharpness 3.25 at least 20 NOT PASSED" in text


def test_without_a_conclusion_there_is_no_report(refused, rachel):
    with pytest.raises(actions.WrongState, match=r"with a radiologist's conclusion"):
        actions.reissue_report(acting_user=rachel, analysis=refused)
    with pytest.raises(ValueError, match="with a conclusion"):
        report_context.of(Report.objects.create(analysis=refused))


def test_the_report_without_a_result_can_be_made_again(refused, rachel):
    first = concluded(refused, by=rachel)

    again = actions.reissue_report(acting_user=rachel, analysis=refused)

    assert (again.version, again.status, again.assessment) == (2, Report.Status.FINAL, first.assessment)


@pytest.mark.parametrize("ended", [failed, cancelled])
def test_what_a_radiologist_signed_is_not_analysed_afterwards(client, study, rachel, ivan, ended):
    analysis = ended(study=study, by=rachel)
    client.force_login(rachel)
    retry = reverse("analysis-retry", args=[analysis.pk])
    assert retry in client.get(reverse("analysis-detail", args=[analysis.pk])).content.decode()
    concluded(analysis, by=rachel)

    assert retry not in client.get(reverse("analysis-detail", args=[analysis.pk])).content.decode()
    answer = client.post(retry, follow=True)

    assert "so it is not tried again" in answer.content.decode()
    with pytest.raises(actions.WrongState):
        actions.retry_job(acting_user=ivan, job=analysis)
    before = analysis.state
    analysis.refresh_from_db()
    assert analysis.state == before


@pytest.mark.parametrize("who", ["rachel", "ivan"])
def test_a_failed_image_that_was_concluded_on_waits_for_nobody(client, study, rachel, who, request):
    analysis = failed(study=study, by=rachel)
    client.force_login(request.getfixturevalue(who))
    waits = "Traceback: secret" if who == "ivan" else reverse("analysis-detail", args=[analysis.pk])
    listed = client.get("/").content.decode().partition(">Failed")[2]
    assert waits in listed
    concluded(analysis, by=rachel)

    listed = client.get("/").content.decode().partition(">Failed")[2]

    assert waits not in listed


def test_while_it_is_analysed_nobody_concludes(client, study, rachel):
    analysis = filed(study=study, by=rachel)
    client.force_login(rachel)

    answer = client.post(reverse("analysis-conclude", args=[analysis.pk]), READING)

    assert answer.status_code == 422
    # The form is not on the page of a running analysis; who posted all the same is told nothing was saved by its state.
    assert not analysis.own_conclusions().exists()


def test_a_model_that_said_nothing_does_not_differ_from_the_reader(study, rachel):
    model = registered(active=True)
    concluded(rejected(study=study, by=rachel), by=rachel, label="malignant", birads="5")
    assert discordance.by_scanner(model) == []

    concluded(succeeded(study=study, by=rachel, seed=1), by=rachel, label="benign")

    total = discordance.by_scanner(model)[0].total
    assert (total.reader_alone, total.model_alone, total.share.n) == (0, 1, 1)
