"""Background work and models on the admin site: technical rows, tried again and cancelled; no patient, no result."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts.models import AuditEvent
from diagnosis import actions
from diagnosis.models import Analysis, DeidentifiedExport, ModelVersion, Report, ShadowReading
from portal import jobs
from portal.jobs import State
from tests.fixture_results import filed, succeeded, with_report

pytestmark = pytest.mark.django_db
CLINICAL = ("Żółć", "Anna", "MRN-001", "malignant", "Malignant", "scan-0.png", "suspicion", "0.81")


def content(answer) -> str:
    """The page without the bar of the site."""
    return answer.content.decode().partition("</header>")[2]


@pytest.fixture
def failed(study, rachel) -> Analysis:
    analysis = filed(study=study, by=rachel)
    claim = jobs.claim(Analysis, analysis.pk)
    actions.fail_analysis(claim=claim, code="internal_error", message="It failed.", detail="Traceback: line 7")
    return analysis


def press(client, model: str, action: str, *rows) -> str:
    address = f"/admin/diagnosis/{model}/"
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return content(client.post(address, chosen, follow=True))


@pytest.mark.parametrize("who", ["ivan", "adam"])
def test_an_analysis_is_a_technical_row(client, request, study, rachel, who):
    analysis = succeeded(study=study, by=rachel)
    report = with_report(analysis)
    client.force_login(request.getfixturevalue(who))

    for address in (
        "/admin/diagnosis/analysis/",
        f"/admin/diagnosis/analysis/{analysis.pk}/change/",
        "/admin/diagnosis/report/",
        f"/admin/diagnosis/report/{report.pk}/change/",
    ):
        answer = client.get(address)
        assert answer.status_code == 200
        page = content(answer)
        assert "Succeeded" in page
        assert [word for word in CLINICAL if word in page] == [], address
        title = re.search(r"<title>(.*?)</title>", answer.content.decode(), re.DOTALL)
        assert title is not None
        assert not any(word in title[1] for word in CLINICAL)


def test_the_page_of_a_failure_shows_code_attempts_and_detail(client, ivan, failed):
    client.force_login(ivan)

    page = content(client.get(f"/admin/diagnosis/analysis/{failed.pk}/change/"))

    for text in ("internal_error", "Traceback: line 7", "Failed"):
        assert text in page


def test_it_tries_a_failed_analysis_again(client, ivan, failed):
    client.force_login(ivan)

    assert "1 row is in the queue again." in press(client, "analysis", "retry", failed)

    failed.refresh_from_db()
    assert (failed.state, failed.attempts) == ("queued", 0)
    assert AuditEvent.objects.get(action="analysis.retried").actor == ivan


def test_it_cancels_what_waits_and_is_told_what_has_ended(client, ivan, study, rachel, failed):
    waiting = filed(study=study, by=rachel, seed=1)
    client.force_login(ivan)

    page = press(client, "analysis", "cancel", waiting, failed)

    waiting.refresh_from_db()
    assert waiting.state == "cancelled"
    assert "1 row is cancelled." in page
    assert f"Row {str(failed.pk)[:8]}: The analysis has already finished" in page
    assert AuditEvent.objects.filter(action="analysis.cancelled").count() == 1


def test_a_report_that_failed_is_made_again_and_the_ledger_knows_whose(client, ivan, study, rachel, anna):
    report = Report.objects.get(analysis=succeeded(study=study, by=rachel))
    claim = jobs.claim(Report, report.pk)
    actions.fail_report(claim=claim, code="internal_error", message="It failed.", detail="x")
    client.force_login(ivan)

    press(client, "report", "retry", report)

    report.refresh_from_db()
    assert report.state == "queued"
    event = AuditEvent.objects.get(action="report.retried")
    assert (event.actor, event.patient_id) == (ivan, anna.pk)


def test_each_kind_of_job_is_retried_and_cancelled(client, ivan, adam, study, rachel):
    analysis = succeeded(study=study, by=rachel)
    model = ModelVersion.objects.create(name="us-test", version="9", modality="US", status="released", sha256="a" * 64)
    rows = {
        "shadowreading": ShadowReading.objects.create(analysis=analysis, model=model),
        "deidentifiedexport": DeidentifiedExport.objects.create(requested_by=adam, purpose="Audit", salt="ab" * 32),
    }
    client.force_login(ivan)
    for name, row in rows.items():
        press(client, name, "cancel", row)
        row.refresh_from_db()
        assert row.state == "cancelled"
        press(client, name, "retry", row)
        row.refresh_from_db()
        assert row.state == "queued"
        page = content(client.get(f"/admin/diagnosis/{name}/{row.pk}/change/"))
        assert not any(word in page for word in (*CLINICAL, "Audit"))
    kept = set(AuditEvent.objects.filter(actor=ivan).values_list("action", flat=True))
    assert {"shadow_reading.retried", "export.cancelled", "export.retried"} <= kept


@pytest.mark.parametrize("ended", [{"salt": ""}, {"salt": "ab" * 32, "expires_at": timezone.now()}])
def test_a_package_that_was_taken_back_is_not_made_again(client, ivan, adam, ended):
    """Its salt is gone: made with none, its pseudonyms could be guessed."""
    export = DeidentifiedExport.objects.create(requested_by=adam, purpose="Audit", state="cancelled", **ended)
    client.force_login(ivan)

    page = press(client, "deidentifiedexport", "retry", export)

    export.refresh_from_db()
    assert export.state == "cancelled"
    assert "was taken back or has expired" in page


def test_an_old_version_of_a_report_does_not_overtake_a_newer_one(client, ivan, study, rachel):
    analysis = succeeded(study=study, by=rachel)
    old = Report.objects.get(analysis=analysis)
    claim = jobs.claim(Report, old.pk)
    actions.fail_report(claim=claim, code="internal_error", message="It failed.", detail="x")
    actions.reissue_report(acting_user=rachel, analysis=analysis)
    client.force_login(ivan)

    page = press(client, "report", "retry", old)

    old.refresh_from_db()
    assert old.state == "failed"
    assert "A newer version of this report was asked for since." in page


def test_administrators_watch_and_do_not_touch(client, adam, failed):
    client.force_login(adam)

    page = press(client, "analysis", "retry", failed)

    failed.refresh_from_db()
    assert failed.state == "failed"
    assert "Try again" not in page


@pytest.mark.parametrize("who", ["adam", "rachel", "petra"])
def test_nobody_else_acts_on_jobs_by_the_verbs_either(request, failed, who):
    for act in (actions.retry_job, actions.cancel_job):
        with pytest.raises(PermissionDenied):
            act(acting_user=request.getfixturevalue(who), job=failed)
    failed.refresh_from_db()
    assert failed.state == State.FAILED


def test_the_right_to_retry_opens_nothing_else_to_it(client, ivan, failed, study):
    client.force_login(ivan)

    assert client.get(f"/analyses/{failed.pk}/").status_code == 404
    assert client.post(f"/analyses/{failed.pk}/retry/").status_code == 404
    assert client.get(f"/studies/{study.pk}/").status_code == 404


@pytest.mark.parametrize("who", ["ivan", "adam"])
def test_a_row_cannot_be_written_by_posting_to_it(client, request, study, rachel, who):
    analysis = succeeded(study=study, by=rachel)
    before = Analysis.objects.filter(pk=analysis.pk).values().get()
    client.force_login(request.getfixturevalue(who))

    forged = {"state": "queued", "label": "benign", "sha256": "0" * 64, "owner": "1", "attempts": "0", "_save": "x"}
    for address in (
        f"/admin/diagnosis/analysis/{analysis.pk}/change/",
        "/admin/diagnosis/analysis/add/",
        f"/admin/diagnosis/analysis/{analysis.pk}/delete/",
    ):
        assert client.post(address, {**forged, "post": "yes"}).status_code == 403
    client.post("/admin/diagnosis/analysis/", {**forged, "form-TOTAL_FORMS": "1", "form-0-id": str(analysis.pk)})

    assert Analysis.objects.filter(pk=analysis.pk).values().get() == before


@pytest.mark.parametrize(
    "query",
    [
        "label=malignant",
        "suspicion__gt=5",
        "patient__mrn=MRN-001",
        "image__study__patient__family_name__startswith=Z",
        "state__isnull=0&reports__letter__contains=a",
    ],
)
def test_results_and_patients_cannot_be_asked_for_by_a_filter(client, ivan, study, rachel, query):
    """Else whether a list is empty would tell the result."""
    succeeded(study=study, by=rachel)
    client.force_login(ivan)

    answer = client.get(f"/admin/diagnosis/analysis/?{query}")

    assert answer.status_code in (302, 400)


@pytest.mark.parametrize("order", ["1", "9", "-2.7", "x", "99999"])
def test_any_order_that_is_asked_for_is_answered(client, ivan, failed, order):
    client.force_login(ivan)

    assert client.get(f"/admin/diagnosis/analysis/?o={order}").status_code == 200


@pytest.mark.parametrize(("words", "found"), [("{pk}", 1), ("Anna", 0), ("malignant", 0), ("'; --", 0)])
def test_a_row_is_found_by_its_number_alone(client, ivan, failed, words, found):
    client.force_login(ivan)

    answer = client.get(f"/admin/diagnosis/analysis/?q={words.format(pk=failed.pk)}")

    assert answer.context["cl"].result_count == found


def test_models_are_shown_and_not_changed(client, ivan):
    model = ModelVersion.objects.create(name="us-test", version="9", modality="US", status="research", sha256="b" * 64)
    client.force_login(ivan)

    assert "us-test" in content(client.get("/admin/diagnosis/modelversion/"))
    assert "b" * 64 in content(client.get(f"/admin/diagnosis/modelversion/{model.pk}/change/"))
    forged = {"active": "on", "status": "released", "sha256": "c" * 64}
    assert client.post(f"/admin/diagnosis/modelversion/{model.pk}/change/", forged).status_code == 403
    model.refresh_from_db()
    assert (model.active, model.status, model.sha256) == (False, "research", "b" * 64)


def test_clinical_tables_have_no_page(client, ivan, adam):
    for person in (ivan, adam):
        client.force_login(person)
        for name in ("study", "image", "assessment", "knownoutcome", "secondopinion", "erasure", "recordtransfer"):
            assert client.get(f"/admin/diagnosis/{name}/").status_code == 404
