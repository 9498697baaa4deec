"""By which door something comes in: a request sets it, a job sets it, and anything else is a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

COMMAND, WORKER, WEB, API, ADMIN = "command", "worker", "web", "api", "admin"

channel: ContextVar[str] = ContextVar("channel", default=COMMAND)


@contextmanager
def through(name: str) -> Iterator[None]:
    """Have what the body does count as done by the door ``name``."""
    token = channel.set(name)
    try:
        yield
    finally:
        channel.reset(token)
