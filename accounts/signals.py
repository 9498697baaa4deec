"""The sign-in ledger: what Django and allauth tell about sessions and passwords becomes rows."""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.signals import (
    authentication_step_completed,
    password_changed,
    password_reset,
    password_set,
)
from allauth.mfa import signals as mfa_signals
from allauth.mfa.models import Authenticator
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import actions, audit, rate_limits, timeouts
from accounts.addresses import canonical
from accounts.models import User

API_PREFIX = "/api/"
KINDS_IN_WORDS = {
    Authenticator.Type.TOTP: "An authenticator app",
    Authenticator.Type.WEBAUTHN: "A passkey",
    Authenticator.Type.RECOVERY_CODES: "A set of recovery codes",
}


@receiver(user_logged_in)
def note_sign_in(*, user: User, request: HttpRequest | None = None, **kwargs: Any) -> None:
    by = []
    if request is not None:
        timeouts.begin(request.session)
        by = [record.get("type") or record["method"] for record in get_authentication_records(request, user)]
    audit.record("user.signed_in", actor=user, target=user, by=by)


@receiver(authentication_step_completed)
def note_confirmation(*, user: User, method: str, reauthenticated: bool = False, **kwargs: Any) -> None:
    """That somebody who is signed in proved again who they are, before a dangerous act. The session goes on under a new
    key: one that was read before is worth nothing for what follows."""
    if reauthenticated:
        actions.renew_session(request=kwargs["request"])
        audit.record("user.reconfirmed", actor=user, target=user, by=kwargs.get("type") or method)


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
    typed = canonical(str(credentials.get("email") or credentials.get("username") or ""))
    tried = User.objects.filter(email=typed).first() if typed else None
    audit.record("user.sign_in_failed", actor=None, target=tried, known=tried is not None)


@receiver([password_changed, password_set])
def note_changed_password(*, request: HttpRequest, user: User, **kwargs: Any) -> None:
    actions.note_new_password(user=user, by="change")
    # The epoch that ended every session has ended this one too.
    update_session_auth_hash(request, user)


@receiver(password_reset)
def note_reset_password(*, request: HttpRequest, user: User, **kwargs: Any) -> None:
    actions.note_new_password(user=user, by="mail")
    rate_limits.forget(request, action="login_failed_elsewhere", key=user.email)


@receiver(post_save, sender=Authenticator)
def note_added_factor(*, instance: Authenticator, created: bool, **kwargs: Any) -> None:
    """In the transaction that saves it; allauth's own signal comes after, when a crash could lose the row."""
    if created:
        sentence = f"{KINDS_IN_WORDS[Authenticator.Type(instance.type)]} was added to your account."
        actions.note_second_factor(user=instance.user, action="mfa.added", kind=instance.type, sentence=sentence)


@receiver(mfa_signals.authenticator_removed)
def note_removed_factor(*, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    sentence = f"{KINDS_IN_WORDS[Authenticator.Type(authenticator.type)]} was removed from your account."
    actions.note_second_factor(user=user, action="mfa.removed", kind=authenticator.type, sentence=sentence)


@receiver(mfa_signals.authentication_failed)
def note_failed_factor(*, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    actions.note_second_factor(user=user, action="mfa.failed", kind=authenticator.type, sentence="")
