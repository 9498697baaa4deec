"""Who is told what about a study, and that nobody can learn from a notification or a mail whose it is or what it is."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core import mail as post
from django.utils import timezone

from accounts.actions import give_consent, mark_read
from accounts.models import Notification, OutgoingMail, User
from diagnosis import actions, notices, wording
from diagnosis.models import Analysis, Report
from ml.calibrate import SUSPICION_CUTS
from portal import jobs
from tests.conftest import person
from tests.fixture_mail import deliver
from tests.fixture_results import RESEARCH, concluded, failed, filed, rejected, released, succeeded

pytestmark = pytest.mark.django_db


def told(user: User) -> list[tuple[str, str]]:
    return [(row.kind, row.text) for row in user.notifications.order_by("pk")]


@pytest.fixture
def rosa(db):
    """A second radiologist."""
    return person("rosa@test.local", "radiologist", "Rosa", "Reader")


def test_who_added_the_image_hears_that_its_result_is_ready_and_nobody_else(study, rachel, rosa, adam, ivan):
    succeeded(study=study, by=rachel, suspicion=3, label="benign")
    assert told(rachel) == [("result_ready", f"A result is ready (study {study.short_id}).")]
    assert rachel.notifications.get().path == f"/studies/{study.pk}/"
    assert [told(user) for user in (rosa, adam, ivan)] == [[], [], []]
    assert not OutgoingMail.objects.exists(), "an ordinary result is not mailed unless one asks for it"


def test_many_images_of_one_study_are_one_line(study, rachel):
    for seed in range(6):
        succeeded(study=study, by=rachel, seed=seed, suspicion=2, label="benign")
    assert told(rachel) == [("result_ready", f"6 results are ready (study {study.short_id}).")]

    mark_read(acting_user=rachel)
    succeeded(study=study, by=rachel, seed=7, suspicion=2, label="benign")
    assert told(rachel)[1:] == [("result_ready", f"A result is ready (study {study.short_id}).")]


def test_two_people_who_add_to_one_study_each_hear_of_their_own(study, rachel, rosa):
    succeeded(study=study, by=rachel, seed=1, suspicion=2)
    succeeded(study=study, by=rosa, seed=2, suspicion=2)
    for user in (rachel, rosa):
        assert told(user) == [("result_ready", f"A result is ready (study {study.short_id}).")]


def test_a_suspicious_result_is_told_as_such_and_mailed_once(study, rachel):
    succeeded(study=study, by=rachel, seed=1, suspicion=notices.SUSPICIOUS_FROM)
    succeeded(study=study, by=rachel, seed=2, suspicion=10)
    succeeded(study=study, by=rachel, seed=3, suspicion=notices.SUSPICIOUS_FROM - 1)
    assert told(rachel) == [
        ("suspicious_result", f"2 results need a look soon (study {study.short_id})."),
        ("result_ready", f"A result is ready (study {study.short_id})."),
    ]
    assert [mail.kind for mail in OutgoingMail.objects.all()] == ["suspicious_result"]


def test_the_threshold_is_where_its_source_says():
    assert SUSPICION_CUTS[notices.SUSPICIOUS_FROM - 2] == 0.50
    assert wording.suspicion_words(notices.SUSPICIOUS_FROM) == "high"
    assert wording.suspicion_words(notices.SUSPICIOUS_FROM - 1) == "intermediate"


def test_what_a_research_model_says_is_never_urgent(study, rachel):
    succeeded(study=study, by=rachel, suspicion=10, confidence=0.99, model=RESEARCH)
    assert told(rachel) == [("result_ready", f"A result is ready (study {study.short_id}).")]
    assert not OutgoingMail.objects.exists()


def test_a_refusal_is_told_to_who_added_the_image(study, rachel, ivan):
    for seed in range(3):
        rejected(study=study, by=rachel, seed=seed)
    line = f"3 images could not be judged; the page says why (study {study.short_id})."
    assert told(rachel) == [("analysis_refused", line)]
    assert told(ivan) == []


def test_a_modality_without_a_model_is_a_refusal_too(study, rachel):
    claim = jobs.claim(Analysis, filed(study=study, by=rachel).pk)
    actions.reject_analysis(claim=claim, code=actions.NO_MODEL, reason="No model reads this.")
    assert [kind for kind, _ in told(rachel)] == ["analysis_refused"]


def test_a_failure_is_told_to_who_added_the_image_and_to_it_staff_without_the_study(study, rachel, ivan, adam):
    for seed in range(2):
        failed(study=study, by=rachel, seed=seed)
    assert [kind for kind, _ in told(rachel)] == ["analysis_failed"]
    assert "2 analyses failed; the images are stored" in told(rachel)[0][1]
    assert told(ivan) == [("analysis_failed", "2 analyses failed. The first page of operations says why.")]
    assert ivan.notifications.get().path == "/"
    assert told(adam) == []


def test_an_analysis_whose_worker_was_lost_for_good_is_told_as_failed(study, rachel, ivan):
    analysis = filed(study=study, by=rachel)
    for _ in range(jobs.MAX_ATTEMPTS):
        jobs.claim(Analysis, analysis.pk)
        Analysis.objects.filter(pk=analysis.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert actions.abandon_analysis(analysis.pk)
    assert [kind for kind, _ in told(rachel)] == ["analysis_failed"]
    assert [kind for kind, _ in told(ivan)] == ["analysis_failed"]


def test_a_report_that_failed_is_told_to_who_asked_for_it(study, rachel, ivan):
    report = succeeded(study=study, by=rachel, suspicion=2).reports.get()
    claim = jobs.claim(Report, report.pk)
    actions.fail_report(claim=claim, code="internal_error", message="A fault.", detail="Traceback")
    assert [kind for kind, _ in told(rachel)] == ["result_ready", "analysis_failed"]
    assert told(ivan) == [("analysis_failed", "1 report failed. The first page of operations says why.")]


def test_an_image_that_came_without_aperson_tells_nobody(study, rachel, ivan):
    analysis = filed(study=study, by=rachel)
    type(analysis.image).objects.filter(pk=analysis.image_id).update(uploaded_by=None)
    claim = jobs.claim(Analysis, analysis.pk)
    actions.fail_analysis(claim=claim, code="internal_error", message="A fault.", detail="")
    assert told(rachel) == []
    assert [kind for kind, _ in told(ivan)] == ["analysis_failed"]


def test_a_worker_that_lost_its_lease_tells_nobody(study, rachel, ivan):
    analysis = filed(study=study, by=rachel)
    lost = jobs.claim(Analysis, analysis.pk)
    Analysis.objects.filter(pk=analysis.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    jobs.claim(Analysis, analysis.pk)
    assert not actions.fail_analysis(claim=lost, code="late", message="Late.", detail="")
    assert not Notification.objects.exists()


@pytest.mark.parametrize("clinical", [False, True])
def test_a_whole_study_names_nobody_and_says_no_result(study, anna, rachel, rosa, ivan, petra, settings, clinical):
    settings.MAIL_CLINICAL_CONTENT = clinical
    type(anna).objects.filter(pk=anna.pk).update(user=petra)
    anna.refresh_from_db()
    for purpose in ("portal", "email"):
        give_consent(acting_user=petra, purpose=purpose)
    for user in (rachel, rosa, ivan):
        for kind in ("result_ready", "suspicious_result", "analysis_refused", "analysis_failed"):
            user.notification_preferences.create(kind=kind, in_app=True, by_email=True)
    suspicious = succeeded(study=study, by=rachel, seed=1, suspicion=9, label="malignant")
    benign = succeeded(study=study, by=rachel, seed=2, suspicion=2, label="benign")
    rejected(study=study, by=rachel, seed=3)
    failed(study=study, by=rachel, seed=4)
    asked = actions.ask_second_opinion(
        acting_user=rachel, analysis=suspicious, asked_of=rosa, question="Anna Żółć, MRN-001: malignant?"
    )
    actions.answer_second_opinion(
        acting_user=rosa, opinion=asked, label="malignant", birads="5", conclusion="Carcinoma of Anna."
    )
    concluded(suspicious, by=rachel, label="malignant", birads="5", text="Carcinoma.")
    released(benign, by=rachel, letter="Dear Anna, all is well.")
    deliver()

    kinds = set(Notification.objects.values_list("kind", flat=True))
    assert kinds >= {
        *("result_ready", "suspicious_result", "analysis_refused", "analysis_failed"),
        *("second_opinion_asked", "second_opinion_given", "report_released"),
    }
    assert {address for message in post.outbox for address in message.to} >= {rachel.email, rosa.email, petra.email}
    said = [f"{row.text} {row.path}" for row in Notification.objects.all()]
    for message in post.outbox:
        html = "".join(one.content for one in message.alternatives)
        said.append(f"{message.subject} {message.body} {html} {message.extra_headers}")
    said += [f"{row.subject} {row.body} {row.error_detail}" for row in OutgoingMail.objects.all()]
    of_her = r"anna|żółć|mrn-?001|1970|petra"
    of_the_result = r"malignan|benign|normal\b|carcinoma|cyst|bi-?rads|suspicio|cancer|probabilit|score"
    assert [line for line in said if re.search(f"{of_her}|{of_the_result}", line, re.IGNORECASE)] == []
