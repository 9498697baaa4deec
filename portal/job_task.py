"""How a durable job becomes a Celery task: it claims by lease, beats, and always ends in a readable state."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import structlog
from celery import Task, current_app
from celery.exceptions import SoftTimeLimitExceeded

from portal import jobs
from portal.channel import WORKER, through
from portal.jobs import Claim, LeasedJob
from portal.logs import described

log = structlog.get_logger(__name__)

FailureWriter = Callable[..., bool]


def job_task(
    job_type: type[LeasedJob], *, fail: FailureWriter, failure_message: str, seconds: int | None = None
) -> Callable[..., Task]:
    """Make a Celery task of a function that works on a claim.

    State before: QUEUED, or RUNNING with an expired lease; otherwise the task does nothing, so it may be delivered any
    number of times. A background job does nothing either while other work waits; the sweep brings it again. State
    after: whatever the function wrote, or FAILED with ``failure_message`` when it raised.

    Args:
        seconds: longest time of one run where the site's own limit is too short for this kind of work.
    """
    limits = {} if seconds is None else {"time_limit": seconds, "soft_time_limit": seconds * 0.9}

    def decorate(work: Callable[[Claim], None]) -> Task:
        @current_app.task(name=job_type.task_name, bind=True, **limits)
        @functools.wraps(work)
        def run(self: Task, pk: str) -> None:
            if jobs.should_wait(job_type):
                log.info("job.lets_others_first", job=job_type.__name__, pk=pk)
                return
            claim = jobs.claim(job_type, pk)
            if claim is None:
                log.info("job.not_ours", job=job_type.__name__, pk=pk)
                return
            with through(WORKER):
                try:
                    with claim.heartbeat():
                        work(claim)
                except SoftTimeLimitExceeded:
                    detail = "The soft time limit was reached."
                    fail(claim=claim, code="too_slow", message=failure_message, detail=detail)
                except Exception as error:  # noqa: BLE001  whatever it was, the job must end in a state that a person can read
                    log.exception("job.failed", job=job_type.__name__, pk=pk)
                    fail(claim=claim, code="internal_error", message=failure_message, detail=described(error))

        return run

    return decorate


def work_now(task: Any, pk: Any) -> None:
    """Do a job in this process, without a broker (tests, and commands that must not wait)."""
    task.run(str(pk))
