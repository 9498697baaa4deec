"""The durable job: the database row is the queue of record, Celery only carries "look at job 17".

A worker *claims* a row by one compare-and-swap UPDATE that gives it a lease and a fresh token, extends the lease by
*heartbeat* while it works, and *finishes* with an UPDATE that holds only while the token is still its own (a fencing
token: Kleppmann, "How to do distributed locking", 2016). A *sweep* every few seconds publishes again what nobody picked
up and re-queues what lost its worker. Losing the broker, its queue or any process therefore loses nothing and runs
nothing twice to the end.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, ClassVar

import structlog
from celery import current_app
from django.db import Error, connection, models, transaction
from django.db.models import F, Q
from django.utils import timezone
from kombu.exceptions import ChannelError, KombuError

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 2.0
LEASE = timedelta(seconds=4 * HEARTBEAT_SECONDS)
"""How long a silent worker keeps a job. It need not cover the work (its limit is ``settings.JOB_TIME_LIMIT_SECONDS``),
because the heartbeat extends it: recovery after a kill takes this plus one sweep. Hosts' clocks may differ by three
heartbeats before a lease is taken from a living worker; even then the token lets only one of them finish."""
SWEEP_SECONDS = 2.0
MAX_ATTEMPTS = 3
REPUBLISH_FIRST = timedelta(seconds=3 * SWEEP_SECONDS)
REPUBLISH_LONGEST = timedelta(minutes=10)
SWEEP_BATCH = 200
REPUBLISH_BATCH = 20
"""How many jobs one sweep publishes a second time. In a long backlog most still have their message in the queue; the
few that are published again keep the workers busy if they have not."""
BACKGROUND_BATCH = 8
"""How many background jobs are in the queue of messages at most. One that is reached while other work waits is given
back at once, so this costs a person who waits no more than the one that is running."""
BACKGROUND_AGAIN = timedelta(seconds=30)
BROKER_PAUSE_SECONDS = 30.0
"""After a failed publication, this process leaves the next ones to the sweep for this long, so that a batch of uploads
waits for a dead broker once and not once an image. The sweep itself tries every time."""


class State(models.TextChoices):
    """States of a job (house plan, "States")."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    REJECTED = "rejected", "Refused"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


UNFINISHED = (State.QUEUED, State.RUNNING)


class LeasedJob(models.Model):
    """One piece of background work. Concrete subclasses add what it is about and name the Celery task.

    ``error_message`` is for the person who waits, ``error_detail`` for staff.
    """

    task_name: ClassVar[str]
    in_background: ClassVar[bool] = False
    """Worked on only while no other kind of job waits: published by the sweep, a few at a time, and given back by a
    worker that finds other work waiting (:func:`should_wait`)."""

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED, db_index=True)
    stage = models.CharField(max_length=40, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    token = models.UUIDField(null=True, editable=False)
    # Of a running job: until when its worker may stay silent. Of a queued one: before when nobody takes it (postponed).
    lease_until = models.DateTimeField(null=True, editable=False)
    queued_at = models.DateTimeField(default=timezone.now)
    publications = models.PositiveSmallIntegerField(default=0, editable=False)
    publish_after = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)

    class Meta:
        abstract = True

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def postponed_until(self) -> datetime | None:
        """When the next try is due, of a job that something outside refused for now."""
        return self.lease_until if self.state == State.QUEUED else None

    @property
    def waiting_time(self) -> timedelta | None:
        """From queued to started, or ``None`` before the start."""
        return self.started_at - self.queued_at if self.started_at else None

    @property
    def run_time(self) -> timedelta | None:
        """From the last start to the end, or ``None`` while unfinished."""
        return self.finished_at - self.started_at if self.started_at and self.finished_at else None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on one job, until the lease runs out or somebody else claims it."""

    job_type: type[LeasedJob]
    pk: Any
    token: uuid.UUID
    attempt: int

    def _mine(self) -> models.QuerySet[Any]:
        return self.job_type._default_manager.filter(pk=self.pk, token=self.token, state=State.RUNNING)

    def extend(self, *, stage: str | None = None) -> bool:
        """Extend the lease, and note the stage for those who watch. False when the job is no longer ours."""
        changes: dict[str, Any] = {"lease_until": timezone.now() + LEASE}
        if stage is not None:
            changes["stage"] = stage
        return self._mine().update(**changes) == 1

    def finish(self, *, state: State, **changes: Any) -> bool:
        """Write the end of the job, only if it is still ours; False means: write nothing else either.

        Call it first in the transaction that writes the rest, and roll back or return on False.
        """
        return (
            self._mine().update(
                state=state, stage="", token=None, lease_until=None, finished_at=timezone.now(), **changes
            )
            == 1
        )

    def postpone(self, *, until: datetime, **changes: Any) -> bool:
        """``RUNNING -> QUEUED``: something outside refused for now, so nobody works on it before ``until``.

        The attempt is given back: attempts count lost workers, not a mail server that is down. False when the job is
        no longer ours, as with :meth:`finish`.
        """
        return (
            self._mine().update(
                state=State.QUEUED,
                stage="",
                token=None,
                attempts=F("attempts") - 1,
                lease_until=until,
                publications=0,
                publish_after=until,
                **changes,
            )
            == 1
        )

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Extend the lease from a thread while the body runs. The thread opens a connection only if it beats at all."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_SECONDS):
                try:
                    if not self.extend():
                        log.warning("job.lease_lost", job=self.job_type.__name__, pk=str(self.pk))
                        return
                except Error as error:
                    # The next beat may find the database again; if none does, the lease runs out, which is safe.
                    log.warning("job.heartbeat_failed", pk=str(self.pk), error=type(error).__name__)
                finally:
                    connection.close()

        thread = threading.Thread(target=beat, name=f"heartbeat-{self.pk}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def claim(job_type: type[LeasedJob], pk: Any) -> Claim | None:
    """Take the job, or return ``None`` when it is finished, postponed, held by somebody else, out of attempts or gone.

    One UPDATE decides (compare-and-swap), so it holds on SQLite, which ignores ``select_for_update``.
    """
    now = timezone.now()
    token = uuid.uuid4()
    free = Q(state=State.QUEUED, lease_until=None) | Q(state__in=UNFINISHED, lease_until__lte=now)
    taken = (
        job_type._default_manager.filter(free, pk=pk, attempts__lt=MAX_ATTEMPTS).update(
            state=State.RUNNING,
            stage="starting",
            token=token,
            attempts=F("attempts") + 1,
            lease_until=now + LEASE,
            started_at=now,
        )
        == 1
    )
    if not taken:
        return None
    attempt = job_type._default_manager.values_list("attempts", flat=True).get(pk=pk)
    return Claim(job_type=job_type, pk=pk, token=token, attempt=attempt)


def requeue(job_type: type[LeasedJob], pk: Any, *, from_states: tuple[State, ...]) -> bool:
    """Put a finished job back in the queue with all its attempts (a person pressed "retry")."""
    now = timezone.now()
    return (
        job_type._default_manager.filter(pk=pk, state__in=from_states).update(
            state=State.QUEUED,
            stage="",
            attempts=0,
            token=None,
            lease_until=None,
            queued_at=now,
            started_at=None,
            finished_at=None,
            publications=0,
            publish_after=now,
            error_code="",
            error_message="",
            error_detail="",
        )
        == 1
    )


def cancel(job_type: type[LeasedJob], pk: Any) -> bool:
    """Cancel a job that has not finished. A worker that holds it loses its token and so writes nothing."""
    return (
        job_type._default_manager.filter(pk=pk, state__in=UNFINISHED).update(
            state=State.CANCELLED, stage="", token=None, lease_until=None, finished_at=timezone.now()
        )
        == 1
    )


def abandon(job_type: type[LeasedJob], pk: Any, **changes: Any) -> bool:
    """Fail a job whose lease ran out on its last attempt."""
    return (
        job_type._default_manager.filter(
            pk=pk, state=State.RUNNING, lease_until__lt=timezone.now(), attempts__gte=MAX_ATTEMPTS
        ).update(state=State.FAILED, stage="", token=None, lease_until=None, finished_at=timezone.now(), **changes)
        == 1
    )


@dataclass(slots=True)
class _Broker:
    """Remembers that the broker was down a moment ago."""

    down_until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


_broker = _Broker()


def publish(job: LeasedJob) -> None:
    """Tell the workers about the job once the transaction has committed. Never raises: the sweep makes up for it.

    A background job is left to the sweep.
    """
    job_type, pk = type(job), job.pk
    if job_type.in_background:
        return
    transaction.on_commit(lambda: _publish_at_once(job_type, pk), robust=True)


def _publish_at_once(job_type: type[LeasedJob], pk: Any) -> None:
    if monotonic() < _broker.down_until or not _send(job_type, pk):
        return
    job_type._default_manager.filter(pk=pk, state=State.QUEUED).update(
        publications=F("publications") + 1, publish_after=timezone.now() + REPUBLISH_FIRST
    )


def _send(job_type: type[LeasedJob], pk: Any) -> bool:
    try:
        current_app.send_task(job_type.task_name, args=[str(pk)], retry=False)
    except (KombuError, ChannelError, OSError) as error:
        with _broker.lock:
            _broker.down_until = monotonic() + BROKER_PAUSE_SECONDS
        log.warning("job.publish_failed", job=job_type.__name__, pk=str(pk), error=type(error).__name__)
        return False
    with _broker.lock:
        _broker.down_until = 0.0
    return True


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did."""

    published: int = 0
    requeued: int = 0
    abandoned: int = 0


_registered: dict[type[LeasedJob], Callable[[Any], bool]] = {}


def register(job_type: type[LeasedJob], *, on_abandoned: Callable[[Any], bool]) -> None:
    """Have the sweep look after a kind of job; ``on_abandoned(pk)`` fails a job that used up its attempts."""
    _registered[job_type] = on_abandoned


def _publish_again_after(publications: int, now: datetime) -> datetime:
    return now + min(REPUBLISH_FIRST * 2 ** min(publications, 10), REPUBLISH_LONGEST)


def sweep() -> Swept:
    """Look after every registered kind of job once. Safe to run in any number of places at a time."""
    published = requeued = abandoned = 0
    for job_type, on_abandoned in _registered.items():
        now = timezone.now()
        lost = job_type._default_manager.filter(state=State.RUNNING, lease_until__lt=now)
        for pk in lost.filter(attempts__gte=MAX_ATTEMPTS).values_list("pk", flat=True)[:SWEEP_BATCH]:
            abandoned += on_abandoned(pk)
        requeued += lost.filter(attempts__lt=MAX_ATTEMPTS).update(
            state=State.QUEUED, stage="", token=None, lease_until=None, publish_after=now, publications=0
        )
    for job_type in sorted(_registered, key=lambda one: one.in_background):
        sent, broker_answers = (_publish_background if job_type.in_background else _publish_due)(job_type)
        published += sent
        if not broker_answers:
            break
    if published or requeued or abandoned:
        log.info("jobs.swept", published=published, requeued=requeued, abandoned=abandoned)
    return Swept(published=published, requeued=requeued, abandoned=abandoned)


def _publish_due(job_type: type[LeasedJob]) -> tuple[int, bool]:
    """Publish the oldest jobs that are due; return how many, and whether the broker took them."""
    now = timezone.now()
    due = job_type._default_manager.filter(state=State.QUEUED, publish_after__lte=now).order_by("queued_at")
    columns = ("pk", "publications", "publish_after")
    never = due.filter(publications=0).values_list(*columns)[:SWEEP_BATCH]
    again = due.filter(publications__gt=0).values_list(*columns)[:REPUBLISH_BATCH]
    sent = 0
    for pk, publications, publish_after in [*never, *again]:
        # Of several sweeps at a time, the one whose UPDATE finds the old value publishes.
        row = job_type._default_manager.filter(pk=pk, state=State.QUEUED, publish_after=publish_after)
        next_time = _publish_again_after(publications, now)
        if not row.update(publications=publications + 1, publish_after=next_time):
            continue
        if not _send(job_type, pk):
            job_type._default_manager.filter(pk=pk, state=State.QUEUED, publish_after=next_time).update(
                publications=publications, publish_after=publish_after
            )
            return sent, False
        sent += 1
    return sent, True


def should_wait(job_type: type[LeasedJob]) -> bool:
    """Whether a job of this kind has to let others go first: it is in the background, and other work waits."""
    return job_type.in_background and any(
        other._default_manager.filter(Q(lease_until=None) | Q(lease_until__lte=timezone.now()), state=State.QUEUED)
        .order_by()
        .exists()
        for other in _registered
        if not other.in_background
    )


def _publish_background(job_type: type[LeasedJob]) -> tuple[int, bool]:
    """Publish a few of the oldest, while nothing else waits and those published before were worked on."""
    if should_wait(job_type):
        return 0, True
    now = timezone.now()
    queued = job_type._default_manager.filter(state=State.QUEUED)
    on_their_way = queued.filter(publications__gt=0, publish_after__gt=now)[:BACKGROUND_BATCH].count()
    due = queued.filter(publish_after__lte=now).order_by("queued_at")
    sent = 0
    for pk, publish_after in due.values_list("pk", "publish_after")[: BACKGROUND_BATCH - on_their_way]:
        row = queued.filter(pk=pk)
        if not row.filter(publish_after=publish_after).update(
            publications=F("publications") + 1, publish_after=now + BACKGROUND_AGAIN
        ):
            continue
        if not _send(job_type, pk):
            row.update(publications=0, publish_after=publish_after)
            return sent, False
        sent += 1
    return sent, True
