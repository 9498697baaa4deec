"""How often somebody may fail to sign in."""

from __future__ import annotations

import hashlib

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

REFUSALS = "10/min"


class RefusalThrottle(SimpleRateThrottle):
    """Let requests pass until there were too many refusals; only :meth:`count` counts one.

    Counted in the cache, so per web process unless the cache is shared (Redis).
    """

    rate = REFUSALS

    def throttle_success(self) -> bool:
        return True

    def count(self, request: Request, view: APIView) -> None:
        """Note a refusal."""
        if self.allow_request(request, view) and self.key is not None:
            super().throttle_success()


class RefusalsByAddress(RefusalThrottle):
    """By the client's address: ``REMOTE_ADDR``, which ``portal.middleware`` corrects behind the site's own proxy."""

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return f"token-refusals-address-{request.META.get('REMOTE_ADDR', '')}"


class RefusalsByEmail(RefusalThrottle):
    """By the account that is tried, from wherever."""

    def get_cache_key(self, request: Request, view: APIView) -> str:
        email = str(request.data.get("email", "")).strip().lower()
        return f"token-refusals-email-{hashlib.sha256(email.encode()).hexdigest()}"
