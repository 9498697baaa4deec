"""Sessions end by themselves: some time after the last thing the person did, at the latest some hours after sign-in.

What the page does on its own (polling, asking how long is left) is no activity. The page marks such requests with the
header ``X-Background``; leaving the mark out does not help, because the addresses that only pages ask for are known
here, and adding it to anything else only lets the session end sooner.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse

from accounts import actions

SIGNED_IN_AT = "signed_in_at"
SEEN_AT = "seen_at"
BACKGROUND_HEADER = "X-Background"
POLLED = ("/account/session/", "/operations/parts/", "/panel/", "/bell/")
"""Ends of the addresses that pages ask for by themselves."""
POLLED_BY = "seen"
"""The parameter with which a part of a page asks whether something has changed."""
LONGEST_NOTED_SECONDS = 30.0
"""Activity is noted this exactly: not every request has to cost a write."""

Why = Literal["idle", "absolute"]


@dataclass(frozen=True, slots=True)
class Left:
    """How long a session still lasts, in seconds, and which of the two limits ends it."""

    seconds: float
    by: Why


def left(session: SessionBase, now: float) -> Left:
    """What is left of a signed-in session."""
    idle = session.get(SEEN_AT, now) + settings.SESSION_IDLE_SECONDS - now
    absolute = session.get(SIGNED_IN_AT, now) + settings.SESSION_ABSOLUTE_SECONDS - now
    return Left(idle, "idle") if idle < absolute else Left(absolute, "absolute")


def begin(session: SessionBase) -> None:
    """Start both clocks, at sign-in."""
    session[SIGNED_IN_AT] = session[SEEN_AT] = time.time()


def touch(session: SessionBase, now: float, *, exactly: bool = False) -> bool:
    """Note activity; return whether that was written (at most every :data:`LONGEST_NOTED_SECONDS`)."""
    interval = 0.0 if exactly else min(LONGEST_NOTED_SECONDS, settings.SESSION_IDLE_SECONDS / 20)
    if SIGNED_IN_AT in session and now - session.get(SEEN_AT, 0.0) < interval:
        return False
    session.setdefault(SIGNED_IN_AT, now)
    session[SEEN_AT] = now
    return True


def is_background(request: HttpRequest) -> bool:
    """Whether the page asks, not the person."""
    if BACKGROUND_HEADER in request.headers:
        return True
    return request.method in ("GET", "HEAD") and (POLLED_BY in request.GET or request.path.endswith(POLLED))


class SessionTimeoutMiddleware:
    """Sign out who was away too long. Comes after authentication; what follows sees a stranger."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Without the cookie there is no session to ask the database for.
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            now = time.time()
            remaining = left(request.session, now)
            if remaining.seconds <= 0:
                actions.note_timeout(user=request.user, session_key=request.session.session_key or "", by=remaining.by)
                request.session.flush()
                request.user = AnonymousUser()
            elif not is_background(request) and touch(request.session, now):
                actions.note_session(request=request, user=request.user)
        return self.get_response(request)
