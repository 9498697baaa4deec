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
from typing import Any

import structlog
from celery.signals import worker_init, worker_process_init, worker_ready, worker_shutdown, worker_shutting_down
from django.conf import settings
from django.db import connection, connections

from portal import jobs, rounds, uploads, workers
from portal.channel import WORKER, through

log = structlog.get_logger(__name__)

ORPHAN_SECONDS = 0.5
"""How soon a worker child notices that its parent was killed, and ends."""

_no_fork = threading.Lock()
os.register_at_fork(before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_no_fork.release)

_stop = threading.Event()
_parent = os.getpid()
"""The worker itself; noted when it starts, and inherited by the children it forks."""


def ensure_queue_directory() -> None:
    """Make the directory of the file-system broker; somebody may have deleted it."""
    if "folder" in settings.CELERY_BROKER_TRANSPORT_OPTIONS:
        settings.QUEUE_DIR.mkdir(parents=True, exist_ok=True)


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
