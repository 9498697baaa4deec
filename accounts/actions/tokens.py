"""The verbs on API tokens."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.actions.notifications import notify
from accounts.addresses import canonical
from accounts.models import ApiToken, User
from accounts.permissions import require
from accounts.tokens import digest, new_token


@transaction.atomic
def create_token(*, acting_user: User, label: str = "", lasts: timedelta | None = None) -> tuple[ApiToken, str]:
    """Create an API token for oneself; return the row and the token, which is shown this once.

    Args:
        label: what it is for. One that has a label is kept for long, so its owner is told that there is a new one.
        lasts: until it expires; the site's ``API_TOKEN_HOURS`` where none is given.
    """
    require(acting_user, "token", "create")
    secret = new_token()
    token = ApiToken.objects.create(
        user=acting_user,
        digest=digest(secret),
        label=label,
        expires_at=timezone.now() + (lasts or timedelta(hours=settings.API_TOKEN_HOURS)),
    )
    if label:
        text = "An API token was made in your name. If it was not you, revoke it at once."
        notify("account_event", users=[acting_user], text=text, path="/account/sessions/")
    audit.record("token.created", actor=acting_user, target=token)
    return token, secret


@transaction.atomic
def delete_token(*, acting_user: User, token: ApiToken) -> None:
    """Revoke one of one's own tokens.

    Raises:
        PermissionDenied: when it is somebody else's.
    """
    require(acting_user, "token", "delete")
    if token.user_id != acting_user.pk:
        raise PermissionDenied("This is not your token.")
    key = token.pk
    token.delete()
    audit.record_of("token.deleted", actor=acting_user, object_type="apitoken", object_id=str(key))


@transaction.atomic
def note_refused_token(*, email: str, reason: str) -> None:
    """Keep in the ledger that somebody was refused a token; the typed address only where it is an account's."""
    user = User.objects.filter(email=canonical(email)).first()
    audit.record("token.refused", actor=None, target=user, reason=reason)
