"""IT staff hear once that the queue is in trouble and once that it is over, whatever is restarted in between."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.signals import request_finished
from django.db import OperationalError
from django.utils import timezone

from accounts import actions, queue_watch
from accounts.models import AuditEvent, OutgoingMail
from portal import jobs, trouble, workers
from portal.jobs import State

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _a_worker_shows_itself():
    trouble._worker.missing_since = None
    workers.show()
    yield
    workers.leave()
    trouble._worker.missing_since = None


def waiting(**changes) -> OutgoingMail:
    """A job of the kind that needs nothing else."""
    mail = actions.enqueue_mail(kind="result_ready", recipient="somebody@test.local", subject="A", body="B")
    OutgoingMail.objects.filter(pk=mail.pk).update(**changes)
    return mail


def ago(**span) -> object:
    return timezone.now() - timedelta(**span)


def told(user) -> list[str]:
    return [row.text for row in user.notifications.order_by("pk")]


def test_a_quiet_queue_is_no_news(ivan):
    waiting(queued_at=ago(minutes=9))
    assert actions.look_for_trouble() == 0
    assert told(ivan) == []


def test_work_that_waits_too_long_is_told_once_and_so_is_its_end(ivan, adam, rachel):
    job = waiting(queued_at=ago(minutes=14))

    assert [actions.look_for_trouble() for _ in range(5)] == [1, 0, 0, 0, 0]

    assert told(ivan) == ["The oldest job has waited for 14 minutes."]
    assert (told(adam), told(rachel)) == ([], [])
    OutgoingMail.objects.filter(pk=job.pk).update(state=State.SUCCEEDED)
    assert [actions.look_for_trouble() for _ in range(3)] == [1, 0, 0]
    assert told(ivan)[1:] == ["Over: nothing waits too long any more."]
    assert [row.action for row in AuditEvent.objects.filter(action__startswith="queue.").order_by("pk")] == [
        "queue.trouble_began",
        "queue.trouble_ended",
    ]


def test_a_second_trouble_of_the_kind_is_told_again(ivan):
    for _ in range(2):
        job = waiting(queued_at=ago(minutes=14))
        actions.look_for_trouble()
        OutgoingMail.objects.filter(pk=job.pk).update(state=State.SUCCEEDED)
        actions.look_for_trouble()
    assert len(told(ivan)) == 4


def test_at_the_edge_it_does_not_come_and_go(ivan):
    job = waiting(queued_at=ago(minutes=11))
    actions.look_for_trouble()
    for minutes in (9, 11, 9, 6):
        OutgoingMail.objects.filter(pk=job.pk).update(queued_at=ago(minutes=minutes))
        assert actions.look_for_trouble() == 0
    OutgoingMail.objects.filter(pk=job.pk).update(queued_at=ago(minutes=4))
    assert actions.look_for_trouble() == 1


def test_many_failures_in_an_hour(ivan, settings):
    for _ in range(settings.QUEUE_TROUBLE_FAILURES - 1):
        waiting(state=State.FAILED, finished_at=ago(minutes=5))
    for _ in range(9):
        waiting(state=State.FAILED, finished_at=ago(minutes=61))
    assert actions.look_for_trouble() == 0
    waiting(state=State.FAILED, finished_at=ago(minutes=5))
    assert actions.look_for_trouble() == 1
    assert told(ivan) == ["5 jobs failed within an hour."]


def test_mail_that_nobody_takes(ivan):
    mail = waiting()
    claim = jobs.claim(OutgoingMail, mail.pk)
    actions.postpone_mail(claim=claim, code="server_unreachable", message="Down.", detail="rachel@test.local refused")
    assert actions.look_for_trouble() == 0
    OutgoingMail.objects.filter(pk=mail.pk).update(queued_at=ago(minutes=12))
    assert actions.look_for_trouble() == 1
    assert told(ivan) == ["An e-mail or another delivery has been refused for 12 minutes and is tried again."]


def test_no_worker_is_told_when_it_stays_away_and_when_it_is_back(ivan, monkeypatch):
    workers.leave()
    for file in workers.folder().iterdir():
        os.utime(file, (0, 0))
    assert actions.look_for_trouble() == 0, "a restart of the worker is no trouble"
    clock = time.monotonic() + trouble.NO_WORKER_SECONDS + 1
    monkeypatch.setattr(trouble, "monotonic", lambda: clock)
    assert actions.look_for_trouble() == 1
    trouble._worker.missing_since = None
    assert actions.look_for_trouble() == 0, "a fresh process neither repeats it nor takes it back at once"
    workers.show()
    assert actions.look_for_trouble() == 1
    assert told(ivan) == ["No worker is running. Uploads are kept and wait.", "Over: a worker is running again."]


def test_somebody_who_was_switched_off_is_not_told(ivan):
    type(ivan).objects.filter(pk=ivan.pk).update(is_active=False)
    waiting(queued_at=ago(minutes=14))
    assert actions.look_for_trouble() == 1
    assert told(ivan) == []


# The web process


@pytest.fixture
def watch(monkeypatch):
    """What a web process does after a request, with its first look due."""
    monkeypatch.setitem(queue_watch._next, "at", 0.0)
    return queue_watch._after_request


def test_a_web_process_looks_after_a_request_and_not_after_every_one(ivan, watch):
    waiting(queued_at=ago(minutes=14))
    watch()
    assert len(told(ivan)) == 1
    OutgoingMail.objects.update(state=State.SUCCEEDED)
    watch()
    assert len(told(ivan)) == 1, "the next look is not due yet"


def test_a_database_that_is_down_breaks_no_answer(watch, monkeypatch):
    looked = []

    def fail() -> int:
        looked.append(1)
        raise OperationalError("the database is locked")

    monkeypatch.setattr(actions, "look_for_trouble", fail)
    watch()
    assert looked == [1]


def test_the_web_application_looks_and_tests_do_not():
    assert not any("queue_watch" in str(key) for key, *_ in request_finished.receivers)
    assert "accounts.queue_watch.look_after_requests" in (ROOT / "portal" / "wsgi.py").read_text()
    queue_watch.look_after_requests()
    try:
        assert any("queue_watch" in str(key) for key, *_ in request_finished.receivers)
    finally:
        assert request_finished.disconnect(dispatch_uid="accounts.queue_watch")
