"""The administrator's dashboard: figures of the house, each leading to what it counts."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest
from accounts.ledger import wording
from accounts.models import AuditEvent
from accounts.permissions import needs
from diagnosis import dashboard as figures
from diagnosis import outcomes, storage_size
from diagnosis.agreement import LEAST_CASES
from diagnosis.dashboard import RANGES, Span
from diagnosis.model_figures import SHOWN_ON_DASHBOARD, evaluation_of, measured
from diagnosis.models import Modality, ModelVersion
from diagnosis.proposals import open_proposals

LISTED_EVENTS = 10
LATEST_ROWS = 300
"""Rows of the ledger in which events are looked for: on a busy day most rows say that somebody looked at something."""
LOOKING = (".viewed", ".listed", ".map_viewed")


def _models() -> list[dict[str, Any]]:
    """Each model in use with what was measured before, and what outcomes say here."""
    active = {model.modality: model for model in ModelVersion.objects.filter(active=True)}
    return [
        {
            "model": model,
            "words": modality.label,
            "measured": measured(evaluation_of(model), shown=SHOWN_ON_DASHBOARD),
            "truth": outcomes.of_model(model),
        }
        for modality in Modality
        if (model := active.get(modality.value)) is not None
    ]


def _events() -> list[dict[str, Any]]:
    """The newest rows of the ledger that are more than a look, in words; no patient is named."""
    latest = AuditEvent.objects.select_related("actor").order_by("-pk")[:LATEST_ROWS]
    rows = [row for row in latest if not row.action.endswith(LOOKING)][:LISTED_EVENTS]
    return [
        {
            "at": row.at,
            "who": wording.person(row, row.actor.get_full_name() if row.actor else None),
            "what": wording.phrase(row),
            "object": wording.object_words(row),
        }
        for row in rows
    ]


@needs("dashboard", "view")
@require_safe
def dashboard(request: SignedInRequest) -> HttpResponse:
    """All figures for the days of ``?days=``."""
    span = Span.asked(request.GET.get("days"))
    results, shares = figures.by_result(request.user, span)
    return render(
        request,
        "diagnosis/dashboard.html",
        {
            "span": span,
            "ranges": RANGES,
            "tiles": figures.tiles(request.user, span),
            "people": figures.people(),
            "results": results,
            "total": sum(bar.value for bar in results),
            "shares": shares,
            "scored": sum(bar.value for bar in shares),
            "points": figures.by_day(request.user, span),
            "waiting": figures.waiting(request.user, span),
            "refusals": figures.refusals(request.user, span),
            "latest_refused": figures.LATEST_REFUSED,
            "history": figures.history(**{"from": span.first_day.isoformat()}),
            "storage": storage_size.measured(),
            "models": _models(),
            "least_cases": LEAST_CASES,
            "open_proposals": open_proposals(),
            "events": _events(),
        },
    )
