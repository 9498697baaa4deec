"""What every template may use about who is signed in."""

from __future__ import annotations

import time

from django.conf import settings
from django.http import HttpRequest

from accounts import timeouts


def session(request: HttpRequest) -> dict[str, object]:
    """How long the session lasts, for the page's own clock."""
    if not hasattr(request, "session") or not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}
    left = timeouts.left(request.session, time.time())
    return {"session_seconds_left": round(left.seconds, 1), "session_idle_seconds": settings.SESSION_IDLE_SECONDS}
