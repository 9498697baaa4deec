"""Is the queue in trouble? Asked by every worker and every web process (``accounts.queue_watch``).

A worker sees work that waits too long, work that fails and mail that nobody takes; that no worker is left, only a web
process can see. Each trouble ends at half of what begins it, so that one at the edge does not come and go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from django.apps import apps
from django.conf import settings
from django.utils import timezone

from portal import workers
from portal.jobs import LeasedJob, State

FAILURES_WITHIN = timedelta(hours=1)
NO_WORKER_SECONDS = 120.0
"""A restart of the worker is no trouble."""

OVER = {
    "waiting": "Over: nothing waits too long any more.",
    "failures": "Over: few jobs fail again.",
    "postponed": "Over: nothing is put off any more because something outside refused it.",
    "no_worker": "Over: a worker is running again.",
}
"""Every trouble there is, and what is said when it is over."""


@dataclass(slots=True)
class _Worker:
    """Since when this process has seen no worker."""

    missing_since: float | None = None


_worker = _Worker()


def found(*, standing: frozenset[str]) -> dict[str, str]:
    """Code -> sentence of every trouble that there is now.

    Args:
        standing: codes of those that staff were told of and that are not over yet.
    """
    return dict(_found(standing=standing, now=timezone.now()))


def _found(*, standing: frozenset[str], now: datetime) -> Iterator[tuple[str, str]]:
    def allowed(minutes_or_number: int, code: str) -> float:
        return minutes_or_number / 2 if code in standing else minutes_or_number

    waits_since = _oldest(postponed=False)
    longest = timedelta(minutes=allowed(settings.QUEUE_TROUBLE_MINUTES, "waiting"))
    if waits_since is not None and now - waits_since > longest:
        minutes = int((now - waits_since).total_seconds() // 60)
        yield "waiting", f"The oldest job has waited for {minutes} minutes."
    failures = sum(
        job_type._default_manager.filter(state=State.FAILED, finished_at__gte=now - FAILURES_WITHIN).count()
        for job_type in _job_types()
    )
    if failures >= allowed(settings.QUEUE_TROUBLE_FAILURES, "failures"):
        yield "failures", f"{failures} jobs failed within an hour."
    put_off_since = _oldest(postponed=True)
    longest = timedelta(minutes=allowed(settings.QUEUE_TROUBLE_MINUTES, "postponed"))
    if put_off_since is not None and now - put_off_since > longest:
        minutes = int((now - put_off_since).total_seconds() // 60)
        yield "postponed", f"An e-mail or another delivery has been refused for {minutes} minutes and is tried again."
    if _no_worker(told="no_worker" in standing):
        yield "no_worker", "No worker is running. Uploads are kept and wait."


def _job_types() -> list[type[LeasedJob]]:
    return [model for model in apps.get_models() if issubclass(model, LeasedJob)]


def _oldest(*, postponed: bool) -> datetime | None:
    """Since when the oldest job has waited: for a worker, or for something outside that refused it."""
    oldest = [
        job_type._default_manager.filter(state=State.QUEUED, lease_until__isnull=not postponed)
        .order_by("queued_at")
        .values_list("queued_at", flat=True)
        .first()
        for job_type in _job_types()
        # What is done when nothing else waits may wait for hours.
        if not job_type.in_background
    ]
    return min((since for since in oldest if since is not None), default=None)


def _no_worker(*, told: bool) -> bool:
    """Whether no worker has shown itself for long; a process that has just started believes what was told already."""
    if workers.seen():
        _worker.missing_since = None
        return False
    if _worker.missing_since is None:
        _worker.missing_since = monotonic()
    return told or monotonic() - _worker.missing_since > NO_WORKER_SECONDS
