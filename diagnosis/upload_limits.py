"""How much one upload may cost on this site: the page and the API ask here."""

from __future__ import annotations

from django.conf import settings

from diagnosis.intake import Limits


def upload_limits() -> Limits:
    """The intake's limits with this site's file size (``MAX_IMAGE_MB``)."""
    return Limits(max_bytes=settings.MAX_IMAGE_BYTES)
