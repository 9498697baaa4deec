"""Runs the sweep inside every worker, every few seconds, in a thread of the worker's parent process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import structlog
from celery.signals import worker_init, worker_ready, worker_shutting_down
from django.conf import settings
from django.db import Error, connection

from portal import jobs

log = structlog.get_logger(__name__)

_stop = threading.Event()


def ensure_queue_directory() -> None:
    """Make the directories of the file-system broker; somebody may have deleted them."""
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    for name in ("data_folder_in", "data_folder_out", "control_folder"):
        if name in options:
            Path(str(options[name])).mkdir(parents=True, exist_ok=True)


def _run() -> None:
    while not _stop.wait(jobs.SWEEP_SECONDS):
        try:
            ensure_queue_directory()
            jobs.sweep()
        except (Error, OSError):
            # A database that is down for a moment must not end the sweeping.
            log.exception("jobs.sweep_failed")
            connection.close()


@worker_init.connect
def _prepare(**kwargs: Any) -> None:
    ensure_queue_directory()


@worker_ready.connect
def _start(**kwargs: Any) -> None:
    _stop.clear()
    threading.Thread(target=_run, name="sweep", daemon=True).start()


@worker_shutting_down.connect
def _end(**kwargs: Any) -> None:
    _stop.set()
