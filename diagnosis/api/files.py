"""Sending stored files: never by the web server, always through a view that asked the permission table."""

from __future__ import annotations

from typing import Any

from django.db.models.fields.files import FieldFile
from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from rest_framework.exceptions import NotFound
from rest_framework.negotiation import BaseContentNegotiation


class OneFormat(BaseContentNegotiation):
    """An address that names the format answers in it, whatever ``Accept`` says; refusals stay JSON."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def send(
    request: HttpRequest, file: FieldFile, *, sha256: str, content_type: str, filename: str, attachment: bool
) -> HttpResponseBase:
    """Stream a stored file with its SHA-256 as ETag; 304 to who has it, 404 when it is gone from the storage."""
    etag = quote_etag(sha256)
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None and unchanged.status_code == 304:
        return unchanged
    try:
        content = file.open("rb")
    except FileNotFoundError as error:
        raise NotFound("The file is missing from the storage. Tell IT.", code="file_missing") from error
    response = FileResponse(content, as_attachment=attachment, filename=filename, content_type=content_type)
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    return response
