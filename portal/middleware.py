"""What concerns every request: whose it is behind a proxy, and headers of the answer."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse


class ProxyAddressMiddleware:
    """Behind the site's own proxy, have ``REMOTE_ADDR`` name the client: the ledger and the limits by address need it.

    The proxy adds the address it sees at the end of ``X-Forwarded-For``; anything before it may be forged.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        added = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if _is_address(added):
            request.META["REMOTE_ADDR"] = added
        return self.get_response(request)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class TlsForProgramsMiddleware:
    """Where the site speaks TLS, refuse calls of the API that came without it.

    Pages are led to TLS; a program that is led there keeps sending its token in the clear, and nobody notices.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SECURE_SSL_REDIRECT and request.path.startswith("/api/") and not request.is_secure():
            sentence = (
                f"Use {settings.PUBLIC_URL}: this request came without TLS. What it carried was readable on the way."
            )
            return JsonResponse({"code": "tls_required", "detail": sentence, "fields": {}}, status=403)
        return self.get_response(request)


class NoStoreMiddleware:
    """Keep pages of signed-in people out of every cache, so that 'back' after sign-out shows nothing.

    A view that set ``Cache-Control`` itself keeps its own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store, private"
        response["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        return response
