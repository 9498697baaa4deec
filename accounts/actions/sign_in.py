"""The verbs on being signed in: sessions, second factors, what has to end when an account changes."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.actions.notifications import notify
from accounts.models import User
from accounts.permissions import require


@transaction.atomic
def end_all_sign_ins(*, user: User) -> dict[str, Any]:
    """End every session and delete every API token of a person. A step of other verbs, which write the ledger.

    The raised epoch also ends sessions that no row names: the hash that each session carries no longer fits.
    """
    User.objects.filter(pk=user.pk).update(sign_in_epoch=F("sign_in_epoch") + 1)
    user.refresh_from_db(fields=["sign_in_epoch"])
    sessions = list(UserSession.objects.filter(user=user))
    for session in sessions:
        session.end()
    tokens, _ = user.api_tokens.all().delete()
    return {"sessions_ended": len(sessions), "tokens_deleted": tokens}


@transaction.atomic
def end_sessions(*, acting_user: User, user: User) -> None:
    """Sign somebody out everywhere and delete their API tokens."""
    require(acting_user, "user", "end_sessions")
    ended = end_all_sign_ins(user=user)
    notify("account_event", users=[user], text="You were signed out everywhere by an administrator or IT.")
    audit.record("user.sessions_ended", actor=acting_user, target=user, **ended)


@transaction.atomic
def end_own_sessions(*, acting_user: User, keep: str) -> int:
    """Sign oneself out everywhere but in the session ``keep``, whose hash the caller renews; return how many ended."""
    require(acting_user, "own_account", "change")
    others = list(UserSession.objects.filter(user=acting_user).exclude(session_key=keep))
    for session in others:
        session.end()
    User.objects.filter(pk=acting_user.pk).update(sign_in_epoch=F("sign_in_epoch") + 1)
    acting_user.refresh_from_db(fields=["sign_in_epoch"])
    audit.record("user.sessions_ended", actor=acting_user, target=acting_user, sessions_ended=len(others))
    return len(others)


@transaction.atomic
def end_own_session(*, acting_user: User, session: UserSession) -> None:
    """End one of one's own sessions.

    Raises:
        PermissionDenied: when it is somebody else's.
    """
    require(acting_user, "own_account", "change")
    if session.user_id != acting_user.pk:
        raise PermissionDenied("This is not your session.")
    session.end()
    audit.record("user.sessions_ended", actor=acting_user, target=acting_user, sessions_ended=1)


@transaction.atomic
def note_timeout(*, user: User, session_key: str, by: str) -> None:
    """Keep in the ledger that a session ended by itself.

    Args:
        by: ``idle`` or ``absolute``, the limit that was reached.
    """
    UserSession.objects.filter(session_key=session_key).delete()
    ended, _ = Session.objects.filter(session_key=session_key).delete()
    if ended:
        # Several tabs notice at once; who deletes the session writes its row.
        audit.record("user.timed_out", actor=user, target=user, by=by)


@transaction.atomic
def renew_session(*, request: HttpRequest) -> None:
    """Have the session go on under a new key; in its owner's list it stays the same one. Nothing for the ledger."""
    former = request.session.session_key
    request.session.cycle_key()
    UserSession.objects.filter(session_key=former).update(session_key=request.session.session_key)


def note_session(*, request: HttpRequest, user: User) -> None:
    """Keep when and from where a session was last used, for its owner's list. Nothing for the ledger."""
    key = request.session.session_key
    seen = UserSession.objects.filter(session_key=key, user=user).update(
        last_seen_at=timezone.now(),
        ip=request.META.get("REMOTE_ADDR") or "0.0.0.0",  # nosec B104: no address known
    )
    if not seen:
        UserSession.objects.create_from_request(request)


@transaction.atomic
def note_new_device(*, user: User, device: str, address: str) -> None:
    """Tell a person that they signed in with a browser that was not used before, in case it was not they."""
    text = f"You signed in with a browser that was not used before: {device}, from {address}."
    notify("account_event", users=[user], text=text, path="/account/sessions/")
    audit.record("user.new_device", actor=user, target=user, device=device)


@transaction.atomic
def note_refused_provider(*, user: User | None, code: str) -> None:
    """Keep in the ledger that the single sign-on brought somebody who was not let in."""
    audit.record("user.provider_refused", actor=None, target=user, code=code)


@transaction.atomic
def note_provider_connected(*, user: User) -> None:
    """Keep in the ledger, and tell its owner, that an account is from now on opened by the single sign-on too."""
    notify("account_event", users=[user], text="You can now sign in by the hospital's sign-in too.")
    audit.record("user.provider_connected", actor=user, target=user)
