"""Refusals that DRF has no exception for."""

from __future__ import annotations

from rest_framework import exceptions, status


class Conflict(exceptions.APIException):
    """409: the object is in a state that does not allow this."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "wrong_state"
    default_detail = "This is not possible in the present state."


class TooLarge(exceptions.APIException):
    """413: the request is larger than is taken."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = "The request is too large. Nothing was kept."
