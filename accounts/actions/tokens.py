"""The verbs on API tokens."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import ApiToken, User
from accounts.permissions import require
from accounts.tokens import digest, new_token


@transaction.atomic
def create_token(*, acting_user: User) -> tuple[ApiToken, str]:
    """Create an API token for oneself; return the row and the token, which is shown this once."""
    require(acting_user, "token", "create")
    secret = new_token()
    token = ApiToken.objects.create(
        user=acting_user,
        digest=digest(secret),
        expires_at=timezone.now() + timedelta(hours=settings.API_TOKEN_HOURS),
    )
    audit.record("token.created", actor=acting_user, target=token)
    return token, secret


@transaction.atomic
def delete_token(*, acting_user: User, token: ApiToken) -> None:
    require(acting_user, "token", "delete")
    audit.record("token.deleted", actor=acting_user, target=token)
    token.delete()


@transaction.atomic
def note_refused_token(*, email: str, reason: str) -> None:
    """Keep in the ledger that somebody was refused a token; the typed address only where it is an account's."""
    user = User.objects.filter(email__iexact=email).first()
    audit.record("token.refused", actor=None, target=user, reason=reason)
