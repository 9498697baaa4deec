"""How allauth behaves here: people are made by an administrator, nobody signs up."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.models import User


class ClosedSignupAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": "This account is switched off. Ask your administrator.",
        "email_password_mismatch": "The e-mail address or the password is wrong. Check both and try again.",
        "enter_current_password": "This is not your current password.",
        "incorrect_password": "The password is wrong.",
        "invalid_password_reset": "This link is used or too old. Ask for a new one.",
        "too_many_login_attempts": "Too many wrong tries. Wait five minutes, then try again, or reset the password.",
        "rate_limited": "Too many requests in a short time. Wait a minute, then try again.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        request.session["first_sign_in"] = user.last_login is None
        return super().pre_login(request, user, **kwargs)

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        """The first sign-in leads to the password page: the password was made by somebody else.

        The demonstration's log-ins are shared on purpose and stay as they are.
        """
        response = super().post_login(request, user, **kwargs)
        if not request.session.pop("first_sign_in", False) or settings.DEMO:
            return response
        messages.warning(request, "This is your first sign-in. If somebody gave you the password, choose your own now.")
        return redirect("account_change_password")

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count wrong tries by account and address, so that a stranger cannot lock a colleague out."""
        return f"{self.get_client_ip(request)}:{super()._get_login_attempts_cache_key(request, **credentials)}"
