"""Dangerous acts ask first whether it is still the same person: by password, code or passkey, once in five minutes.

Put :func:`reconfirmed` under ``@needs`` on the view that opens the form *and* takes it: the question comes before the
form is opened. A form that was open too long is kept (allauth's suspended request) and goes through after the answer.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

View = Callable[..., HttpResponseBase]


WORDS = {
    "reauthenticate": "Use your password",
    "mfa_reauthenticate": "Use a code of your app, or a recovery code",
    "mfa_reauthenticate:webauthn": "Use a passkey",
}


def is_recent(request: HttpRequest) -> bool:
    """Whether the person proved who they are within ``ACCOUNT_REAUTHENTICATION_TIMEOUT``, at sign-in or since."""
    proofs = get_authentication_records(request, request.user) if request.user.is_authenticated else []
    newest = max((proof["at"] for proof in proofs), default=0.0)
    return time.time() - newest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def ways_in_words(ways: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """allauth's ways to prove who one is, in our words."""
    return [{**way, "description": WORDS.get(way["id"], way["description"])} for way in ways]


def reconfirmed(view: View) -> View:
    """Guard a view by a recent proof of identity.

    A page leads to the question and comes back; a part of a page (htmx) leads the whole page there; a form with files
    comes back empty and says so, because files are not kept.
    """

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_recent(request):
            return view(request, *args, **kwargs)
        if request.headers.get("HX-Request"):
            return _whole_page(request)
        if request.method == "POST" and request.FILES:
            messages.warning(request, "Your files were not taken: the question who you are came first. Add them again.")
            return HttpResponseRedirect(_question(request, back=request.path))
        _question(request, back=request.path)
        raise ReauthenticationRequired  # allauth's middleware keeps the request, asks, and resumes it

    guarded.asks_again = True  # type: ignore[attr-defined]
    return guarded


def reconfirmed_on(page: str) -> Callable[[View], View]:
    """Guard a download like :func:`reconfirmed`, and lead back to the page that it is on, with its filters.

    A file would else arrive on the page of the question, and the person would be left standing there. The link to it
    is a plain one: with ``download`` a browser would save the page of the question as the file.

    Args:
        page: name of the address of that page; it takes the arguments of the download's.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if is_recent(request):
                return view(request, *args, **kwargs)
            question = _question(request, back=_left(request, reverse(page, kwargs=kwargs)))
            messages.info(request, "This file holds people's data: say first who you are, then ask for it once more.")
            return HttpResponseRedirect(question)

        guarded.asks_again = True  # type: ignore[attr-defined]
        return guarded

    return decorate


def _left(request: HttpRequest, path: str) -> str:
    """The page at ``path`` as the person left it: with its filters, where the browser says so."""
    left = urlsplit(request.headers.get("Referer", ""))
    return f"{path}?{left.query}" if left.path == path and left.query else path


def _question(request: HttpRequest, *, back: str) -> str:
    ways = get_adapter(request).get_reauthentication_methods(request.user)
    if not ways:
        raise PermissionDenied("There is no way to ask again who you are. Set a password first.")
    return f"{ways[0]['url']}?{urlencode({'next': back})}"


def _whole_page(request: HttpRequest) -> HttpResponse:
    shown = urlsplit(request.headers.get("HX-Current-URL", ""))
    back = f"{shown.path}?{shown.query}" if shown.query else shown.path
    return HttpResponse(status=204, headers={"HX-Redirect": _question(request, back=back or "/")})
