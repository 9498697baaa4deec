"""Web processes look for trouble too: they alone can see that no worker is left."""

from __future__ import annotations

import threading
from datetime import timedelta
from time import monotonic
from typing import Any

import structlog
from django.core.signals import request_finished
from django.db import Error, close_old_connections

from accounts import actions

log = structlog.get_logger(__name__)

EVERY = timedelta(seconds=30)
"""How often each process looks."""

_next = {"at": 0.0}
_lock = threading.Lock()


def look_after_requests() -> None:
    """Have this process look now and then, after it has answered a request (``portal.wsgi``)."""
    request_finished.connect(_after_request, dispatch_uid="accounts.queue_watch")


def _after_request(**kwargs: Any) -> None:
    with _lock:
        if monotonic() < _next["at"]:
            return
        _next["at"] = monotonic() + EVERY.total_seconds()
    try:
        actions.look_for_trouble()
    except Error as error:
        # A database that is busy or down; the next look may find it again.
        log.warning("queue_watch.failed", error=type(error).__name__)
    finally:
        close_old_connections()
