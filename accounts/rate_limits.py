"""How often somebody may try what can be guessed. The limits are ``settings.ACCOUNT_RATE_LIMITS``, counted for all web
processes together in the cache."""

from __future__ import annotations

from allauth.core.internal import ratelimit
from allauth.core.internal.ratelimit import RateLimitUsage
from django.conf import settings
from django.http import HttpRequest


def _limits(action: str) -> dict[str, object]:
    """What allauth's counter wants to know, besides whose try it is."""
    limit = settings.ACCOUNT_RATE_LIMITS[action]
    return {"app": "accounts", "action": action, "config": {action: limit}}


def taken(request: HttpRequest, *, action: str, key: str = "") -> RateLimitUsage | None:
    """Count a try, as :func:`allow`; return what takes the count back (``rollback``), or ``None`` beyond the limit."""
    return ratelimit.consume(request, key=key, limit_get=True, **_limits(action))  # type: ignore[arg-type]


def allow(request: HttpRequest, *, action: str, key: str = "") -> bool:
    """Count a try of ``action``, such as ``patient_invitation``; return whether it is still within the limits.

    Args:
        action: a name in ``settings.ACCOUNT_RATE_LIMITS``; limits of ``/ip`` go by the client's address, which a forged
            ``X-Forwarded-For`` does not change (``portal.middleware``).
        key: what is tried, such as the code, for limits of ``/key``.

    Returns:
        True while the try is within the limits.
    """
    return taken(request, action=action, key=key) is not None


def forget(request: HttpRequest, *, action: str, key: str = "") -> None:
    """Start the count anew, after a success that proves who it is."""
    ratelimit.clear(request, key=key, **_limits(action))  # type: ignore[arg-type]
