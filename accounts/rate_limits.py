"""How often somebody may try what can be guessed. The limits are ``settings.ACCOUNT_RATE_LIMITS``, counted for all web
processes together in the cache."""

from __future__ import annotations

from allauth.core.internal import ratelimit
from django.conf import settings
from django.http import HttpRequest

_ROOM = "accounts"


def allow(request: HttpRequest, *, action: str, key: str = "") -> bool:
    """Count a try of ``action``, such as ``patient_invitation``; return whether it is still within the limits.

    Args:
        action: a name in ``settings.ACCOUNT_RATE_LIMITS``; limits of ``/ip`` go by the client's address, which a forged
            ``X-Forwarded-For`` does not change (``portal.middleware``).
        key: what is tried, such as the code, for limits of ``/key``.

    Returns:
        True while the try is within the limits.
    """
    return bool(
        ratelimit.consume(
            request,
            app=_ROOM,
            action=action,
            config={action: settings.ACCOUNT_RATE_LIMITS[action]},
            key=key,
            limit_get=True,
        )
    )


def has_room(request: HttpRequest, *, action: str, key: str = "") -> bool:
    """Whether another try would be within the limits; counts nothing."""
    config = {action: settings.ACCOUNT_RATE_LIMITS[action]}
    return bool(
        ratelimit.consume(request, app=_ROOM, action=action, config=config, key=key, limit_get=True, dry_run=True)
    )


def forget(request: HttpRequest, *, action: str, key: str = "") -> None:
    """Start the count anew, after a success that proves who it is."""
    ratelimit.clear(request, app=_ROOM, action=action, config={action: settings.ACCOUNT_RATE_LIMITS[action]}, key=key)
