"""What one upload may cost on this site, and whether its virus scanner lets it in: the page and the API ask here."""

from __future__ import annotations

import io

import structlog
from django.conf import settings

from diagnosis.intake import IntakeRejected, Limits, Upload
from portal import clamd

log = structlog.get_logger(__name__)

SERVICE_UNAVAILABLE = 503


def upload_limits() -> Limits:
    """The intake's limits with this site's file size (``MAX_IMAGE_MB``)."""
    return Limits(max_bytes=settings.MAX_IMAGE_BYTES)


def require_clean(upload: Upload | bytes) -> None:
    """Have the site's virus scanner (``CLAMD``) look at an upload; without one, nothing happens.

    Raises:
        IntakeRejected: ``infected`` (400), or ``scanner_down`` (503): no verdict is not a good one.
    """
    if not settings.CLAMD:
        return
    try:
        clamd.scan(io.BytesIO(upload) if isinstance(upload, bytes) else upload, address=settings.CLAMD)
    except clamd.Infected as found:
        log.warning("upload.infected", signature=str(found))
        raise IntakeRejected(
            "infected",
            "The virus scanner knows this file as harmful. Nothing was kept. Do not open it; tell IT where it came "
            "from.",
        ) from found
    except clamd.ScannerUnavailable as down:
        log.error("upload.scanner_down", problem=str(down))
        raise IntakeRejected(
            "scanner_down",
            "The virus scanner does not answer, and no file is taken without it. Nothing was kept. "
            "Try again in a few minutes, then tell IT.",
            http_status=SERVICE_UNAVAILABLE,
        ) from down
