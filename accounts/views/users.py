"""Users: who may sign in, with which role."""

from __future__ import annotations

import copy

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import actions
from accounts.forms import UserForm, note_refusal
from accounts.http import SignedInRequest
from accounts.models import User
from accounts.permissions import needs
from accounts.roles import Role
from accounts.views.listing import paged, searched_for


@require_safe
@needs("user", "view")
def user_list(request: SignedInRequest) -> HttpResponse:
    """All users, filtered by ``?q=``, ``?role=`` and ``?active=yes|no``. A request of htmx gets the rows alone."""
    words, role, active = searched_for(request), request.GET.get("role", ""), request.GET.get("active", "")
    users = User.objects.visible_to(request.user).search(words)
    if role in Role.values:
        users = users.filter(role=role)
    if active in ("yes", "no"):
        users = users.filter(is_active=active == "yes")
    listing = paged(users.order_by("family_name", "given_name", "email"), request)
    part = request.htmx and not request.htmx.history_restore_request
    context = {
        "page": listing.page,
        "pages": listing.pages,
        "words": words,
        "role": role,
        "active": active,
        "roles": Role.choices,
        "filtered": bool(words or role or active),
    }
    return render(request, "accounts/partials/user_rows.html" if part else "accounts/user_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("user", "create")
def user_create(request: SignedInRequest) -> HttpResponse:
    """Create a user; the answer to the form shows the one-time password, this once."""
    form = UserForm(request.POST or None, acting_user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                user, password = actions.create_user(acting_user=request.user, **form.account)
                if form.patient is not None:
                    actions.set_patient_of_login(acting_user=request.user, user=user, patient=form.patient)
        except ValidationError as refusal:
            note_refusal(form, refusal)
        else:
            context = {"created": user, "password": password}
            return render(request, "accounts/user_created.html", context, status=201)
    return render(request, "accounts/user_form.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("user", "change")
def user_edit(request: SignedInRequest, pk: int) -> HttpResponse:
    edited = get_object_or_404(User.objects.visible_to(request.user), pk=pk)
    form = UserForm(request.POST or None, instance=copy.copy(edited), acting_user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                edited = actions.update_user(acting_user=request.user, user=edited, **form.account)
                if "patient_mrn" in form.changed_data:
                    actions.set_patient_of_login(acting_user=request.user, user=edited, patient=form.patient)
        except ValidationError as refusal:
            note_refusal(form, refusal)
        except PermissionError as rule:
            form.add_error(None, str(rule))
        else:
            messages.success(request, f"{edited.get_full_name()}: saved.")
            return redirect("user-list")
    context = {"form": form, "edited": get_object_or_404(User, pk=pk)}
    return render(request, "accounts/user_form.html", context, status=422 if form.errors else 200)
