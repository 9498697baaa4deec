"""How often somebody may fail to sign in over the API."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts import rate_limits
from accounts.addresses import canonical
from accounts.models import AuditEvent

REFUSALS = settings.ACCOUNT_RATE_LIMITS["token_refused"]
WAIT_SECONDS = 60.0
KNOWN_FOR = timedelta(days=30)
"""An address from which an account got a token within this is counted by itself: strangers do not shut its programs
out."""


class RefusalThrottle(BaseThrottle):
    """Let requests pass until there were too many refusals; only :meth:`count` counts one, for all web processes."""

    action = ""

    def key(self, request: Request) -> str:
        return ""

    def allow_request(self, request: Request, view: APIView) -> bool:
        return rate_limits.has_room(request._request, action=self.action, key=self.key(request))

    def wait(self) -> float:
        return WAIT_SECONDS

    def count(self, request: Request, view: APIView) -> None:
        """Note a refusal."""
        rate_limits.allow(request._request, action=self.action, key=self.key(request))


class RefusalsByAddress(RefusalThrottle):
    """By the client's address: ``REMOTE_ADDR``, which ``portal.middleware`` corrects behind the site's own proxy.

    Not for an account that is known there: others behind the same address must not shut its programs out.
    """

    action = "token_refused"

    def allow_request(self, request: Request, view: APIView) -> bool:
        return super().allow_request(request, view) or _is_known(request)


class RefusalsByEmail(RefusalThrottle):
    """By the account that is tried: from an address where it is known by itself, from all others together."""

    action = "token_refused_account"

    def key(self, request: Request) -> str:
        return f"{_email(request)} {_address(request)}" if _is_known(request) else _email(request)


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
