"""The installed models and their cards."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest
from accounts.permissions import needs
from diagnosis import inference
from diagnosis.models import Modality, ModelVersion
from ml.contract import ModelError


@needs("model", "view")
@require_safe
def model_list(request: SignedInRequest) -> HttpResponse:
    """Every model that was installed here, and which one analyses each modality."""
    models = list(ModelVersion.objects.order_by("modality", "name", "-registered_at"))
    active = {model.modality: model for model in models if model.active}
    modalities = [(modality.label, active.get(modality.value)) for modality in Modality]
    return render(request, "diagnosis/models.html", {"models": models, "modalities": modalities})


@needs("model", "view")
@require_safe
def model_card(request: SignedInRequest, name: str, version: str) -> HttpResponse:
    """One version: its digest, and its card as the plain text it is."""
    model = get_object_or_404(ModelVersion, name=name, version=version)
    try:
        card = inference.card_path(model.name, model.version).read_text(encoding="utf-8")
    except (ModelError, OSError):
        # Shown as what it is: the page says that the card is not installed.
        card = ""
    return render(request, "diagnosis/models_card.html", {"model": model, "card": card})
