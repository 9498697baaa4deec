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
    """By the client's address: ``REMOTE_ADDR``, which ``portal.middleware`` corrects behind the site's own proxy."""

    action = "token_refused"


class RefusalsByEmail(RefusalThrottle):
    """By the account that is tried: from a known address by itself, from all others together."""

    action = "token_refused_account"

    def key(self, request: Request) -> str:
        data = request.data if isinstance(request.data, dict) else {}
        email = canonical(str(data.get("email", ""))[:254])
        address = request.META.get("REMOTE_ADDR", "")
        known = AuditEvent.objects.filter(
            action="token.created", actor__email=email, address=address or None, at__gt=timezone.now() - KNOWN_FOR
        )
        return f"{email} {address}" if known.exists() else email
