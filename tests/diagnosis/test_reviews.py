"""A radiologist concludes, asks a colleague, releases the report; what turned out to be true is entered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse
from django.utils import timezone

from accounts.actions import give_consent, link_patient_login
from accounts.models import AuditEvent, Notification
from diagnosis import actions
from diagnosis.models import Assessment, KnownOutcome, Report, SecondOpinion
from portal import jobs
from tests.conftest import person
from tests.fixture_results import concluded, filed, released, succeeded, with_report

READING = {"label": "benign", "birads": "2", "conclusion": "Simple cyst, 8 mm."}


@pytest.fixture
def analysis(study, rachel):
    """A result of Anna's that says malignant, 7 of 10."""
    return succeeded(study=study, by=rachel)


@pytest.fixture
def robert(db):
    """Another radiologist."""
    return person("robert@test.local", "radiologist", "Robert", "Reader")


@pytest.fixture
def reading(client, rachel):
    client.force_login(rachel)
    return client


def page(client, analysis) -> str:
    return client.get(reverse("analysis-detail", args=[analysis.pk])).content.decode()


def test_a_conclusion_is_shown_and_makes_the_report_final(reading, analysis, rachel, anna):
    with_report(analysis)

    answer = reading.post(reverse("analysis-conclude", args=[analysis.pk]), {**READING, "seen": "0"})

    assert answer.status_code == 302
    conclusion = Assessment.objects.get()
    assert (conclusion.reader, conclusion.label, conclusion.birads) == (rachel, "benign", "2")
    html = page(reading, analysis)
    assert "Simple cyst, 8 mm." in html
    report = with_report(analysis)
    assert (report.version, report.status, report.assessment) == (2, Report.Status.FINAL, conclusion)
    assert analysis.reports.get(version=1).status == Report.Status.SUPERSEDED
    event = AuditEvent.objects.get(action="assessment.made")
    assert (event.actor, event.patient, event.details["birads"]) == (rachel, anna, "2")
    assert "cyst" not in str(event.details)


@pytest.mark.parametrize("missing", ["label", "birads", "conclusion"])
def test_an_incomplete_conclusion_is_not_saved_and_stays_on_the_page(reading, analysis, missing):
    answer = reading.post(reverse("analysis-conclude", args=[analysis.pk]), {**READING, missing: ""})

    assert answer.status_code == 422
    assert not Assessment.objects.exists()
    if missing != "conclusion":
        assert "Simple cyst, 8 mm." in answer.content.decode()


def test_a_conclusion_written_over_a_colleagues_is_refused_once(reading, analysis, robert):
    actions.conclude(acting_user=robert, analysis=analysis, label="malignant", birads="5", conclusion="Spiculated.")

    answer = reading.post(reverse("analysis-conclude", args=[analysis.pk]), {**READING, "seen": "0"})

    assert answer.status_code == 422
    html = answer.content.decode()
    assert "Somebody else wrote a conclusion" in html
    assert "Spiculated." in html
    assert Assessment.objects.count() == 1


def test_a_second_thought_is_a_new_row_and_the_newest_counts(analysis, rachel):
    concluded(analysis, by=rachel, birads="4A", label="malignant", text="Unsure.")
    report = concluded(analysis, by=rachel, birads="2", label="benign", text="A cyst after all.")

    assert [one.birads for one in analysis.own_conclusions()] == ["2", "4A"]
    assert report.assessment.birads == "2"


def test_there_is_nothing_to_conclude_without_a_result(study, rachel):
    with pytest.raises(actions.WrongState):
        actions.conclude(acting_user=rachel, analysis=filed(study=study, by=rachel), **READING)


@pytest.mark.parametrize("who", ["adam", "ivan", "petra"])
def test_only_radiologists_conclude(analysis, who, request):
    with pytest.raises(PermissionDenied):
        actions.conclude(acting_user=request.getfixturevalue(who), analysis=analysis, **READING)


@pytest.mark.parametrize(
    "change", [{"label": "cancer"}, {"birads": "7"}, {"conclusion": "  "}, {"conclusion": "x" * 10_001}]
)
def test_the_action_refuses_what_the_form_would(analysis, rachel, change):
    with pytest.raises(ValidationError):
        actions.conclude(acting_user=rachel, analysis=analysis, **{**READING, **change})
    assert not Assessment.objects.exists()


def test_markup_in_a_conclusion_is_text(reading, analysis, rachel):
    concluded(analysis, by=rachel, text="<script>alert(1)</script>")

    html = page(reading, analysis)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


# Release


def test_a_final_report_is_released_with_a_letter(reading, analysis, anna, petra, rachel):
    link_patient_login(acting_user=None, patient=anna, user=petra)
    give_consent(acting_user=petra, purpose="portal")
    report = concluded(analysis, by=rachel)
    form = reading.get(reverse("report-release", args=[report.pk])).content.decode()
    assert "A doctor has looked at the pictures" in form.replace("\n", " ")

    reading.post(reverse("report-release", args=[report.pk]), {"letter": "All is well."})

    report.refresh_from_db()
    assert (report.is_released, report.released_by, report.letter) == (True, rachel, "All is well.")
    told = Notification.objects.get(user=petra)
    assert told.text == "A report is ready."
    assert "RELEASED" in page(reading, analysis)


def test_a_patient_who_did_not_agree_to_the_portal_is_not_told(analysis, anna, petra, rachel):
    link_patient_login(acting_user=None, patient=anna, user=petra)

    released(analysis, by=rachel)

    assert not Notification.objects.filter(user=petra).exists()


def test_a_preliminary_report_is_never_released(reading, analysis):
    report = with_report(analysis)

    answer = reading.post(reverse("report-release", args=[report.pk]), {"letter": "All is well."})

    assert answer.status_code == 302
    report.refresh_from_db()
    assert not report.is_released


def test_a_released_report_is_taken_back_with_a_reason(reading, analysis, rachel):
    report = released(analysis, by=rachel)

    assert reading.post(reverse("report-withdraw", args=[report.pk]), {"reason": ""}).status_code == 422
    reading.post(reverse("report-withdraw", args=[report.pk]), {"reason": "Wrong side."})

    report.refresh_from_db()
    assert not report.is_released
    assert report.withdrawn_because == "Wrong side."
    assert AuditEvent.objects.filter(action="report.withdrawn").exists()


def test_a_corrected_name_keeps_the_release_and_a_new_conclusion_does_not(analysis, rachel):
    with_report(analysis)
    released(analysis, by=rachel, letter="All is well.")

    actions.reissue_report(acting_user=rachel, analysis=analysis)
    same = with_report(analysis)
    assert (same.is_released, same.letter) == (True, "All is well.")

    changed = concluded(analysis, by=rachel, birads="4B", label="malignant", text="On second thought.")
    assert not changed.is_released
    assert analysis.reports.get(pk=same.pk).status == Report.Status.SUPERSEDED


def test_a_version_that_was_overtaken_while_it_was_made_is_superseded(analysis, rachel):
    early = analysis.reports.get()
    late = concluded(analysis, by=rachel)

    claim = jobs.claim(Report, early.pk)
    assert actions.record_report(claim=claim, pdf=b"%PDF-1.7 early", sha256="0" * 64, page_count=1)

    early.refresh_from_db()
    late.refresh_from_db()
    assert (early.status, late.status) == (Report.Status.SUPERSEDED, Report.Status.FINAL)


def test_a_report_is_not_released_over_a_newer_conclusion(analysis, rachel, robert):
    report = concluded(analysis, by=rachel)
    actions.conclude(acting_user=robert, analysis=analysis, **{**READING, "label": "malignant", "birads": "5"})

    with pytest.raises(actions.WrongState, match="newer conclusion"):
        actions.release_report(acting_user=rachel, report=report, letter="All is well.")

    report.refresh_from_db()
    assert report.released_at is None


def test_a_new_conclusion_closes_the_released_report_before_its_own_is_made(analysis, anna, petra, rachel, robert):
    link_patient_login(acting_user=None, patient=anna, user=petra)
    give_consent(acting_user=petra, purpose="portal")
    report = released(analysis, by=rachel)
    assert list(Report.objects.visible_to(petra)) == [report]

    actions.conclude(acting_user=robert, analysis=analysis, **{**READING, "label": "malignant", "birads": "5"})

    assert not Report.objects.visible_to(petra).exists()
    assert list(Report.objects.taken_back_from(petra)) == [report]


def test_taking_back_an_older_version_does_not_pretend_that_the_newer_one_is_gone(analysis, rachel):
    with_report(analysis)
    older = released(analysis, by=rachel)
    actions.reissue_report(acting_user=rachel, analysis=analysis)
    newer = with_report(analysis)
    assert newer.is_released

    with pytest.raises(actions.WrongState, match="newer version"):
        actions.withdraw_report(acting_user=rachel, report=older, reason="The letter is for somebody else.")

    actions.withdraw_report(acting_user=rachel, report=newer, reason="The letter is for somebody else.")
    assert not Report.objects.filter(status=Report.Status.FINAL, withdrawn_at=None).exists()


def test_an_administrator_may_take_back_but_not_release(client, analysis, adam, rachel):
    report = concluded(analysis, by=rachel)
    client.force_login(adam)
    assert client.get(reverse("report-release", args=[report.pk])).status_code == 404
    actions.release_report(acting_user=rachel, report=report, letter="All is well.")

    client.post(reverse("report-withdraw", args=[report.pk]), {"reason": "Asked by the ward."})

    report.refresh_from_db()
    assert not report.is_released


# Second opinions


def test_a_colleague_is_asked_answers_and_advises(client, analysis, rachel, robert):
    client.force_login(rachel)
    client.post(
        reverse("second-opinion-ask", args=[analysis.pk]), {"asked_of": robert.pk, "question": "Is the margin sharp?"}
    )
    opinion = SecondOpinion.objects.get()
    assert Notification.objects.get(user=robert).path == reverse("analysis-detail", args=[analysis.pk])
    assert "malignan" not in Notification.objects.get(user=robert).text
    concluded(analysis, by=rachel)

    client.force_login(robert)
    assert "You are asked" in client.get(reverse("home")).content.decode()
    assert "you are asked" in page(client, analysis)
    client.post(
        reverse("second-opinion-answer", args=[opinion.pk]),
        {"label": "malignant", "birads": "4C", "conclusion": "No, it is not."},
    )

    opinion.refresh_from_db()
    assert (opinion.answer.reader, opinion.answer.birads) == (robert, "4C")
    assert Notification.objects.filter(user=rachel, kind="second_opinion_given").exists()
    # It advises: the conclusion of who is responsible stands.
    assert analysis.own_conclusions().first().birads == "2"
    assert "You are asked" not in client.get(reverse("home")).content.decode()


def test_only_who_was_asked_answers_and_only_once(analysis, rachel, robert):
    opinion = actions.ask_second_opinion(acting_user=rachel, analysis=analysis, asked_of=robert, question="Well?")
    with pytest.raises(actions.WrongState):
        actions.answer_second_opinion(acting_user=rachel, opinion=opinion, **READING)
    actions.answer_second_opinion(acting_user=robert, opinion=opinion, **READING)
    with pytest.raises(actions.WrongState):
        actions.answer_second_opinion(acting_user=robert, opinion=opinion, **READING)
    assert Assessment.objects.count() == 1


def test_the_same_question_is_not_asked_twice_and_can_be_taken_back(reading, analysis, rachel, robert):
    ask = {"acting_user": rachel, "analysis": analysis, "asked_of": robert, "question": "Well?"}
    opinion = actions.ask_second_opinion(**ask)
    with pytest.raises(actions.WrongState):
        actions.ask_second_opinion(**ask)

    reading.post(reverse("second-opinion-take-back", args=[opinion.pk]))

    opinion.refresh_from_db()
    assert opinion.withdrawn_at is not None
    assert actions.ask_second_opinion(**ask).pk != opinion.pk


@pytest.mark.parametrize("who", ["rachel", "adam", "petra"])
def test_nobody_asks_oneself_or_who_cannot_see_the_image(analysis, rachel, who, request):
    with pytest.raises(actions.WrongState):
        actions.ask_second_opinion(
            acting_user=rachel, analysis=analysis, asked_of=request.getfixturevalue(who), question="Well?"
        ) if who != "adam" else actions.ask_second_opinion(
            acting_user=rachel, analysis=analysis, asked_of=_switched_off(request), question="Well?"
        )
    assert not SecondOpinion.objects.exists()


def _switched_off(request):
    robert = request.getfixturevalue("robert")
    robert.is_active = False
    robert.save()
    return robert


# Outcomes


def test_an_outcome_is_entered_on_the_study(reading, study, rachel):
    today = timezone.localdate()
    entered = {"laterality": "L", "label": "malignant", "source": "histology", "determined_on": today.isoformat()}

    reading.post(reverse("known-outcome", args=[study.pk]), entered)

    row = KnownOutcome.objects.get()
    assert (row.study, row.label, row.source, row.entered_by) == (study, "malignant", "histology", rachel)
    assert "Histology" in reading.get(reverse("study-detail", args=[study.pk])).content.decode()


def test_an_outcome_of_tomorrow_is_refused(reading, study):
    tomorrow = timezone.localdate() + timedelta(days=1)
    entered = {"label": "benign", "source": "clinical", "determined_on": tomorrow.isoformat()}

    answer = reading.post(reverse("known-outcome", args=[study.pk]), entered)

    assert answer.status_code == 422
    assert "lies in the future" in answer.content.decode()
    assert not KnownOutcome.objects.exists()


@pytest.mark.parametrize(
    "name", ["analysis-conclude", "second-opinion-ask", "report-release", "report-withdraw", "known-outcome"]
)
def test_it_and_patients_do_not_get_near(client, analysis, study, rachel, ivan, petra, name):
    report = concluded(analysis, by=rachel)
    key = {"known-outcome": study.pk}.get(name, report.pk if name.startswith("report") else analysis.pk)
    for who in (ivan, petra):
        client.force_login(who)
        assert client.post(reverse(name, args=[key]), READING).status_code == 404
