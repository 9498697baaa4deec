"""What a worker does now and then, beside its jobs: rooms register it, the sweep runs it.

Each worker host runs every round, so a round has to bear company; it should take well under a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Round:
    """One thing to do.

    Attributes:
        call: what is done.
        seconds: the shortest time between two calls in one worker.
        next_at: of the clock that never goes back.
    """

    call: Callable[[], Any]
    seconds: float
    next_at: float = 0.0


_rounds: dict[str, Round] = {}


def register(name: str, call: Callable[[], Any], *, every: timedelta) -> None:
    """Have each worker call this, soon after its start and then every so often. A second registration replaces."""
    _rounds[name] = Round(call=call, seconds=every.total_seconds())


def run_due() -> None:
    """Call what is due. One that fails is logged and tried again next time; the others run all the same."""
    for name, one in _rounds.items():
        if time.monotonic() < one.next_at:
            continue
        one.next_at = time.monotonic() + one.seconds
        try:
            one.call()
        except Exception:  # noqa: BLE001  a full disk, a database that is down: the next round may succeed
            log.exception("round.failed", round=name)
