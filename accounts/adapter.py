"""How allauth behaves here: people are made by an administrator, nobody signs up."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal.ratelimit import RateLimitUsage
from django.conf import settings
from django.contrib import messages
from django.contrib.sites.shortcuts import get_current_site
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import actions, devices, mfa_policy, rate_limits, single_sign_on
from accounts.addresses import canonical
from accounts.models import User
from accounts.reconfirm import is_recent, ways_in_words


class ClosedSignupAdapter(DefaultAccountAdapter):
    _login_failed_rl_usage: RateLimitUsage | None
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

        The demonstration's log-ins are shared on purpose and stay as they are. A browser that is new is remembered,
        and its owner told.
        """
        response = super().post_login(request, user, **kwargs)
        first = request.session.pop("first_sign_in", False)
        if devices.known_as(request, user.email) is None and not first:
            device = devices.in_words(self.get_http_user_agent(request))
            actions.note_new_device(user=user, device=device, address=self.get_client_ip(request))
        if first and not settings.DEMO and not mfa_policy.came_by_provider(request, user):
            sentence = "This is your first sign-in. If somebody gave you the password, choose your own now."
            messages.warning(request, sentence)
            response = redirect("account_change_password")
        devices.remember(response, request, user.email)
        return response

    def is_safe_url(self, url: str) -> bool:
        """Whether ``next=`` may lead there: a page of this site, named without its host."""
        return bool(url) and url.startswith("/") and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_login_stages(self) -> list[str]:
        """Our second stage, which knows of the provider's second factor, instead of allauth's."""
        ours = "accounts.mfa_policy.SecondFactorStage"
        return [ours if stage.endswith(".AuthenticateStage") else stage for stage in super().get_login_stages()]

    # Counting tries

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count wrong tries by account and browser, or by account and address where the browser is not known, so that
        a stranger cannot lock a colleague out."""
        email = str(credentials.get("email", ""))
        whence = devices.known_as(request, email) or self.get_client_ip(request)
        return f"{whence}:{super()._get_login_attempts_cache_key(request, **credentials)}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """A known browser has a limit of its own and no other, so that nobody at the next desk uses it up. For all
        unknown ones together there is a wide limit for one account besides: many addresses help nobody."""
        email = canonical(str(credentials.get("email", "")))
        if devices.known_as(request, email) is None:
            # Counted before the password is looked at: of many guesses at once no more are looked at than are allowed.
            elsewhere = rate_limits.taken(request, action="login_failed_elsewhere", key=email)
            if elsewhere is None:
                raise self.validation_error("too_many_login_attempts")
            try:
                super().pre_authenticate(request, **credentials)
            except ValidationError:
                elsewhere.rollback()
                raise
            # What a sign-in that succeeds takes back.
            if self._login_failed_rl_usage is not None:
                self._login_failed_rl_usage.usage.extend(elsewhere.usage)
            return
        key = self._get_login_attempts_cache_key(request, **credentials)
        # The name is allauth's: a sign-in that succeeds takes its count back.
        self._login_failed_rl_usage = rate_limits.taken(request, action="login_failed_known_browser", key=key)
        if self._login_failed_rl_usage is None:
            raise self.validation_error("too_many_login_attempts")

    # Who it is, asked again

    def is_reauthentication_required(self, app: str = "") -> bool:
        """A sign-in counts as long as an answer to the question who you are would."""
        return not is_recent(self.request)

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        ways = ways_in_words(super().get_reauthentication_methods(user))
        if user.is_authenticated and single_sign_on.is_connected(user):
            question = reverse("account-reconfirm-by-provider")
            ways.append({"id": "provider", "description": f"Sign in again with {settings.OIDC_NAME}", "url": question})
        return ways

    # Mail

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """By the durable job: the page answers whether or not the mail server does."""
        site = get_current_site(self.request)
        words = self.render_mail(
            template_prefix, email, {"request": self.request, "email": email, "current_site": site, **context}
        )
        actions.enqueue_mail(
            kind="account", recipient=email, subject=words.subject, body=words.body, user=context.get("user")
        )

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """To the address on record, never to the one that was typed: they may differ in how they are drawn."""
        super().send_password_reset_mail(user, user.email, context)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Below ``PUBLIC_URL``, whatever ``Host`` the request named."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.PUBLIC_URL + path.replace("UID-KEY", key)
