"""Notifications: the bell, the list, and how a person wants to hear of what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import actions
from accounts.http import SignedInRequest
from accounts.models import Consent, Notification, NotificationPreference
from accounts.notifications import KINDS, Kind, kinds_of
from accounts.permissions import needs
from accounts.roles import Role
from accounts.views.listing import paged

UNDER_THE_BELL = 8


@require_safe
@needs("notification", "view")
def notification_list(request: SignedInRequest) -> HttpResponse:
    """One's own notifications, newest first; ``?show=unread`` and ``?kind=`` narrow. htmx gets the rows alone."""
    kind, show = request.GET.get("kind", ""), request.GET.get("show", "")
    own = Notification.objects.visible_to(request.user)
    rows = own.filter(kind=kind) if kind in KINDS else own
    if show == "unread":
        rows = rows.unread()
    listing = paged(rows, request)
    part = request.htmx and not request.htmx.history_restore_request
    context = {
        "page": listing.page,
        "pages": listing.pages,
        "rows": [(row, _label(row)) for row in listing.page],
        "kind": kind,
        "show": show,
        "kinds": kinds_of(request.user.role),
        "filtered": kind in KINDS or show == "unread",
        "unread": own.unread().count(),
        "drawn_at": timezone.now().isoformat(),
    }
    template = "accounts/partials/notification_rows.html" if part else "accounts/notification_list.html"
    return render(request, template, context)


def _label(row: Notification) -> str:
    """What the kind of a notification is called; nothing for one that a later release no longer has."""
    return KINDS[row.kind].label if row.kind in KINDS else ""


@require_safe
@needs("notification", "view")
def notification_bell(request: SignedInRequest) -> JsonResponse:
    """How many are unread; every open page asks now and then (``accounts.timeouts``: no activity), so one count."""
    return JsonResponse({"unread": Notification.objects.visible_to(request.user).unread().count()})


@require_safe
@needs("notification", "view")
def notification_newest(request: SignedInRequest) -> HttpResponse:
    """What the panel under the bell shows."""
    own = Notification.objects.visible_to(request.user)
    context = {
        "rows": own[:UNDER_THE_BELL],
        "unread": own.unread().count(),
        "drawn_at": timezone.now().isoformat(),
    }
    return render(request, "partials/bell_panel.html", context)


@require_safe
@needs("notification", "change")
def notification_open(request: SignedInRequest, pk: int) -> HttpResponse:
    """Note that it was read and lead to its page. A link, so that it opens in a new tab too; twice is once."""
    row = get_object_or_404(Notification.objects.visible_to(request.user), pk=pk)
    if request.method == "GET":
        actions.mark_read(acting_user=request.user, notifications=[row.pk])
    if row.path and url_has_allowed_host_and_scheme(row.path, allowed_hosts=None):
        return redirect(row.path)
    return redirect("notification-list")


@require_POST
@needs("notification", "change")
def notification_read(request: SignedInRequest) -> HttpResponse:
    """Mark as read what there was when the page was drawn (``until``). htmx gets the panel again."""
    try:
        until = parse_datetime(request.POST.get("until", ""))
    except ValueError:
        until = None
    if until is None or timezone.is_naive(until):
        return HttpResponseBadRequest("until: the time at which the page was drawn, with its time zone.")
    actions.mark_read(acting_user=request.user, until=until)
    if not request.htmx:
        return redirect("notification-list")
    own = Notification.objects.visible_to(request.user)
    context = {"rows": own[:UNDER_THE_BELL], "unread": own.unread().count(), "drawn_at": timezone.now().isoformat()}
    return render(request, "partials/bell_panel.html", context)


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the page of preferences."""

    key: str
    kind: Kind
    in_app: bool
    by_email: bool


def _choices(request: SignedInRequest) -> list[Choice]:
    chosen = {row.kind: row for row in NotificationPreference.objects.filter(user=request.user)}
    choices = []
    for key, kind in kinds_of(request.user.role).items():
        held: Any = kind if kind.always else chosen.get(key, kind)
        choices.append(Choice(key=key, kind=kind, in_app=held.in_app, by_email=held.by_email))
    return choices


@require_http_methods(["GET", "HEAD", "POST"])
@needs("notification", "change")
def notification_choices(request: SignedInRequest) -> HttpResponse:
    """How one wants to hear of each kind. What cannot be switched off is shown, and not read from the form."""
    choices = _choices(request)
    if request.method == "POST":
        in_app, by_email = request.POST.getlist("in_app"), request.POST.getlist("by_email")
        wanted = {one.key: (one.key in in_app, one.key in by_email) for one in choices if not one.kind.always}
        changed = actions.choose_notifications(acting_user=request.user, choices=wanted)
        messages.success(request, "Saved." if changed else "Nothing was changed.")
        return redirect("notification-choices")
    context = {
        "choices": choices,
        "clinical": settings.MAIL_CLINICAL_CONTENT,
        "email_not_agreed": request.user.role == Role.PATIENT and not _agreed_to_email(request),
    }
    return render(request, "accounts/notification_choices.html", context)


def _agreed_to_email(request: SignedInRequest) -> bool:
    standing = Consent.objects.filter(purpose=Consent.Purpose.EMAIL, withdrawn_at=None)
    return standing.filter(patient__user=request.user).exists()
