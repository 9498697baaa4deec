"""How often somebody may fail to sign in over the API.

A try is counted before the password is looked at and taken back when it was right: of many guesses sent at the same
moment no more are looked at than are allowed.
"""

from __future__ import annotations

from datetime import timedelta

from allauth.core.internal.ratelimit import RateLimitUsage
from django.conf import settings
from django.utils import timezone
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from accounts import rate_limits
from accounts.addresses import canonical
from accounts.models import AuditEvent

REFUSALS = settings.ACCOUNT_RATE_LIMITS["token_refused"]
WAIT_SECONDS = 60.0
KNOWN_FOR = timedelta(days=30)
"""An address from which an account got a token within this is counted by itself: strangers do not shut its programs
out."""


class Try:
    """One try to sign in, counted for all web processes."""

    def __init__(self, request: Request) -> None:
        """Count it, by address and by account.

        By address: ``REMOTE_ADDR``, which ``portal.middleware`` corrects behind the site's own proxy. It does not stop
        an account that is known there: others behind the same address must not shut its programs out. By account: from
        an address where it is known by itself, from all others together.

        Raises:
            Throttled: there were too many refusals; nothing is counted.
        """
        self._counted: list[RateLimitUsage] = []
        known = _is_known(request)
        by_address = self._take(request, action="token_refused", key="")
        key = f"{_email(request)} {_address(request)}" if known else _email(request)
        by_account = self._take(request, action="token_refused_account", key=key)
        if not by_account or not (by_address or known):
            self.take_back()
            raise Throttled(WAIT_SECONDS)

    def _take(self, request: Request, *, action: str, key: str) -> bool:
        usage = rate_limits.taken(request._request, action=action, key=key)
        if usage is not None:
            self._counted.append(usage)
        return usage is not None

    def take_back(self) -> None:
        """It was no guess: nothing is counted."""
        for usage in self._counted:
            usage.rollback()
        self._counted = []


def _email(request: Request) -> str:
    data = request.data if isinstance(request.data, dict) else {}
    # As the serializer reads it: blanks around an address do not make it another account's.
    return canonical(str(data.get("email", "")).strip()[:254])


def _address(request: Request) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _is_known(request: Request) -> bool:
    """Whether the account got a token from this address within :data:`KNOWN_FOR`."""
    given = AuditEvent.objects.filter(
        action="token.created",
        actor__email=_email(request),
        address=_address(request) or None,
        at__gt=timezone.now() - KNOWN_FOR,
    )
    return given.exists()
