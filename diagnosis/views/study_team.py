"""An administrator gives a study to another team."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from accounts.http import SignedInRequest
from accounts.permissions import needs
from diagnosis import actions
from diagnosis.forms import AssignForm
from diagnosis.models import Study


@needs("study", "assign")
@require_POST
def assign(request: SignedInRequest, pk: Any) -> HttpResponse:
    study = get_object_or_404(Study.objects.visible_to(request.user), pk=pk)
    form = AssignForm(request.POST, study=study)
    if not form.is_valid():
        messages.error(request, "Choose one of the teams. The study stays where it was.")
        return redirect("study-detail", pk=pk)
    try:
        study = actions.assign_study(acting_user=request.user, study=study, team=form.cleaned_data["team"])
    except ValidationError as refusal:
        messages.error(request, f"{' '.join(refusal.messages)} The study stays where it was.")
    else:
        whose = f"those of {study.team.name}" if study.team else "every one"
        messages.success(request, f"Saved. Which radiologists see this study now: {whose}.")
    return redirect("study-detail", pk=pk)
