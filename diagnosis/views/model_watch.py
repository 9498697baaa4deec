"""How a model does here: month by month, scanner by scanner, against readers, outcomes, and another model."""

from __future__ import annotations

from typing import Any

import structlog
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest
from accounts.permissions import needs
from diagnosis import discordance, drift_months, inference, model_figures, outcomes, shadow_figures
from diagnosis.agreement import LEAST_CASES
from diagnosis.models import ModelVersion
from diagnosis.scanner_months import MONTHS, months
from ml.contract import LABELS, ModelError

log = structlog.get_logger(__name__)

MOVED = ("shifted", "watch")
"""States of a quantity that are worth naming, the worst first."""


@needs("dashboard", "view")
@require_safe
def here(request: SignedInRequest, name: str, version: str) -> HttpResponse:
    """The figures of one version at this site."""
    model = get_object_or_404(ModelVersion, name=name, version=version)
    evaluation = model_figures.evaluation_of(model)
    lines = drift_months.by_scanner(model)
    scanners = discordance.by_scanner(model)
    compares = model.shadow or model.shadow_readings.exists()
    return render(
        request,
        "diagnosis/models_here.html",
        {
            "model": model,
            "lines": lines,
            "drift_rows": _by_month([line.by_month for line in lines]),
            "reference_mean": drift_months.reference_mean(evaluation),
            "verdicts": _verdicts(model, evaluation),
            "scanners": scanners,
            "discordance_rows": _by_month([scanner.by_month for scanner in scanners]),
            "truth": outcomes.of_model(model),
            "shadow": shadow_figures.of_candidate(model) if compares else None,
            "candidate": shadow_figures.shadow_of(model.modality),
            "labels": LABELS,
            "latest": shadow_figures.LATEST,
            "least_cases": LEAST_CASES,
            "month_count": MONTHS,
        },
    )


def _by_month(columns: list[tuple[Any, ...]]) -> list[tuple[Any, list[Any]]]:
    """The months, oldest first, each with one cell a scanner; nothing without scanners."""
    return [(month, [column[place] for column in columns]) for place, month in enumerate(months())] if columns else []


def _verdicts(model: ModelVersion, evaluation: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Late images of each scanner against those the model was measured on; ``None`` without a reference for that."""
    reference = evaluation.get("monitoring")
    if not isinstance(reference, dict):
        return None
    try:
        found = inference.drift_by_scanner(model, reference)
    except ModelError as error:
        log.error("model.reference_unreadable", model=str(model), error=str(error))
        return None
    return [
        {
            "name": scanner,
            "state": report["state"],
            "n": max((one["n"] for one in report["quantities"]), default=0),
            "moved": [one["name"] for state in MOVED for one in report["quantities"] if one["state"] == state],
        }
        for scanner, report in found.items()
    ]
