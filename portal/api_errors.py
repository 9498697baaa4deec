"""Refusals of the REST API: always ``{"code", "detail", "fields"}``, never a stack trace."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler


class Conflict(exceptions.APIException):
    """409: the object is in a state that does not allow this."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "wrong_state"
    default_detail = "This is not possible in the present state."


def _sentences(detail: Any) -> Any:
    if isinstance(detail, dict):
        return {key: _sentences(value) for key, value in detail.items()}
    if isinstance(detail, list):
        return [_sentences(item) for item in detail]
    return str(detail)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Translate DRF's and Django's exceptions to the contract's shape; unknown ones stay 500 and are logged."""
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is no such record, or you may not see it.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied(str(error) or None)
    response = drf_exception_handler(error, context)
    if response is None or not isinstance(error, exceptions.APIException):
        return response
    if isinstance(error, exceptions.ValidationError):
        detail = error.detail
        fields = _sentences(detail) if isinstance(detail, dict) else {"non_field_errors": _sentences(detail)}
        first = next(iter(fields.values()), [])
        sentence = first[0] if isinstance(first, list) and first else str(first)
        response.data = {"code": "invalid", "detail": sentence, "fields": fields}
    else:
        codes = error.get_codes()
        code = codes if isinstance(codes, str) else error.default_code
        response.data = {"code": code, "detail": str(error.detail), "fields": {}}
    return response
