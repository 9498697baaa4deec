"""Runs the sweep inside every worker, every few seconds, in a thread of the worker's parent process.

The pool may fork a new child at any time, and a child must inherit neither a lock that is held nor an open SQLite
connection: SQLite keeps its file locks in process memory, so that the child would believe that it holds locks which
only the parent holds, and write to a log that another process deletes (sqlite.org, "How To Corrupt An SQLite Database
File", 2.6). Hence forks wait for the end of a round, and a round ends with its connection closed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from typing import Any

import structlog
from celery.signals import worker_init, worker_process_init, worker_ready, worker_shutdown, worker_shutting_down
from celery.worker import state
from django.conf import settings
from django.db import connection, connections

from portal import jobs, rounds, uploads, workers
from portal.channel import WORKER, through

log = structlog.get_logger(__name__)

ORPHAN_SECONDS = 0.5
"""How soon a worker child notices that its parent was killed, and ends."""

STUCK_ROUNDS = 3
"""After so many rounds in which a message waits beside an idle child, the pool is taken for dead. It hands over at once
otherwise."""
STUCK_STATUS = 75
"""Exit status of a worker that gave itself up (EX_TEMPFAIL, sysexits.h); the supervisor starts another."""

_no_fork = threading.Lock()
os.register_at_fork(before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_no_fork.release)

_stop = threading.Event()
_parent = os.getpid()
"""The worker itself; noted when it starts, and inherited by the children it forks."""


def ensure_queue_directory() -> None:
    """Make the directory of the file-system broker; somebody may have deleted it."""
    if "folder" in settings.CELERY_BROKER_TRANSPORT_OPTIONS:
        settings.QUEUE_DIR.mkdir(parents=True, exist_ok=True)


class PoolWatch:
    """Notices a pool that hands no work to its children any more.

    On a broker without an event loop (files), the children share one pipe, and an idle child holds its lock while it
    waits. If it is killed just then, the lock is never released: the next child waits for it for ever, with work there.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def is_stuck(self, *, received: Iterable[str], working: int, children: int) -> bool:
        """Ask once a round.

        Args:
            received: ids of messages that no child has taken up yet.
            working: how many messages children are working on.
            children: how many can work at a time.
        """
        waits = received if working < children else ()
        self._seen = {message: self._seen.get(message, 0) + 1 for message in waits}
        return any(rounds_waited >= STUCK_ROUNDS for rounds_waited in self._seen.values())


_pool = PoolWatch()


def give_up_if_stuck() -> None:
    """End this worker at once where its pool is dead: the supervisor starts another, and leases bring the work back."""
    working = {request.id for request in state.active_requests}
    received = {request.id for request in state.reserved_requests} - working
    if _pool.is_stuck(received=received, working=len(working), children=settings.CELERY_WORKER_CONCURRENCY):
        log.error("worker.pool_stuck", waiting=len(received))
        os._exit(STUCK_STATUS)


def tick() -> None:
    """One round: show that this worker is alive, sweep, and do what is due beside it (``portal.rounds``).

    Never raises: without the sweep, lost jobs stay lost.
    """
    with _no_fork, through(WORKER):
        try:
            ensure_queue_directory()
            workers.show()
            uploads.forget_abandoned()
            jobs.sweep()
            rounds.run_due()
        except Exception:  # noqa: BLE001  a database that is down, one odd row: nothing may end the sweeping
            log.exception("jobs.sweep_failed")
        finally:
            connection.close()


def _run() -> None:
    tick()
    while not _stop.wait(jobs.SWEEP_SECONDS):
        tick()
        give_up_if_stuck()


@worker_init.connect
def _prepare(**kwargs: Any) -> None:
    global _parent
    _parent = os.getpid()
    ensure_queue_directory()


@worker_process_init.connect
def _bind_child_to_parent(**kwargs: Any) -> None:
    """In a fresh pool child: drop inherited connections, and end when the parent is gone.

    The pool notices neither by itself: a child whose parent was killed would wait for work for ever. PR_SET_PDEATHSIG
    is of no use here, because the pool forks from a thread that may end before the process does.
    """
    connections.close_all()

    def watch() -> None:
        while os.getppid() == _parent:
            time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="orphan-watch", daemon=True).start()


@worker_ready.connect
def _start(**kwargs: Any) -> None:
    _stop.clear()
    threading.Thread(target=_run, name="sweep", daemon=True).start()


@worker_shutting_down.connect
def _end(**kwargs: Any) -> None:
    _stop.set()


@worker_shutdown.connect
def _leave(**kwargs: Any) -> None:
    workers.leave()
