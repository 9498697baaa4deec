"""One's own account: what is signed in in one's name, API tokens, how long this session lasts."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import actions, devices, timeouts
from accounts.http import SignedInRequest
from accounts.models import ApiToken
from accounts.permissions import may, needs
from accounts.reconfirm import reconfirmed
from accounts.sign_in_forms import TokenForm

SESSIONS_PAGE = "account-sessions"


@require_safe
@needs("own_account", "view")
def sessions(request: SignedInRequest) -> HttpResponse:
    """What is signed in in one's name: browsers and programs, each of which can be ended."""
    own = UserSession.objects.purge_and_list(request.user)
    current = request.session.session_key
    listed = [
        {
            "pk": one.pk,
            "device": devices.in_words(one.user_agent),
            "address": one.ip,
            "since": one.created_at,
            "last_used": one.last_seen_at,
            "is_this": one.session_key == current,
        }
        for one in sorted(own, key=lambda one: (one.session_key != current, -one.last_seen_at.timestamp()))
    ]
    context = {
        "sessions": listed,
        "others": sum(not one["is_this"] for one in listed),
        "may_make_tokens": may(request.user, "token", "create"),
        "tokens": ApiToken.objects.filter(user=request.user, expires_at__gt=timezone.now()),
        "factors": Authenticator.objects.filter(user=request.user).exclude(type=Authenticator.Type.RECOVERY_CODES),
    }
    return render(request, "account/sessions.html", context)


@require_POST
@needs("own_account", "change")
@reconfirmed
def session_end(request: SignedInRequest, pk: int) -> HttpResponse:
    """End one of one's own sessions; ending the one at hand signs out."""
    session = get_object_or_404(UserSession, pk=pk, user=request.user)
    if session.session_key == request.session.session_key:
        return redirect("account_logout")
    actions.end_own_session(acting_user=request.user, session=session)
    messages.success(request, "That browser is signed out.")
    return redirect(SESSIONS_PAGE)


@require_POST
@needs("own_account", "change")
@reconfirmed
def sessions_end_others(request: SignedInRequest) -> HttpResponse:
    """Sign oneself out everywhere else; API tokens stay, each is revoked on its own."""
    ended = end_others(request)
    browsers = "1 other browser is" if ended == 1 else f"{ended} other browsers are"
    messages.success(request, f"You are signed in only here: {browsers} signed out.")
    return redirect(SESSIONS_PAGE)


def end_others(request: SignedInRequest) -> int:
    """End every session of the person but the one at hand, which goes on under a new key; return how many ended."""
    ended = actions.end_own_sessions(acting_user=request.user, keep=request.session.session_key or "")
    update_session_auth_hash(request, request.user)
    UserSession.objects.create_from_request(request)
    return ended


@require_http_methods(["GET", "HEAD", "POST"])
@needs("token", "create")
@reconfirmed
def token_create(request: SignedInRequest) -> HttpResponse:
    """Make an API token; the answer shows it, this once."""
    form = TokenForm(request.POST or None, initial={"days": 30})
    if request.method == "POST" and form.is_valid():
        token, secret = actions.create_token(
            acting_user=request.user,
            label=form.cleaned_data["label"],
            lasts=timedelta(days=form.cleaned_data["days"]),
        )
        return render(request, "account/token_created.html", {"token": token, "secret": secret}, status=201)
    return render(request, "account/token_form.html", {"form": form}, status=422 if form.errors else 200)


@require_POST
@needs("token", "delete")
def token_delete(request: SignedInRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, pk=pk, user=request.user)
    actions.delete_token(acting_user=request.user, token=token)
    messages.success(request, "The token is revoked; programs that use it are refused from now on.")
    return redirect(SESSIONS_PAGE)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("own_account", "view")
def session_state(request: SignedInRequest) -> JsonResponse:
    """How long this session lasts. ``GET`` only asks; ``POST`` is the person who says that they are still there."""
    now = time.time()
    if request.method == "POST" and timeouts.BACKGROUND_HEADER not in request.headers:
        timeouts.touch(request.session, now, exactly=True)
    left = timeouts.left(request.session, now)
    answer: dict[str, Any] = {"seconds": max(0, round(left.seconds, 1)), "by": left.by}
    return JsonResponse(answer)
