"""Logging: one structured line an event on standard error, through structlog.

Patient text has no place in a log. Libraries that print what they are given (xhtml2pdf, reportlab, pydicom, Pillow) are
silenced below the level of errors here, and the report renderer silences them altogether.
"""

from __future__ import annotations

from typing import Any

import structlog
from structlog.typing import EventDict, Processor

TIMESTAMPER = structlog.processors.TimeStamper(fmt="iso", utc=True)
PROBES = ("GET /healthz", "GET /readyz", "HEAD /healthz", "HEAD /readyz")


def without_query(logger: Any, method: str, event: EventDict) -> EventDict:
    """Cut the query string off a request's line: it is what people search for, names of patients among it.

    The lines of monitors that ask every few seconds are dropped.
    """
    request = event.get("request")
    if isinstance(request, str):
        event["request"] = request.partition("?")[0]
        if event["request"] in PROBES:
            raise structlog.DropEvent
    return event


SHARED_PROCESSORS: list[Processor] = [
    without_query,
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    TIMESTAMPER,
    structlog.processors.format_exc_info,
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
