"""Teams: who sees whose studies."""

from __future__ import annotations

import copy

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import actions
from accounts.forms import note_refusal
from accounts.http import SignedInRequest
from accounts.models import Team
from accounts.permissions import may, needs
from accounts.team_forms import TeamEditForm, TeamForm


@require_safe
@needs("team", "view")
def team_list(request: SignedInRequest) -> HttpResponse:
    """All teams with how many work in them and how many studies they have."""
    teams = Team.objects.visible_to(request.user).annotate(
        members_count=Count("members", filter=Q(members__is_active=True), distinct=True)
    )
    studies = dict(Team.objects.order_by().values_list("pk").annotate(Count("studies")))
    rows = [(team, studies[team.pk]) for team in teams.order_by("-is_active", "name")]
    return render(request, "accounts/team_list.html", {"rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@needs("team", "create")
def team_create(request: SignedInRequest) -> HttpResponse:
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            team = actions.create_team(acting_user=request.user, **form.cleaned_data)
        except ValidationError as refusal:
            note_refusal(form, refusal)
        else:
            messages.success(request, f"{team.name} is made. Choose its members.")
            return redirect("team-edit", pk=team.pk)
    return render(request, "accounts/team_form.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("team", "view", writing="change")
def team_edit(request: SignedInRequest, pk: int) -> HttpResponse:
    """A team with its members; who may not change it reads it."""
    team = get_object_or_404(Team.objects.visible_to(request.user), pk=pk)
    if not may(request.user, "team", "change"):
        return render(request, "accounts/team_detail.html", {"team": team, "members": team.members.all()})
    form = TeamEditForm(request.POST or None, instance=copy.copy(team))
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        members = values.pop("members")
        try:
            with transaction.atomic():
                # Before the first row of the ledger: somebody may be changing one of them at this moment.
                actions.hold_users(user.pk for user in [*team.members.all(), *members])
                team = actions.update_team(acting_user=request.user, team=team, **values)
                actions.set_team_members(acting_user=request.user, team=team, members=members)
        except ValidationError as refusal:
            note_refusal(form, refusal)
        else:
            messages.success(request, f"{team.name}: saved.")
            return redirect("team-list")
    context = {"form": form, "team": team}
    return render(request, "accounts/team_form.html", context, status=422 if form.errors else 200)
