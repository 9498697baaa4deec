"""The type of request that a page gets here."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.models import User


class SignedInRequest(HttpRequest):
    """A request that passed ``LoginRequiredMiddleware``. Only a type: no request is an instance of it."""

    user: User  # type: ignore[assignment]
    htmx: HtmxDetails
