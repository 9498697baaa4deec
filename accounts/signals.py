"""The sign-in ledger: what Django and allauth tell about sessions and passwords becomes rows."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import password_changed, password_reset, password_set
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import actions, audit
from accounts.models import User

API_PREFIX = "/api/"


@receiver(user_logged_in)
def note_sign_in(*, user: User, **kwargs: Any) -> None:
    audit.record("user.signed_in", actor=user, target=user)


@receiver(user_logged_out)
def note_sign_out(*, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        audit.record("user.signed_out", actor=user, target=user)


@receiver(user_login_failed)
def note_failed_sign_in(*, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Name the account that was tried. What was typed is not kept where there is no such account: people type
    passwords into the wrong field. A refused API token has its own row (``actions.note_refused_token``)."""
    if request is not None and request.path.startswith(API_PREFIX):
        return
    typed = str(credentials.get("email") or credentials.get("username") or "").strip()
    tried = User.objects.filter(email__iexact=typed).first() if typed else None
    audit.record("user.sign_in_failed", actor=None, target=tried, known=tried is not None)


@receiver([password_changed, password_set])
def note_changed_password(*, user: User, **kwargs: Any) -> None:
    actions.note_new_password(user=user, by="change")


@receiver(password_reset)
def note_reset_password(*, user: User, **kwargs: Any) -> None:
    actions.note_new_password(user=user, by="mail")
