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


class Unavailable(exceptions.APIException):
    """503: our own fault, and one that passes: the disk is full, or the database does not answer."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"
    default_detail = "The server cannot store or read anything at the moment. Try again in a minute, then tell IT."
