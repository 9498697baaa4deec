"""Which roles need a second factor, and what is open to somebody who has none yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.stages import AuthenticateStage
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect

FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""Recovery codes stand in for one of these; alone they are none."""
HAS_FACTOR = "has_second_factor"
"""Session key: the question needs no second query. Losing the last factor ends every session (``actions``)."""

OPEN_WITHOUT = frozenset(
    {
        "mfa_index",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_list_webauthn",
        "mfa_view_recovery_codes",
        "mfa_generate_recovery_codes",
        "mfa_download_recovery_codes",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
        "account_reauthenticate",
        "account_change_password",
        "account_logout",
        "account_login",
        "account-session",
        "healthz",
        "readyz",
        "verify",
    }
)
"""Addresses that a person whose role needs a second factor reaches before there is one."""


def is_demanded_of(user: Any) -> bool:
    """Whether the person's role needs a second factor (``MFA_ROLES``)."""
    return user.role in settings.MFA_ROLES


def has_factor(user: Any) -> bool:
    return Authenticator.objects.filter(user_id=user.pk, type__in=FACTORS).exists()


def lacks_factor(user: Any) -> bool:
    """Whether the person's role needs a second factor and there is none, not even the provider's."""
    if not is_demanded_of(user) or has_factor(user):
        return False
    return not (settings.OIDC_SATISFIES_MFA and SocialAccount.objects.filter(user_id=user.pk).exists())


def has_codes(user: Any) -> bool:
    """Whether the person can give a code that is typed: of an app, or a recovery code."""
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
    return Authenticator.objects.filter(user_id=user.pk, type__in=kinds).exists()


def is_last_factor(authenticator: Authenticator) -> bool:
    others = Authenticator.objects.filter(user_id=authenticator.user_id, type__in=FACTORS)
    return authenticator.type in FACTORS and not others.exclude(pk=authenticator.pk).exists()


def came_by_provider(request: HttpRequest, user: Any) -> bool:
    """Whether the person signed in by the hospital's single sign-on this time."""
    return any(record.get("method") == "socialaccount" for record in get_authentication_records(request, user))


def satisfied_by_provider(request: HttpRequest, user: Any) -> bool:
    """Whether this sign-in came from the hospital's single sign-on and that counts as two factors."""
    return settings.OIDC_SATISFIES_MFA and came_by_provider(request, user)


def must_set_up(request: HttpRequest) -> bool:
    """Whether the signed-in person has to set up a second factor before anything else."""
    user = request.user
    if not user.is_authenticated or not is_demanded_of(user) or request.session.get(HAS_FACTOR):
        return False
    if has_factor(user):
        request.session[HAS_FACTOR] = True
        return False
    return not satisfied_by_provider(request, user)


class MfaPolicyMiddleware:
    """Lead who needs a second factor and has none to the page that sets it up, from wherever."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not settings.MFA_ROLES:
            return None
        asked = request.resolver_match.view_name if request.resolver_match else ""
        if asked in OPEN_WITHOUT or not must_set_up(request):
            return None
        if request.path.startswith("/api/"):
            sentence = "Your role needs a second factor. Set it up on the website first."
            return JsonResponse({"code": "mfa_required", "detail": sentence, "fields": {}}, status=403)
        messages.warning(request, "Your role needs a second factor. Set one up here; then everything is open to you.")
        return redirect("mfa_index")


class SecondFactorStage(AuthenticateStage):
    """The step of signing in that asks for the second factor, unless the provider has asked for one."""

    def _should_handle(self, request: HttpRequest) -> bool:
        return bool(super()._should_handle(request)) and not satisfied_by_provider(request, self.login.user)
