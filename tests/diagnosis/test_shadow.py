"""A candidate model reads new images along, unseen: it delays nobody, disturbs nothing, and is compared."""

from __future__ import annotations

import re
from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

import accounts.tasks
import ml.pipeline
from accounts.models import AuditEvent, OutgoingMail
from diagnosis import actions, inference, overlay, report_context, tasks
from diagnosis.actions import WrongState
from diagnosis.models import Analysis, ModelVersion, Report, ShadowReading
from ml.contract import ModelError, ModelIdentity, Outcome, OutcomeState
from portal import jobs
from portal.job_task import work_now
from portal.jobs import State
from tests.fixture_images import HEIGHT, WIDTH
from tests.fixture_models import registered
from tests.fixture_results import BLURRED, MODEL, RESEARCH, failed, filed, outcome, rejected, succeeded, with_report
from tests.fixture_sign_in import confirm as just_confirmed

CANDIDATE = ModelIdentity(name="us-candidate", version="3.0.0", sha256="ef" * 32, modality="US")
SECRET_WORDS = ("us-candidate", "0.9321", "shadow")


@pytest.fixture
def sound(monkeypatch):
    """Every artefact is what was registered, until a sentence is added."""
    altered: list[str] = []
    monkeypatch.setattr(inference, "altered_files", lambda name, version, *, sha256: list(altered))
    return altered


@pytest.fixture
def now(db, sound) -> ModelVersion:
    """The ultrasound model in use."""
    return registered(MODEL, active=True)


@pytest.fixture
def candidate(now) -> ModelVersion:
    """A candidate for ultrasound, in the shadow."""
    return registered(CANDIDATE, shadow=True)


@pytest.fixture
def says(monkeypatch):
    """``says(outcome)``: what a model says of every image, without running one."""

    def install(said):
        def analyse(pixels, model):
            if isinstance(said, Exception):
                raise said
            return said

        monkeypatch.setattr(inference, "_loaded", lambda name, version, *, sha256: None)
        monkeypatch.setattr(inference, "_rebased", lambda own, *, model: (own, None))
        monkeypatch.setattr(ml.pipeline, "analyse", analyse)

    return install


def nothing_else_waits() -> None:
    """Finish what the fixtures have left in the queue: reports."""
    for job_type in jobs._registered:
        if not job_type.in_background:
            job_type._default_manager.filter(state=State.QUEUED).update(state=State.CANCELLED)


def read(analysis: Analysis) -> ShadowReading:
    """Have the worker do the reading of an analysis."""
    nothing_else_waits()
    reading = analysis.shadow_readings.get()
    work_now(tasks.read_in_shadow, reading.pk)
    reading.refresh_from_db()
    return reading


def columns(analysis: Analysis) -> dict:
    return Analysis.objects.filter(pk=analysis.pk).values().get()


# Set and ended


def test_an_administrator_sets_a_candidate_with_a_reason_in_the_ledger(adam, now):
    model = registered(CANDIDATE)
    actions.set_shadow(acting_user=adam, model=model, reason="Compare for a month")
    model.refresh_from_db()
    assert (model.shadow, model.active) == (True, False)
    row = AuditEvent.objects.get(action="model.shadow_began")
    assert (row.actor, row.purpose) == (adam, "Compare for a month")


def test_the_model_in_use_is_not_compared_with_itself(adam, now):
    with pytest.raises(WrongState, match="not with itself"):
        actions.set_shadow(acting_user=adam, model=now, reason="Why not")


def test_without_a_reason_or_with_altered_files_nothing_reads_along(adam, now, sound):
    model = registered(CANDIDATE)
    with pytest.raises(WrongState, match="Say why"):
        actions.set_shadow(acting_user=adam, model=model, reason="  ")
    sound.append("model.tflite differs")
    with pytest.raises(WrongState, match="missing or were altered"):
        actions.set_shadow(acting_user=adam, model=model, reason="Compare")
    assert not ModelVersion.objects.filter(shadow=True).exists()


def test_another_candidate_takes_the_place_and_what_was_not_read_is_dropped(adam, candidate, study, rachel):
    analysis = succeeded(study=study, by=rachel)
    other = registered(ModelIdentity(name="us-other", version="1", sha256="1" * 64, modality="US"))
    actions.set_shadow(acting_user=adam, model=other, reason="A better one")
    candidate.refresh_from_db()
    assert not candidate.shadow
    assert analysis.shadow_readings.get().state == State.CANCELLED
    assert AuditEvent.objects.get(action="model.shadow_ended").details["unread"] == 1


def test_two_presses_set_it_once(adam, candidate):
    with pytest.raises(WrongState, match="already"):
        actions.set_shadow(acting_user=adam, model=candidate, reason="Again")


def test_the_card_sets_and_ends_it(client, adam, now):
    model = registered(CANDIDATE)
    client.force_login(adam)
    just_confirmed(client)
    card = reverse("model-card", args=[model.name, model.version])
    html = client.post(f"{card}shadow/", {"reason": "Compare for a month"}, follow=True).content.decode()
    assert "reads the new images along, unseen" in html
    assert "Compare for a month" in html
    html = client.post(f"{card}shadow/end/", follow=True).content.decode()
    assert "reads no further images" in html
    assert not ModelVersion.objects.filter(shadow=True).exists()


# What is read


@pytest.mark.parametrize("end", [succeeded, rejected])
def test_every_image_whose_analysis_ended_is_read_once(candidate, study, rachel, end):
    analysis = end(study=study, by=rachel)
    assert [row.model for row in analysis.shadow_readings.all()] == [candidate]
    with pytest.raises(Exception, match="UNIQUE"):
        ShadowReading.objects.create(analysis=analysis, model=candidate)


def test_an_image_without_a_model_is_read_too_but_a_failed_one_or_another_kind_is_not(candidate, study, rachel, anna):
    broken = failed(study=study, by=rachel, seed=1)
    mammogram = actions.create_study(acting_user=rachel, patient=anna, modality="MG")
    waits = filed(study=mammogram, by=rachel, seed=2)
    claim = jobs.claim(Analysis, waits.pk)
    actions.reject_analysis(claim=claim, code=actions.NO_MODEL, reason="No model")
    assert not broken.shadow_readings.exists()
    assert not waits.shadow_readings.exists()
    trial = registered(RESEARCH, shadow=True)
    waits.refresh_from_db()
    actions.retry_analysis(acting_user=rachel, analysis=waits)
    actions.reject_analysis(claim=jobs.claim(Analysis, waits.pk), code=actions.NO_MODEL, reason="No model")
    assert waits.shadow_readings.get().model == trial


def test_the_worker_stores_what_the_candidate_says_and_the_analysis_stays_as_it_is(candidate, study, rachel, says):
    analysis = succeeded(study=study, by=rachel)
    before = columns(analysis)
    says(outcome(label="benign", confidence=0.9321, suspicion=2, model=CANDIDATE))
    reading = read(analysis)
    assert (reading.state, reading.label, reading.suspicion) == (State.SUCCEEDED, "benign", 2)
    assert reading.probability_benign == pytest.approx(0.9321)
    assert columns(analysis) == before
    row = AuditEvent.objects.get(action="shadow_reading.made")
    assert row.patient_id == study.patient_id
    assert "benign" not in str(row.details), "the ledger says that it was read, not what was said"


def test_a_refusal_of_the_candidate_is_kept_with_its_reasons(candidate, study, rachel, says):
    analysis = succeeded(study=study, by=rachel)
    says(Outcome(state=OutcomeState.REJECTED, model=CANDIDATE, quality=BLURRED, reasons=("Too blurred.",)))
    reading = read(analysis)
    assert (reading.state, reading.reasons, reading.label) == (State.REJECTED, ["Too blurred."], "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelError("model_missing", "It is not installed.", remedy="Install it."), "model_missing"),
        (ModelError("model_altered", "It was altered.", remedy="Restore it."), "model_altered"),
        (RuntimeError("boom"), "internal_error"),
        (MemoryError(), "internal_error"),
    ],
)
def test_a_candidate_that_breaks_disturbs_nothing(candidate, study, rachel, says, error, code):
    analysis = succeeded(study=study, by=rachel)
    with_report(analysis)
    before = columns(analysis)
    says(error)
    reading = read(analysis)
    assert (reading.state, reading.error_code) == (State.FAILED, code)
    assert columns(analysis) == before
    study.refresh_from_db()
    assert study.state == study.State.ANALYSED


def test_a_candidate_killed_midway_is_read_again_and_given_up_in_the_end(candidate, study, rachel, says):
    analysis = succeeded(study=study, by=rachel)
    reading = analysis.shadow_readings.get()
    for attempt in range(1, jobs.MAX_ATTEMPTS + 1):
        assert jobs.claim(ShadowReading, reading.pk).attempt == attempt
        # The worker was killed: nobody extends the lease.
        ShadowReading.objects.filter(pk=reading.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        before = columns(analysis)
        jobs.sweep()
        assert columns(analysis) == before
    reading.refresh_from_db()
    assert (reading.state, reading.error_code) == (State.FAILED, "worker_lost")


def test_a_worker_that_lost_its_lease_writes_nothing(candidate, study, rachel):
    analysis = succeeded(study=study, by=rachel)
    claim = jobs.claim(ShadowReading, analysis.shadow_readings.get().pk)
    ShadowReading.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    jobs.sweep()
    assert actions.record_shadow_reading(claim=claim, outcome=outcome(model=CANDIDATE)) is False
    assert analysis.shadow_readings.get().label == ""


# Nobody waits for it


def test_it_is_not_published_when_the_analysis_ends(candidate, study, rachel, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        analysis = succeeded(study=study, by=rachel)
    assert analysis.shadow_readings.get().publications == 0


def test_the_sweep_publishes_it_only_while_nothing_else_waits_and_a_few_at_a_time(
    candidate, study, rachel, monkeypatch
):
    sent = []
    monkeypatch.setattr(jobs, "_send", lambda job_type, pk: sent.append(job_type) or True)
    for seed in range(jobs.BACKGROUND_BATCH + 3):
        succeeded(study=study, by=rachel, seed=seed)
    jobs.sweep()
    assert ShadowReading not in sent, "reports wait"
    nothing_else_waits()
    jobs.sweep()
    assert sent.count(ShadowReading) == jobs.BACKGROUND_BATCH
    jobs.sweep()
    assert sent.count(ShadowReading) == jobs.BACKGROUND_BATCH, "until these were worked on"


def test_a_worker_that_finds_other_work_waiting_gives_it_back(candidate, study, rachel, says):
    analysis = succeeded(study=study, by=rachel)
    nothing_else_waits()
    says(outcome(model=CANDIDATE))
    filed(study=study, by=rachel, seed=9)
    reading = analysis.shadow_readings.get()
    work_now(tasks.read_in_shadow, reading.pk)
    reading.refresh_from_db()
    assert (reading.state, reading.attempts) == (State.QUEUED, 0)


def test_a_mail_that_waits_for_its_server_does_not_hold_it_up(candidate, study, rachel, adam):
    succeeded(study=study, by=rachel)
    nothing_else_waits()
    OutgoingMail.objects.create(
        kind="account", recipient="a@b.c", subject="x", lease_until=timezone.now() + timedelta(hours=1)
    )
    assert OutgoingMail in jobs._registered, accounts.tasks.__name__
    assert jobs.should_wait(ShadowReading) is False
    OutgoingMail.objects.update(lease_until=None)
    assert jobs.should_wait(ShadowReading) is True


# Never seen beside a result


@pytest.fixture
def read_analysis(candidate, study, rachel, says) -> Analysis:
    """An analysis whose image the candidate has read, quite differently."""
    map_of_zeros = overlay.layer_png(np.zeros((HEIGHT, WIDTH), np.float32))
    analysis = succeeded(study=study, by=rachel, explanation=map_of_zeros)
    with_report(analysis)
    says(outcome(label="normal", confidence=0.9321, suspicion=1, model=CANDIDATE))
    assert read(analysis).state == State.SUCCEEDED
    return analysis


@pytest.mark.parametrize("who", ["rachel", "adam"])
def test_no_page_of_the_result_shows_it(client, request, read_analysis, study, who):
    client.force_login(request.getfixturevalue(who))
    for address in (
        reverse("analysis-detail", args=[read_analysis.pk]),
        reverse("analysis-panel", args=[read_analysis.pk]),
        reverse("study-detail", args=[study.pk]),
        reverse("patient-detail", args=[study.patient_id]),
        reverse("history"),
        *([reverse("home")] if who == "rachel" else []),
    ):
        html = client.get(address).content.decode().lower()
        shown = re.sub(r"<link[^>]*>|<a [^>]*models[^>]*>", "", html)
        assert [word for word in SECRET_WORDS if word in shown] == [], address


def test_neither_the_interface_for_programs_nor_the_export_nor_the_report_has_it(api, client, rachel, read_analysis):
    body = api(rachel).get(f"/api/v1/analyses/{read_analysis.pk}/").content.decode().lower()
    assert [word for word in SECRET_WORDS if word in body] == []
    client.force_login(rachel)
    just_confirmed(client)
    rows = b"".join(client.get(reverse("history-export")).streaming_content).decode().lower()
    assert [word for word in SECRET_WORDS if word in rows] == []
    report = Report.objects.select_related("analysis__image__study__patient").get(analysis=read_analysis)
    context = str(report_context.of(report)).lower()
    assert [word for word in SECRET_WORDS if word in context] == []


def test_only_administrators_open_the_comparison(client, rachel, ivan, petra, adam, candidate, read_analysis):
    address = reverse("model-here", args=[candidate.name, candidate.version])
    for person, status in ((rachel, 404), (ivan, 404), (petra, 404), (adam, 200)):
        client.force_login(person)
        assert client.get(address).status_code == status
