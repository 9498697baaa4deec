"""Sending stored files to a browser. The web server never serves them: the caller has asked the permission table."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import structlog
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from PIL import Image as Pillow

log = structlog.get_logger(__name__)

THUMBNAIL_SIDE = 480
"""Pixels of the longer side: sharp on a card of 240 px on a dense screen."""
THUMBNAIL_QUALITY = 82


def send(
    request: HttpRequest,
    file: FieldFile | Path,
    *,
    sha256: str,
    content_type: str,
    filename: str,
    attachment: bool = False,
) -> HttpResponseBase:
    """Stream a stored file with its SHA-256 as ETag; 304 to a program that has it.

    No cache keeps it, so a right that was taken away holds at once.

    Raises:
        Http404: when the file is gone from the storage.
    """
    unchanged = _unchanged(request, sha256)
    if unchanged is not None:
        return unchanged
    try:
        content = file.open("rb")
    except FileNotFoundError as missing:
        log.error("file.missing", name=file.name)
        raise Http404("The file is missing from the storage. Tell IT.") from missing
    response = FileResponse(content, as_attachment=attachment, filename=filename, content_type=content_type)
    return _private(response, etag=sha256)


def send_made(
    request: HttpRequest, content: bytes, *, sha256: str, content_type: str, filename: str, attachment: bool = False
) -> HttpResponseBase:
    """The same for a file that was made just now and is stored nowhere."""
    unchanged = _unchanged(request, sha256)
    if unchanged is not None:
        return unchanged
    response = FileResponse(BytesIO(content), as_attachment=attachment, filename=filename, content_type=content_type)
    return _private(response, etag=sha256)


def send_thumbnail(request: HttpRequest, file: FieldFile, *, sha256: str) -> HttpResponseBase:
    """A small grey or colour JPEG of a stored PNG, made on the fly.

    Raises:
        Http404: when the file is gone from the storage.
    """
    etag = f"{sha256}-{THUMBNAIL_SIDE}"
    unchanged = _unchanged(request, etag)
    if unchanged is not None:
        return unchanged
    try:
        with file.open("rb") as stored, Pillow.open(stored) as picture:
            picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), reducing_gap=2.0)
            small = BytesIO()
            picture.convert("L" if picture.mode == "L" else "RGB").save(small, "JPEG", quality=THUMBNAIL_QUALITY)
    except FileNotFoundError as missing:
        log.error("file.missing", name=file.name)
        raise Http404("The file is missing from the storage. Tell IT.") from missing
    response = HttpResponse(small.getvalue(), content_type="image/jpeg")
    return _private(response, etag=etag)


def _unchanged(request: HttpRequest, etag: str) -> HttpResponseBase | None:
    answer = get_conditional_response(request, etag=quote_etag(etag))
    return answer if answer is not None and answer.status_code == 304 else None


def _private(response: HttpResponseBase, *, etag: str) -> HttpResponseBase:
    """Kept by nobody: a workstation is shared, and what its browser stores outlives the session."""
    response["ETag"] = quote_etag(etag)
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response
