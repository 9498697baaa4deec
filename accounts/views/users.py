"""Users: who may sign in, with which role."""

from __future__ import annotations

import copy
import csv
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.text import get_text_list
from django.views.decorators.http import require_http_methods, require_safe

from accounts import actions
from accounts.forms import note_refusal
from accounts.http import SignedInRequest
from accounts.mfa_policy import FACTORS
from accounts.models import AuditEvent, User
from accounts.permissions import may, may_grant, needs
from accounts.reconfirm import reconfirmed, reconfirmed_on
from accounts.spreadsheets import BYTE_ORDER_MARK, Line, defused
from accounts.user_filters import UserFilter
from accounts.user_forms import INVITE, ResetFactorForm, UserForm
from accounts.views.listing import paged, searched_for, words_out_of_address

RECENT_SIGN_INS = 8
SIGN_INS = {
    "user.signed_in": "Signed in",
    "user.signed_out": "Signed out",
    "user.timed_out": "Session ran out",
    "user.sign_in_failed": "Wrong password",
    "user.sessions_ended": "Sessions ended",
}
EXPORT_CHUNK = 1_000


def _filtered(request: SignedInRequest) -> tuple[UserFilter, QuerySet[User]]:
    filters = UserFilter.of(request, words=searched_for(request))
    return filters, filters.apply(User.objects.visible_to(request.user))


@words_out_of_address
@require_safe
@needs("user", "view")
def user_list(request: SignedInRequest) -> HttpResponse:
    """The users that match the filters of the address. A request of htmx gets the rows alone."""
    filters, users = _filtered(request)
    listing = paged(users, request)
    part = request.htmx and not request.htmx.history_restore_request
    context = {
        "page": listing.page,
        "pages": listing.pages,
        "filters": filters,
        "headings": filters.headings,
        "selects": filters.choices(),
    }
    return render(request, "accounts/partials/user_rows.html" if part else "accounts/user_list.html", context)


@require_safe
@needs("user", "export")
@reconfirmed_on("user-list")
def user_export(request: SignedInRequest) -> StreamingHttpResponse:
    """The same users as the list, all of them, as CSV. Its first columns are those that the import reads."""
    filters, users = _filtered(request)
    actions.note_people_exported(acting_user=request.user, filters=filters.asked, count=users.count())
    response = StreamingHttpResponse(_lines(users), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="users-{timezone.localdate():%Y-%m-%d}.csv"'
    return response


EXPORTED = (
    *("email", "given_name", "family_name", "role", "teams"),
    *("may_sign_in", "second_factor", "last_sign_in", "invited_at", "on_record_since"),
)


def _lines(users: QuerySet[User]) -> Iterator[str]:
    writer = csv.writer(Line())
    yield BYTE_ORDER_MARK + writer.writerow(EXPORTED)
    for user in users.iterator(chunk_size=EXPORT_CHUNK):
        cells = (
            *(user.email, user.given_name, user.family_name, user.role),
            "; ".join(team.name for team in user.teams.all()),
            "yes" if user.is_active else "no",
            "yes" if user.has_factor else "no",  # type: ignore[attr-defined]
            *(_moment(at) for at in (user.last_login, user.invited_at, user.date_joined)),
        )
        yield writer.writerow([defused(cell) for cell in cells])


def _moment(value: Any) -> str:
    return timezone.localtime(value).isoformat(timespec="seconds") if value else ""


@require_http_methods(["GET", "HEAD", "POST"])
@needs("user", "create")
def user_create(request: SignedInRequest) -> HttpResponseBase:
    """Invite a user by e-mail, or create one whose one-time password the answer shows, this once."""
    return _take_new(request) if request.method == "POST" else _new(request, UserForm(acting_user=request.user))


@reconfirmed
def _take_new(request: SignedInRequest) -> HttpResponse:
    form = UserForm(request.POST, acting_user=request.user)
    if not form.is_valid():
        return _new(request, form)
    invited = form.cleaned_data["way_in"] == INVITE
    password = ""
    try:
        with transaction.atomic():
            # Before the first row of the ledger: somebody else may hold the record at this moment.
            actions.hold_patients_of_login(user=None, patient=form.patient)
            values = {**form.account, "teams": form.teams_chosen or ()}
            if invited:
                user = actions.invite_user(acting_user=request.user, **values)
            else:
                user, password = actions.create_user(acting_user=request.user, **values)
            if form.patient is not None:
                actions.set_patient_of_login(acting_user=request.user, user=user, patient=form.patient)
    except ValidationError as refusal:
        note_refusal(form, refusal)
        return _new(request, form)
    if invited:
        messages.success(request, f"{user.get_full_name()} is invited: a link is on its way to {user.email}.")
        return redirect("user-edit", pk=user.pk)
    return render(request, "accounts/user_created.html", {"created": user, "password": password}, status=201)


def _new(request: SignedInRequest, form: UserForm) -> HttpResponse:
    return render(request, "accounts/user_form.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("user", "change")
def user_edit(request: SignedInRequest, pk: int) -> HttpResponseBase:
    """One user: who they are, what they may, how they signed in; and what can be done about it."""
    edited = get_object_or_404(User.objects.visible_to(request.user), pk=pk)
    if request.method == "POST":
        return _take_changes(request, edited)
    return _one(request, edited, UserForm(instance=copy.copy(edited), acting_user=request.user))


@reconfirmed
def _take_changes(request: SignedInRequest, edited: User) -> HttpResponse:
    # A model form writes what was typed into its instance; the user itself is only written by the action.
    form = UserForm(request.POST, instance=copy.copy(edited), acting_user=request.user)
    if form.is_valid():
        try:
            with transaction.atomic():
                actions.hold_patients_of_login(user=edited, patient=form.patient)
                saved = actions.update_user(acting_user=request.user, user=edited, **form.account)
                if "patient_mrn" in form.changed_data:
                    actions.set_patient_of_login(acting_user=request.user, user=saved, patient=form.patient)
                if form.teams_chosen is not None and not form.fields["teams"].disabled:
                    actions.set_teams(acting_user=request.user, user=saved, teams=form.teams_chosen)
        except ValidationError as refusal:
            note_refusal(form, refusal)
        except (PermissionError, PermissionDenied) as rule:
            form.add_error(None, str(rule))
        else:
            messages.success(request, f"{saved.get_full_name()}: saved.")
            return redirect("user-edit", pk=edited.pk)
    return _one(request, edited, form)


def _one(request: SignedInRequest, edited: User, form: UserForm) -> HttpResponse:
    granted = may_grant(request.user, edited.role)
    is_self = edited.pk == request.user.pk
    log = AuditEvent.objects.filter(object_type="user", object_id=str(edited.pk), action__in=SIGN_INS)
    alive = UserSession.objects.filter(
        user=edited, last_seen_at__gt=timezone.now() - timedelta(seconds=settings.SESSION_IDLE_SECONDS)
    )
    sessions, tokens = alive.count(), edited.api_tokens.filter(expires_at__gt=timezone.now()).count()
    context = {
        "form": form,
        "edited": edited,
        "sessions": sessions,
        "tokens": tokens,
        "ends": _what_ends(sessions=sessions, tokens=tokens, invited=edited.is_invited),
        "has_factor": Authenticator.objects.filter(user=edited, type__in=FACTORS).exists(),
        "events": [(SIGN_INS[row.action], row) for row in log.order_by("-at", "-pk")[:RECENT_SIGN_INS]],
        "reset_form": ResetFactorForm(),
        "offers": {
            "invitation": granted and not edited.has_usable_password() and may(request.user, "user", "create"),
            "factor": granted and not is_self and may(request.user, "user", "reset_mfa"),
            "sessions": not is_self and may(request.user, "user", "end_sessions"),
            "access": not is_self,
        },
    }
    return render(request, "accounts/user_detail.html", context, status=422 if form.errors else 200)


def _what_ends(*, sessions: int, tokens: int, invited: bool) -> str:
    """What switching somebody off ends, as part of a sentence; empty where nothing is open."""
    open_things = [
        f"{count} {word if count == 1 else word + 's'}"
        for count, word in ((sessions, "open session"), (tokens, "API token"))
        if count
    ]
    return str(get_text_list([*open_things, *(["the open invitation"] if invited else [])], "and"))
