"""Refusals of the REST API: always ``{"code", "detail", "fields"}``, never a stack trace."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
    ValidationError,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from portal.api_refusals import TooLarge, Unavailable

log = structlog.get_logger(__name__)

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
SENTENCES = {
    "not_authenticated": "Sign in first: send a token (POST /api/v1/tokens/) or use a signed-in session.",
    "parse_error": "The body could not be read. Nothing was kept. Send it in the format that Content-Type names.",
}
"""Our words where the library's are for programmers."""


def _sentences(detail: Any) -> Any:
    if isinstance(detail, dict):
        return {key: _sentences(value) for key, value in detail.items()}
    if isinstance(detail, list):
        return [_sentences(item) for item in detail]
    return str(detail)


def _first_sentence(fields: Any) -> str:
    """Return the first sentence in a tree of dictionaries and lists."""
    while isinstance(fields, Mapping | list):
        if not fields:
            return ""
        fields = next(iter(fields.values())) if isinstance(fields, Mapping) else fields[0]
    return str(fields)


def translated(error: Exception) -> Exception:
    """Turn an exception of Django's into the one of DRF's that says the same; leave any other as it is."""
    if isinstance(error, Http404):
        return exceptions.NotFound("There is no such record, or you may not see it.")
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied(str(error) or None)
    if isinstance(error, ValidationError):
        known = error.message_dict if hasattr(error, "error_dict") else {"non_field_errors": error.messages}
        return exceptions.ValidationError(
            {("non_field_errors" if field == "__all__" else field): messages for field, messages in known.items()}
        )
    if isinstance(error, TooManyFilesSent | TooManyFieldsSent | RequestDataTooBig):
        return TooLarge("The request holds too many files or fields. Nothing was kept. Send it in several requests.")
    if isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, OSError) and error.errno in DISK_FULL
    ):
        log.error("api.unavailable", exc_info=error)
        return Unavailable()
    return error


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Translate DRF's and Django's exceptions to the contract's shape; unknown ones stay 500 and are logged."""
    error = translated(error)
    response = drf_exception_handler(error, context)
    if response is None or not isinstance(error, exceptions.APIException):
        return response
    if isinstance(error, exceptions.ValidationError):
        detail = error.detail
        fields = _sentences(detail) if isinstance(detail, dict) else {"non_field_errors": _sentences(detail)}
        response.data = {"code": "invalid", "detail": _first_sentence(fields), "fields": fields}
        return response
    codes = error.get_codes()
    code = codes if isinstance(codes, str) else error.default_code
    sentence = SENTENCES.get(code, str(error.detail))
    if isinstance(error, exceptions.Throttled):
        sentence = f"Too many attempts. Wait {max(1, int(error.wait or 1))} seconds, then try again."
    response.data = {"code": code, "detail": sentence, "fields": {}}
    return response
