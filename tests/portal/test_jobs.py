"""The durable job: one claim at a time, one end, and nothing lost."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from diagnosis import actions, tasks
from diagnosis.models import Analysis
from portal import job_counts, jobs
from portal.job_task import work_now
from portal.jobs import State
from tests.fixture_results import filed


@pytest.fixture
def queue(settings):
    """The directory of the real broker, empty."""
    shutil.rmtree(settings.QUEUE_DIR, ignore_errors=True)
    settings.QUEUE_DIR.mkdir()
    jobs._broker.down_until = 0.0
    yield settings.QUEUE_DIR
    if settings.QUEUE_DIR.is_file():
        settings.QUEUE_DIR.unlink()
    jobs._broker.down_until = 0.0


@pytest.fixture
def analysis(study, rachel) -> Analysis:
    """Queued; its message was not sent, because the test's transaction does not commit."""
    return filed(study=study, by=rachel)


def _messages(queue) -> int:
    return len(list(queue.glob("*.msg")))


def _let_the_lease_run_out(analysis: Analysis) -> None:
    Analysis.objects.filter(pk=analysis.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def _let_it_be_due(analysis: Analysis) -> None:
    Analysis.objects.filter(pk=analysis.pk).update(publish_after=timezone.now() - timedelta(seconds=1))


def _fail(claim: jobs.Claim) -> bool:
    return actions.fail_analysis(claim=claim, code="test", message="It failed.", detail="For staff.")


def test_a_queued_job_is_claimed_once(analysis):
    claim = jobs.claim(Analysis, analysis.pk)
    assert claim is not None
    assert claim.attempt == 1
    assert jobs.claim(Analysis, analysis.pk) is None
    analysis.refresh_from_db()
    assert analysis.state == State.RUNNING
    assert analysis.token == claim.token


def test_a_job_that_does_not_exist_is_not_claimed(db):
    assert jobs.claim(Analysis, "00000000-0000-4000-8000-000000000000") is None


def test_a_job_whose_lease_ran_out_is_claimed_by_the_next(analysis):
    first = jobs.claim(Analysis, analysis.pk)
    _let_the_lease_run_out(analysis)
    second = jobs.claim(Analysis, analysis.pk)
    assert first is not None
    assert second is not None
    assert second.attempt == 2
    assert second.token != first.token


def test_a_worker_that_lost_its_lease_writes_nothing(analysis):
    lost = jobs.claim(Analysis, analysis.pk)
    _let_the_lease_run_out(analysis)
    kept = jobs.claim(Analysis, analysis.pk)
    assert not lost.extend(stage="too late")
    assert not _fail(lost)
    analysis.refresh_from_db()
    assert (analysis.state, analysis.stage, analysis.error_code) == (State.RUNNING, "starting", "")
    assert not AuditEvent.objects.filter(action="analysis.failed").exists()
    assert _fail(kept)
    assert AuditEvent.objects.filter(action="analysis.failed").count() == 1


def test_a_job_is_finished_once(analysis):
    claim = jobs.claim(Analysis, analysis.pk)
    assert _fail(claim)
    assert not _fail(claim)
    assert AuditEvent.objects.filter(action="analysis.failed").count() == 1


def test_the_heartbeat_keeps_the_lease_of_long_work(analysis, monkeypatch):
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0.02)
    claim = jobs.claim(Analysis, analysis.pk)
    beats = []
    monkeypatch.setattr(jobs.Claim, "extend", lambda self: beats.append(1) or len(beats) < 3)
    with claim.heartbeat():
        deadline = timezone.now() + timedelta(seconds=5)
        while len(beats) < 3 and timezone.now() < deadline:
            pass
    assert len(beats) == 3, "it beats until the job is no longer ours"


def test_the_sweep_queues_again_what_lost_its_worker(analysis, queue):
    jobs.claim(Analysis, analysis.pk)
    _let_the_lease_run_out(analysis)
    assert jobs.sweep() == jobs.Swept(published=1, requeued=1)
    analysis.refresh_from_db()
    assert (analysis.state, analysis.token, analysis.attempts) == (State.QUEUED, None, 1)
    assert _messages(queue) == 1


def test_the_sweep_is_idempotent(analysis, queue):
    jobs.claim(Analysis, analysis.pk)
    _let_the_lease_run_out(analysis)
    jobs.sweep()
    assert jobs.sweep() == jobs.Swept()
    assert _messages(queue) == 1


def test_the_sweep_leaves_a_living_worker_alone(analysis, queue):
    claim = jobs.claim(Analysis, analysis.pk)
    assert jobs.sweep() == jobs.Swept()
    assert claim.extend()


def test_after_the_last_attempt_a_job_fails_with_a_sentence(analysis, queue):
    for _ in range(jobs.MAX_ATTEMPTS):
        assert jobs.claim(Analysis, analysis.pk) is not None
        _let_the_lease_run_out(analysis)
    assert jobs.claim(Analysis, analysis.pk) is None
    assert jobs.sweep().abandoned == 1
    analysis.refresh_from_db()
    assert (analysis.state, analysis.error_code) == (State.FAILED, "worker_lost")
    assert "interrupted 3 times" in analysis.error_message
    assert "Try again" in analysis.error_message
    assert AuditEvent.objects.filter(action="analysis.failed").count() == 1
    assert jobs.sweep() == jobs.Swept()


def test_a_failed_job_that_a_person_retries_has_all_its_attempts_again(analysis, rachel):
    for _ in range(jobs.MAX_ATTEMPTS):
        claim = jobs.claim(Analysis, analysis.pk)
        _let_the_lease_run_out(analysis)
    assert claim is not None
    assert _fail(claim)
    actions.retry_analysis(acting_user=rachel, analysis=analysis)
    analysis.refresh_from_db()
    assert (analysis.state, analysis.attempts, analysis.error_message) == (State.QUEUED, 0, "")
    assert jobs.claim(Analysis, analysis.pk) is not None


def test_a_running_job_cannot_be_retried(analysis, rachel):
    claim = jobs.claim(Analysis, analysis.pk)
    with pytest.raises(actions.WrongState):
        actions.retry_analysis(acting_user=rachel, analysis=analysis)
    assert claim.extend()


def test_the_worker_of_a_cancelled_job_writes_nothing(analysis, rachel):
    claim = jobs.claim(Analysis, analysis.pk)
    actions.cancel_analysis(acting_user=rachel, analysis=analysis)
    assert not _fail(claim)
    analysis.refresh_from_db()
    assert (analysis.state, analysis.error_code) == (State.CANCELLED, "")
    assert jobs.claim(Analysis, analysis.pk) is None


def test_a_finished_job_cannot_be_cancelled(analysis, rachel):
    assert _fail(jobs.claim(Analysis, analysis.pk))
    with pytest.raises(actions.WrongState):
        actions.cancel_analysis(acting_user=rachel, analysis=analysis)


def test_a_message_that_is_delivered_twice_changes_nothing(analysis, rachel):
    actions.cancel_analysis(acting_user=rachel, analysis=analysis)
    work_now(tasks.analyse, analysis.pk)
    work_now(tasks.analyse, analysis.pk)
    analysis.refresh_from_db()
    assert (analysis.state, analysis.attempts) == (State.CANCELLED, 0)


def test_a_job_is_published_when_its_transaction_commits(study, rachel, queue, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        analysis = filed(study=study, by=rachel)
        assert _messages(queue) == 0
    assert _messages(queue) == 1
    analysis.refresh_from_db()
    assert analysis.publications == 1
    assert jobs.sweep() == jobs.Swept(), "the message is on its way"


def test_a_broker_that_is_down_raises_nothing_and_is_asked_once_a_batch(
    study, rachel, queue, django_capture_on_commit_callbacks, monkeypatch
):
    queue.rmdir()
    queue.write_text("A file where the directory should be.", encoding="utf-8")
    sent = []
    send_task = jobs.current_app.send_task
    monkeypatch.setattr(
        jobs.current_app, "send_task", lambda *args, **options: sent.append(1) or send_task(*args, **options)
    )
    with django_capture_on_commit_callbacks(execute=True):
        first, second = (filed(study=study, by=rachel, seed=seed) for seed in (1, 2))
    assert len(sent) == 1
    assert {first.state, second.state} == {State.QUEUED}
    assert jobs.sweep() == jobs.Swept()

    queue.unlink()
    assert jobs.sweep() == jobs.Swept(published=2)
    assert _messages(queue) == 2


def test_a_message_that_was_lost_is_sent_again_and_ever_more_rarely(analysis, queue):
    waits = []
    for _ in range(9):
        _let_it_be_due(analysis)
        assert jobs.sweep().published == 1
        analysis.refresh_from_db()
        waits.append((analysis.publish_after - timezone.now()).total_seconds())
    assert waits[0] == pytest.approx(jobs.REPUBLISH_FIRST.total_seconds(), abs=1)
    assert waits[1] == pytest.approx(2 * waits[0], abs=2)
    assert waits[-1] == pytest.approx(jobs.REPUBLISH_LONGEST.total_seconds(), abs=1)


def test_a_long_backlog_is_not_sent_again_all_at_once(study, rachel, queue, monkeypatch):
    monkeypatch.setattr(jobs, "REPUBLISH_BATCH", 2)
    for seed in range(5):
        filed(study=study, by=rachel, seed=seed)
    assert jobs.sweep().published == 5, "the first time, all of them"
    Analysis.objects.update(publish_after=timezone.now() - timedelta(seconds=1))
    assert jobs.sweep().published == 2


def test_the_waiting_and_the_run_time_are_noted(analysis):
    assert analysis.waiting_time is None
    claim = jobs.claim(Analysis, analysis.pk)
    analysis.refresh_from_db()
    assert analysis.waiting_time >= timedelta(0)
    assert analysis.run_time is None
    assert _fail(claim)
    analysis.refresh_from_db()
    assert analysis.run_time >= timedelta(0)
    assert analysis.is_finished


def test_jobs_are_counted_by_kind(analysis):
    by_name = {kind.name: kind for kind in job_counts.counts()}
    assert by_name["analysis"] == job_counts.Counts(name="analysis", queued=1, running=0, failed=0)
    assert by_name["report"].queued == 0
