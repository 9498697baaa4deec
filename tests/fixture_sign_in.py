"""Steps of signing in that several tests take."""

from __future__ import annotations

import time

from allauth.account.internal.flows import login as records
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.test import Client


def confirm(client: Client) -> None:
    """Have a test client that is signed in (``force_login``) have just proved who it is, as after a real sign-in."""
    session = client.session
    session[records.AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time()}]
    session[records._AUTHENTICATION_METHODS_USER_SESSION_KEY] = session["_auth_user_id"]
    session.save()


def add_app(user) -> str:
    """Give a person an authenticator app with recovery codes; return its secret."""
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(user, secret)
    RecoveryCodes.activate(user)
    return secret


def code(secret: str, *, steps: int = 0) -> str:
    """What the app shows now, or so many steps of 30 seconds from now. A code counts in its own step alone, so there
    are some seconds left of it."""
    keep_off_the_edge()
    return totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30 + steps))


def recovery_codes(user) -> list[str]:
    return Authenticator.objects.get(user=user, type="recovery_codes").wrap().get_unused_codes()


def keep_off_the_edge(seconds: float = 3.0) -> None:
    """Wait where a time step of 30 seconds is about to end: the code must not change while a test uses it."""
    left = 30 - time.time() % 30
    if left < seconds:
        time.sleep(left)
