"""Changes of the model in use, by two persons; and candidates in the shadow."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.http import SignedInRequest
from accounts.permissions import needs
from accounts.reconfirm import reconfirmed
from diagnosis import actions
from diagnosis.forms import ChangeForm, ReasonForm
from diagnosis.models import ModelProposal, ModelVersion
from diagnosis.proposals import others_who_may_confirm
from diagnosis.views.doing import do

Change = ModelProposal.Change


@needs("model", "choose")
@require_POST
@reconfirmed
def propose(request: SignedInRequest, name: str, version: str) -> HttpResponse:
    """Propose a change about one version; another administrator is told."""
    model = get_object_or_404(ModelVersion, name=name, version=version)
    form = ChangeForm(request.POST)
    if not form.is_valid():
        messages.warning(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect("model-card", name=name, version=version)
    proposal = do(
        request,
        actions.propose_change,
        model=model,
        change=form.cleaned_data["change"],
        reason=form.cleaned_data["reason"],
        done="Proposed. Nothing has changed yet: another administrator was told and has to confirm it.",
    )
    if proposal is None:
        return redirect("model-card", name=name, version=version)
    return redirect("model-proposal", pk=proposal.pk)


@needs("model", "choose")
@require_safe
def proposal(request: SignedInRequest, pk: int) -> HttpResponse:
    """One proposal: what, who, why, whether it still fits, and what became of it."""
    row = get_object_or_404(
        ModelProposal.objects.select_related("model", "replaced", "proposed_by", "confirmed_by", "withdrawn_by"), pk=pk
    )
    others = others_who_may_confirm(row.proposed_by)
    return render(
        request,
        "diagnosis/models_proposal.html",
        {
            "proposal": row,
            "is_own": row.proposed_by_id == request.user.pk,
            "misfit": actions.misfit_of(row) if row.is_open else "",
            "others": others,
        },
    )


@needs("model", "choose")
@require_POST
@reconfirmed
def confirm(request: SignedInRequest, pk: int) -> HttpResponse:
    """The second person's step: the change is made."""
    row = get_object_or_404(ModelProposal.objects.select_related("model", "replaced"), pk=pk)
    does = {
        Change.USE: f"{row.model} analyses new images from now on. Results that exist stay as they are.",
        Change.ROLL_BACK: f"{row.model} analyses new images again, from now on. Results that exist stay as they are.",
        Change.STOP: f"{row.model} analyses no further images. Results that exist stay, marked as research.",
    }
    do(request, actions.confirm_change, proposal=row, done=does[Change(row.change)])
    return redirect("model-proposal", pk=pk)


@needs("model", "choose")
@require_POST
def withdraw(request: SignedInRequest, pk: int) -> HttpResponse:
    """Settle a proposal without doing it."""
    row = get_object_or_404(ModelProposal.objects.select_related("model", "replaced"), pk=pk)
    do(request, actions.withdraw_change, proposal=row, done="Settled. The model in use has not changed.")
    return redirect("model-proposal", pk=pk)


@needs("model", "shadow")
@require_POST
@reconfirmed
def shadow(request: SignedInRequest, name: str, version: str) -> HttpResponse:
    """Have a candidate read along, unseen."""
    model = get_object_or_404(ModelVersion, name=name, version=version)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.warning(request, " ".join(map(str, form.errors["reason"])))
    else:
        do(
            request,
            actions.set_shadow,
            model=model,
            reason=form.cleaned_data["reason"],
            done=f"{model} reads the new images along, unseen. Nothing of it appears in results, reports or lists.",
        )
    return redirect("model-card", name=name, version=version)


@needs("model", "shadow")
@require_POST
def end_shadow(request: SignedInRequest, name: str, version: str) -> HttpResponse:
    """Have the candidate read no further images."""
    model = get_object_or_404(ModelVersion, name=name, version=version)
    do(request, actions.end_shadow, model=model, done=f"{model} reads no further images. What it read is kept.")
    return redirect("model-card", name=name, version=version)
