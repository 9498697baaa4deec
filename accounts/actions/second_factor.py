"""The verbs on second factors: using a code once, and what becomes of a person's factors."""

from __future__ import annotations

import time

from allauth.mfa import app_settings
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt
from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts import audit
from accounts.actions.notifications import notify
from accounts.actions.sign_in import end_all_sign_ins
from accounts.models import User
from accounts.permissions import may_grant, require

LAST_STEP = "last_step"
"""Key of the data of a TOTP authenticator: the time step of the newest code that was used."""


@transaction.atomic
def use_code(*, user: User, code: str) -> Authenticator | None:
    """Take a code of the authenticator app or a recovery code; return whose code it was, or ``None`` for a wrong one.

    A code works once (RFC 6238, 5.2). The row of the authenticator is locked and keeps the step of the last code, so
    that neither a second process nor an emptied cache gives it a second time.
    """
    # Takes the write lock first: SQLite ignores select_for_update, and two requests could else read the same step.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
    for authenticator in Authenticator.objects.select_for_update().filter(user=user, type__in=kinds):
        if authenticator.type == Authenticator.Type.TOTP:
            step = _step_of(authenticator, code)
            if step is not None:
                authenticator.data[LAST_STEP] = step
                authenticator.save(update_fields=["data"])
                return authenticator
        elif RecoveryCodes(authenticator).validate_code(code):
            left = len(RecoveryCodes(Authenticator.objects.get(pk=authenticator.pk)).get_unused_codes())
            notify(
                "account_event",
                users=[user],
                text=f"A recovery code was used to sign in. You have {left} left.",
                path="/account/2fa/",
            )
            audit.record("mfa.recovery_code_used", actor=user, target=user, left=left)
            return authenticator
    return None


def _step_of(authenticator: Authenticator, code: str) -> int | None:
    """The time step that the code belongs to, unless it or a later one was used already."""
    secret = decrypt(authenticator.data["secret"])
    now = int(time.time()) // app_settings.TOTP_PERIOD
    for step in range(now - app_settings.TOTP_TOLERANCE, now + app_settings.TOTP_TOLERANCE + 1):
        expected = totp.format_hotp_value(totp.hotp_value(secret, step))
        if totp.compare_user_code(actual=code, expected=expected):
            return step if step > authenticator.data.get(LAST_STEP, 0) else None
    return None


@transaction.atomic
def note_used_code(*, authenticator: Authenticator, code: str) -> None:
    """Have the code that activated an authenticator app count as used."""
    step = _step_of(authenticator, code)
    if step is not None:
        authenticator.data[LAST_STEP] = step
        authenticator.save(update_fields=["data"])


@transaction.atomic
def reset_mfa(*, acting_user: User | None, user: User, reason: str) -> int:
    """Take away somebody's second factors: their telephone is lost. Everything signed in ends.

    Args:
        acting_user: ``None``: a command on the server, for the administrator whom nobody else can help.

    Returns:
        How many factors there were, the recovery codes among them.

    Raises:
        PermissionDenied: without the permission, for a role that ``acting_user`` may not grant, or for oneself.
        ValueError: without a reason.
    """
    if acting_user is not None:
        require(acting_user, "user", "reset_mfa")
        if acting_user.pk == user.pk:
            raise PermissionDenied("Nobody resets their own second factor; ask another administrator.")
        if not may_grant(acting_user, user.role):
            raise PermissionDenied("Your role does not reset the second factor of this user; ask an administrator.")
    if not reason.strip():
        raise ValueError("Say why the second factor is reset.")
    removed, _ = Authenticator.objects.filter(user=user).delete()
    ended = end_all_sign_ins(user=user)
    notify(
        "account_event", users=[user], text="Your second factor was reset. If you did not ask for this, say so at once."
    )
    audit.record(
        "user.mfa_reset", actor=acting_user, target=user, reason=reason.strip()[:500], factors_removed=removed, **ended
    )
    return removed


@transaction.atomic
def note_second_factor(*, user: User, action: str, kind: str, sentence: str) -> None:
    """Keep what became of a second factor, and tell its owner.

    Args:
        action: the ledger's name, such as ``mfa.added``.
        kind: ``totp``, ``webauthn`` or ``recovery_codes``.
        sentence: for the person; empty where it is not worth a notice.
    """
    if sentence:
        notify("account_event", users=[user], text=sentence, path="/account/2fa/")
    audit.record(action, actor=user, target=user, kind=kind)
