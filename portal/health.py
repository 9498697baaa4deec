"""``/healthz``: the process is alive. ``/readyz``: database, queue, storage, model and worker are ready.

``/operations/parts/``: the same for people, with what is wrong and what to do.
"""

from __future__ import annotations

import structlog
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.permissions import needs
from portal import readiness

log = structlog.get_logger(__name__)


@login_not_required
@require_safe
def alive(request: HttpRequest) -> JsonResponse:
    """200 as long as this process answers; asks nothing of anything else."""
    return JsonResponse({"status": "alive"})


@login_not_required
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when every part is ready, else 503; says which part, and nothing about the site."""
    parts = readiness.parts()
    for part in parts:
        if not part.ready:
            log.warning("ready.not_ready", part=part.name, problem=part.problem)
    is_ready = all(part.ready for part in parts)
    return JsonResponse(
        {"status": "ready" if is_ready else "not ready", "checks": {part.name: part.word for part in parts}},
        status=200 if is_ready else 503,
    )


@needs("operations", "view")
@require_safe
def parts(request: HttpRequest) -> HttpResponse:
    """The part of the first page of IT staff that says whether the site works; names no patient."""
    return render(request, "portal/parts.html", {"parts": readiness.parts()})
