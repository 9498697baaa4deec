"""What an administrator or IT does about somebody's access: each a form of its own on the user's page."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from accounts import actions
from accounts.http import SignedInRequest
from accounts.models import User
from accounts.permissions import needs
from accounts.reconfirm import reconfirmed
from accounts.user_forms import ResetFactorForm


@require_POST
@needs("user", "change")
@reconfirmed
def deactivate(request: SignedInRequest, pk: int) -> HttpResponse:
    return _done(
        request,
        pk,
        lambda user: actions.update_user(acting_user=request.user, user=user, is_active=False),
        "{name} is switched off. Sessions and tokens have ended.",
    )


@require_POST
@needs("user", "change")
@reconfirmed
def activate(request: SignedInRequest, pk: int) -> HttpResponse:
    return _done(
        request,
        pk,
        lambda user: actions.update_user(acting_user=request.user, user=user, is_active=True),
        "{name} may sign in again.",
    )


@require_POST
@needs("user", "create")
@reconfirmed
def invite(request: SignedInRequest, pk: int) -> HttpResponse:
    return _done(
        request,
        pk,
        lambda user: actions.invite_again(acting_user=request.user, user=user),
        "A new link is on its way to {email}. The former one no longer works.",
    )


@require_POST
@needs("user", "create")
@reconfirmed
def revoke(request: SignedInRequest, pk: int) -> HttpResponse:
    return _done(
        request,
        pk,
        lambda user: actions.revoke_invitation(acting_user=request.user, user=user),
        "The invitation of {name} is revoked: the link no longer works.",
    )


@require_POST
@needs("user", "reset_mfa")
@reconfirmed
def reset_factor(request: SignedInRequest, pk: int) -> HttpResponse:
    form = ResetFactorForm(request.POST)
    if not form.is_valid():
        get_object_or_404(User.objects.visible_to(request.user), pk=pk)
        messages.error(request, "Say why the second factor is reset. Nothing was changed.")
        return redirect("user-edit", pk=pk)
    return _done(
        request,
        pk,
        lambda user: actions.reset_mfa(acting_user=request.user, user=user, reason=form.cleaned_data["reason"]),
        "The second factor of {name} is reset and everything signed in has ended.",
    )


@require_POST
@needs("user", "end_sessions")
@reconfirmed
def end_sessions(request: SignedInRequest, pk: int) -> HttpResponse:
    return _done(
        request,
        pk,
        lambda user: actions.end_sessions(acting_user=request.user, user=user),
        "{name} is signed out everywhere.",
    )


def _done(request: SignedInRequest, pk: int, act: Callable[[User], object], sentence: str) -> HttpResponse:
    """Do it to a user that the person sees; the rule that keeps them from it is shown on the user's page."""
    user = get_object_or_404(User.objects.visible_to(request.user), pk=pk)
    try:
        act(user)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    except (PermissionError, PermissionDenied) as rule:
        messages.error(request, str(rule))
    else:
        messages.success(request, sentence.format(name=user.get_full_name(), email=user.email))
    return redirect("user-edit", pk=pk)
