"""One's second factors: allauth's pages with the permission, a recent proof of identity, and the ledger around them.

Each change is one transaction with its ledger row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import views as base_views
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as recovery_views
from allauth.mfa.totp import views as totp_views
from allauth.mfa.webauthn import views as passkey_views
from django.contrib import messages
from django.db import transaction
from django.forms import BaseForm
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from accounts import actions, mfa_policy
from accounts.http import SignedInRequest
from accounts.models import User
from accounts.permissions import needs
from accounts.reconfirm import reconfirmed
from accounts.views.account import end_others


class _Factors(base_views.IndexView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        user = self.request.user
        own = list(Authenticator.objects.filter(user_id=user.pk).order_by("created_at"))
        context["app"] = next((one for one in own if one.type == Authenticator.Type.TOTP), None)
        context["passkeys"] = [one for one in own if one.type == Authenticator.Type.WEBAUTHN]
        codes = next((one for one in own if one.type == Authenticator.Type.RECOVERY_CODES), None)
        context["codes_left"] = len(codes.wrap().get_unused_codes()) if codes else None
        context["is_demanded"] = mfa_policy.is_demanded_of(user)
        context["is_missing"] = mfa_policy.must_set_up(self.request)
        return context


class _ActivateTotp(totp_views.ActivateTOTPView):
    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        app = Authenticator.objects.get(user_id=self.request.user.pk, type=Authenticator.Type.TOTP)
        actions.note_used_code(authenticator=app, code=form.cleaned_data["code"])
        return response


class _RemovePasskey(passkey_views.RemoveWebAuthnView):
    def form_valid(self, form: BaseForm) -> HttpResponse:
        authenticator = self.get_object()
        if not get_adapter().can_delete_authenticator(authenticator):
            messages.error(self.request, get_adapter().error_messages["cannot_delete_authenticator"])
            return redirect("mfa_index")
        return super().form_valid(form)


View = Callable[..., HttpResponseBase]


def _changes_factors(view: View) -> View:
    """One transaction; where a factor came or went, the other browsers of the person are signed out in it."""

    @functools.wraps(view)
    def changing(request: SignedInRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with transaction.atomic():
            if request.method == "POST":
                # Before the first row of the ledger: an administrator may be changing the same log-in.
                actions.hold_users([request.user.pk])
            before = _factors_of(request.user)
            response = view(request, *args, **kwargs)
            if hasattr(response, "render"):
                response.render()  # within the transaction, not after it
            if _factors_of(request.user) != before:
                request.session.pop(mfa_policy.HAS_FACTOR, None)
                end_others(request)
        return response

    return changing


def _factors_of(user: User) -> set[int]:
    return set(Authenticator.objects.filter(user_id=user.pk, type__in=mfa_policy.FACTORS).values_list("pk", flat=True))


@require_safe
@needs("own_account", "view")
def factors(request: SignedInRequest) -> HttpResponseBase:
    """One's second factors, and what can be added."""
    return _Factors.as_view()(request)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("own_account", "change")
@reconfirmed
@_changes_factors
def totp_activate(request: SignedInRequest) -> HttpResponseBase:
    """Add an authenticator app: scan, then type a code that it shows."""
    return _ActivateTotp.as_view()(request)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("own_account", "change")
@reconfirmed
@_changes_factors
def totp_deactivate(request: SignedInRequest) -> HttpResponseBase:
    return totp_views.deactivate_totp(request)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("own_account", "change")
@reconfirmed
@_changes_factors
def passkey_add(request: SignedInRequest) -> HttpResponseBase:
    return passkey_views.add_webauthn(request)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("own_account", "change")
@reconfirmed
@_changes_factors
def passkey_remove(request: SignedInRequest, pk: int) -> HttpResponseBase:
    return _RemovePasskey.as_view()(request, pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("own_account", "change")
@reconfirmed
def passkey_rename(request: SignedInRequest, pk: int) -> HttpResponseBase:
    return passkey_views.edit_webauthn(request, pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("own_account", "change")
@reconfirmed
@_changes_factors
def recovery_codes_generate(request: SignedInRequest) -> HttpResponseBase:
    return recovery_views.generate_recovery_codes(request)


@require_safe
@needs("own_account", "view")
@reconfirmed
def recovery_codes(request: SignedInRequest) -> HttpResponseBase:
    """Show one's recovery codes; that they were shown is in the ledger."""
    response = recovery_views.view_recovery_codes(request)
    _note_shown(request.user)
    return response


@require_safe
@needs("own_account", "view")
@reconfirmed
def recovery_codes_download(request: SignedInRequest) -> HttpResponseBase:
    response = recovery_views.download_recovery_codes(request)
    _note_shown(request.user)
    return response


def _note_shown(user: User) -> None:
    kind = Authenticator.Type.RECOVERY_CODES.value
    actions.note_second_factor(user=user, action="mfa.recovery_codes_shown", kind=kind, sentence="")
