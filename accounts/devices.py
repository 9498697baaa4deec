"""Browsers in which a person has signed in before (the OWASP "device cookie").

A known browser has a count of wrong tries of its own: who guesses from elsewhere cannot lock its owner out. A sign-in
from an unknown one is told to the account's owner.
"""

from __future__ import annotations

import re
import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from accounts.addresses import canonical

COOKIE = "__Host-known-browser" if settings.HTTPS else "known-browser"
DAYS = 365
PEOPLE = 8
"""So many people share one browser at most; the one who signed in longest ago makes room."""
_SALT = "accounts.devices"
_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def _person(email: str) -> str:
    return salted_hmac(_SALT, canonical(email), algorithm="sha256").hexdigest()[:16]


def _people(request: HttpRequest) -> dict[str, str]:
    try:
        kept = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=DAYS * 24 * 3600)
    except signing.BadSignature:
        return {}
    return kept if isinstance(kept, dict) else {}


def known_as(request: HttpRequest, email: str) -> str | None:
    """The number of this browser where the owner of ``email`` has signed in before, else ``None``."""
    return _people(request).get(_person(email))


def remember(response: HttpResponse, request: HttpRequest, email: str) -> None:
    """Note in the browser that this person signed in there."""
    people = _people(request)
    number = people.pop(_person(email), None) or secrets.token_urlsafe(16)
    kept = dict([*people.items(), (_person(email), number)][-PEOPLE:])
    response.set_cookie(
        COOKIE,
        signing.dumps(kept, salt=_SALT),
        max_age=DAYS * 24 * 3600,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def in_words(user_agent: str) -> str:
    """A browser as a person names it, such as "Firefox on Windows"."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    program = re.match(r"[A-Za-z][\w.-]{1,30}", user_agent)
    return browser or system or (program[0] if program else "an unknown browser")
