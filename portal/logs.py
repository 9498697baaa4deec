"""Logging: one structured line an event on standard error, through structlog.

Patient text has no place in a log. Libraries that print what they are given (xhtml2pdf, reportlab, pydicom, Pillow) are
silenced below the level of errors here, and the report renderer silences them altogether.
"""

from __future__ import annotations

import re
import sys
import traceback
from typing import Any

import structlog
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError
from structlog.typing import EventDict, Processor

TIMESTAMPER = structlog.processors.TimeStamper(fmt="iso", utc=True)
SECRET_IN_PATH = re.compile(r"(/password/reset/key/)[^/\s]+")
"""The way to a link that sets a password ends in its key: whoever reads a log must not be able to use it."""
LONGEST_CHAIN = 10
"""Errors of one chain that are written."""
PROBES = ("GET /healthz", "GET /readyz", "HEAD /healthz", "HEAD /readyz")


def without_query(logger: Any, method: str, event: EventDict) -> EventDict:
    """Cut the query string off a request's line: it is what people search for, names of patients among it. The key of a
    link that sets a password is cut out, too.

    The lines of monitors that ask every few seconds are dropped.
    """
    request = event.get("request")
    if isinstance(request, str):
        event["request"] = SECRET_IN_PATH.sub(r"\1...", request.partition("?")[0])
        if event["request"] in PROBES:
            raise structlog.DropEvent
    return event


QUOTING = (ValueError, LookupError, AssertionError, ValidationError, IntegrityError, DataError)
"""Errors whose own words often quote what was typed or stored: "Key (mrn)=(...) already exists"."""
NOT_QUOTED = "(its words are left out: they may quote a record)"


def described(error: BaseException) -> str:
    """A traceback with the errors that led to it, without the words of those that quote data."""
    parts: list[str] = []
    led_to: BaseException | None = error
    while led_to is not None and len(parts) < LONGEST_CHAIN:
        words = NOT_QUOTED if isinstance(led_to, QUOTING) else str(led_to)
        frames = "".join(traceback.format_tb(led_to.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{type(led_to).__qualname__}: {words}")
        led_to = led_to.__cause__ or (None if led_to.__suppress_context__ else led_to.__context__)
    return "\n\nwhich led to:\n\n".join(reversed(parts))


def describe_exception(logger: Any, method: str, event: EventDict) -> EventDict:
    """Turn ``exc_info`` into text as :func:`described` does."""
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = described(error)
    return event


SHARED_PROCESSORS: list[Processor] = [
    without_query,
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    TIMESTAMPER,
    describe_exception,
]

structlog.configure(
    processors=[*SHARED_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)

QUIET = ("xhtml2pdf", "reportlab", "svglib", "pydicom", "PIL", "fontTools", "html5lib")
CHATTY = ("celery", "kombu")
"""What they say about every message, the job itself says better."""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": SHARED_PROCESSORS,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        }
    },
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["out"], "level": "INFO"},
    "loggers": {name: {"level": "ERROR"} for name in QUIET} | {name: {"level": "WARNING"} for name in CHATTY},
}
