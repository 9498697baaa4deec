"""Bearer tokens: how a request that carries one is recognised."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from accounts import mfa_policy
from accounts.models import ApiToken, User

USE_NOTED_EVERY = timedelta(minutes=1)
"""``last_used_at`` is exact to this, so that a request does not cost a write."""


def digest(token: str) -> str:
    """SHA-256 of a token, hexadecimal. The token has 256 random bits, so no salt or stretching is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    return secrets.token_urlsafe(32)


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>`` (RFC 6750, 2.1)."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise exceptions.AuthenticationFailed("The Authorization header must read: Bearer, a space, the token.")
        now = timezone.now()
        found = ApiToken.objects.select_related("user").filter(
            digest=digest(parts[1].decode("latin-1")), expires_at__gt=now, user__is_active=True
        )
        token = found.first()
        if token is None:
            raise exceptions.AuthenticationFailed("The token is unknown or has expired. Sign in again.")
        if mfa_policy.lacks_factor(token.user):
            raise exceptions.AuthenticationFailed("Your role needs a second factor. Set it up on the website first.")
        if token.last_used_at is None or now - token.last_used_at > USE_NOTED_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return self.keyword
