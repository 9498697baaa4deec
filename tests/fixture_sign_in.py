"""Steps of signing in that several tests take."""

from __future__ import annotations

import time

from allauth.account.internal.flows import login as records
from django.test import Client


def confirm(client: Client) -> None:
    """Have a test client that is signed in (``force_login``) have just proved who it is, as after a real sign-in."""
    session = client.session
    session[records.AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time()}]
    session[records._AUTHENTICATION_METHODS_USER_SESSION_KEY] = session["_auth_user_id"]
    session.save()
