"""The installed models, their cards, and what an administrator decides about them."""

from __future__ import annotations

from typing import Any

import structlog
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe

from accounts.http import SignedInRequest
from accounts.permissions import needs
from diagnosis import actions, inference, model_card, model_figures
from diagnosis.forms import PrevalenceForm, ReasonForm
from diagnosis.models import Modality, ModalitySetting, ModelVersion
from diagnosis.proposals import changes_made, open_proposals, others_who_may_confirm, rolls_back_to, shadow_began
from diagnosis.shadow_figures import shadow_of
from diagnosis.stored_files import send
from diagnosis.views.doing import do
from ml.contract import ModelError

log = structlog.get_logger(__name__)

PNG = ".png"


@needs("model", "view")
@require_safe
def model_list(request: SignedInRequest) -> HttpResponse:
    """Every model that was installed here, which one analyses each modality, and the prevalence it is told."""
    models = list(ModelVersion.objects.select_related("chosen_by").order_by("modality", "name", "-registered_at"))
    active = {model.modality: model for model in models if model.active}
    waiting = {model.modality for model in models if model.is_research and not model.active}
    prevalences = dict(ModalitySetting.objects.values_list("modality", "prevalence"))
    modalities = [
        {
            "code": modality.value,
            "words": modality.label,
            "model": active.get(modality.value),
            "research_waits": modality.value in waiting,
            "prevalence": prevalences.get(modality.value),
            "can_be_rebased": _can_be_rebased(active.get(modality.value)),
        }
        for modality in Modality
    ]
    return render(
        request,
        "diagnosis/models.html",
        {
            "models": models,
            "modalities": modalities,
            "open_proposals": open_proposals(),
            "changes": changes_made(models),
        },
    )


def _can_be_rebased(model: ModelVersion | None) -> bool:
    try:
        return model is not None and inference.training_shares(model.name, model.version) is not None
    except ModelError:
        return False


@needs("model", "view")
@require_safe
def card(request: SignedInRequest, name: str, version: str) -> HttpResponse:
    """One version: its digest, its figures, its card, and for administrators the changes they may propose."""
    model = get_object_or_404(ModelVersion.objects.select_related("chosen_by"), name=name, version=version)
    evaluation = model_figures.evaluation_of(model)
    return render(
        request,
        "diagnosis/models_card.html",
        {
            "model": model,
            "card": _card(model),
            "measured": model_figures.measured(evaluation),
            "drift": _drift(model, evaluation),
            "recent_images": inference.RECENT_IMAGES,
            "released_in_use": ModelVersion.objects.filter(
                modality=model.modality, active=True, status=ModelVersion.Status.RELEASED
            ).first(),
            "form": ReasonForm(),
            "open_proposal": open_proposals(model.modality).first(),
            "previous": rolls_back_to(model.modality),
            "nobody_else": not others_who_may_confirm(request.user).exists(),
            "changes": changes_made(ModelVersion.objects.filter(modality=model.modality)),
            "candidate": shadow_of(model.modality),
            "began": shadow_began(model),
        },
    )


def _card(model: ModelVersion) -> SafeString | None:
    """The card as HTML; ``None`` where it is not installed, and the page says so."""
    try:
        text = inference.card_path(model.name, model.version).read_text(encoding="utf-8")
        pictures = {
            file: reverse("model-plot", args=[model.name, model.version, file.removesuffix(PNG)])
            for file in inference.plots(model.name, model.version)
        }
    except (ModelError, OSError):
        return None
    return model_card.rendered(text, pictures=pictures)


def _drift(model: ModelVersion, evaluation: dict[str, Any]) -> dict[str, Any] | None:
    """Late images against those it was measured on; ``None`` for a model that brought no reference for that."""
    reference = evaluation.get("monitoring")
    if not isinstance(reference, dict):
        return None
    try:
        return inference.drift(model, reference)
    except ModelError as error:
        log.error("model.reference_unreadable", model=str(model), error=str(error))
        return None


@needs("model", "view")
@require_safe
def plot(request: SignedInRequest, name: str, version: str, plot: str) -> HttpResponseBase:
    """A picture of the card: one that the manifest lists, nothing else of the folder."""
    model = get_object_or_404(ModelVersion, name=name, version=version)
    try:
        path, sha256 = inference.plots(model.name, model.version)[plot + PNG]
    except (ModelError, KeyError) as missing:
        raise Http404("The model has no such picture.") from missing
    return send(request, path, sha256=sha256, content_type="image/png", filename=plot + PNG)


@needs("model", "set_prevalence")
@require_POST
def prevalence(request: SignedInRequest, modality: str) -> HttpResponse:
    """Set the site's own prevalence of malignancy for a modality, or go back to the model's."""
    if modality not in Modality.values:
        raise Http404("There is no such modality.")
    form = PrevalenceForm(request.POST)
    if not form.is_valid():
        messages.warning(request, "Enter a prevalence from 0.1 to 90 percent, or nothing for the model's own.")
    else:
        do(
            request,
            actions.set_prevalence,
            modality=modality,
            prevalence=form.prevalence,
            done="Kept. It holds for analyses from now on; results that exist stay as they are.",
        )
    return redirect("model-list")
