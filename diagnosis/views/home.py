"""The first page after sign-in: what waits for this person, by role."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Prefetch
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest
from accounts.models import OutgoingMail, User
from accounts.permissions import needs
from accounts.roles import Role
from diagnosis import inference
from diagnosis.models import Analysis, Image, ModelVersion, Report, SecondOpinion, Study
from diagnosis.study_summary import summarise
from diagnosis.views import own_record
from diagnosis.views.dashboard import dashboard
from ml.contract import ModelError
from portal.jobs import UNFINISHED, State

RECENT_STUDIES = 12
LISTED_JOBS = 8
FAILURES_SINCE = timedelta(days=7)


def _radiologist(user: User) -> dict[str, Any]:
    images = Image.objects.select_related("analysis").order_by("created_at")
    studies = Study.objects.visible_to(user).select_related("patient").prefetch_related(Prefetch("images", images))
    analyses = Analysis.objects.visible_to(user).select_related("image__study__patient")
    unfinished = analyses.filter(state__in=UNFINISHED).order_by("queued_at")
    failed = analyses.to_try_again()
    summaries = [summarise(study) for study in studies[:RECENT_STUDIES]]
    asked = (
        SecondOpinion.objects.filter(
            asked_of=user, answered_at=None, withdrawn_at=None, analysis__in=analyses.order_by().values("pk")
        )
        .select_related("asked_by", "analysis__image__study__patient")
        .order_by("asked_at")
    )
    counts = (unfinished.count(), failed.count(), asked.count())
    told = [*(f"{summary.study.pk}:{summary.version}" for summary in summaries), *map(str, counts)]
    return {
        "summaries": summaries,
        "unfinished": unfinished[:LISTED_JOBS],
        "unfinished_count": counts[0],
        "failed": failed[:LISTED_JOBS],
        "failed_count": counts[1],
        "asked": asked[:LISTED_JOBS],
        "asked_count": counts[2],
        "version_seen": hashlib.sha256(";".join(told).encode()).hexdigest()[:16],
    }


def _it_staff(user: User) -> dict[str, Any]:
    """Figures of the machine room. No row of it names a patient."""
    now = timezone.now()
    jobs: list[dict[str, Any]] = []
    for words, rows in (
        ("Analyses", Analysis.objects),
        ("Reports", Report.objects),
        ("E-mails", OutgoingMail.objects),
    ):
        waiting = rows.filter(state=State.QUEUED).order_by("queued_at")
        oldest = waiting.values_list("queued_at", flat=True).first()
        jobs.append(
            {
                "words": words,
                "queued": waiting.count(),
                "running": rows.filter(state=State.RUNNING).count(),
                "oldest": now - oldest if oldest else None,
                "failed": rows.filter(state=State.FAILED, finished_at__gte=now - FAILURES_SINCE).count(),
            }
        )
    failures = Analysis.objects.to_try_again().order_by("-finished_at")
    return {
        "jobs": jobs,
        "models": [(row, _altered(row)) for row in ModelVersion.objects.filter(active=True)],
        "failures": failures.only("pk", "error_code", "error_message", "error_detail", "finished_at", "attempts")[
            :LISTED_JOBS
        ],
        "failure_days": FAILURES_SINCE.days,
        "mails": OutgoingMail.objects.unsent()[:LISTED_JOBS],
    }


def _altered(model: ModelVersion) -> list[str]:
    """What is wrong with the files of an artefact, in sentences; empty when all match."""
    try:
        return inference.altered_files(model.name, model.version, sha256=model.sha256)
    except ModelError as error:
        return [f"{error} {error.remedy}".strip()]


BOARDS: dict[str, tuple[str, Callable[[User], dict[str, Any]]]] = {
    Role.RADIOLOGIST: ("diagnosis/home_radiologist.html", _radiologist),
    Role.IT_STAFF: ("diagnosis/home_it_staff.html", _it_staff),
}


@needs("home", "view")
@require_safe
def home(request: SignedInRequest) -> HttpResponseBase:
    """The board of the person's role; an administrator's is the dashboard.

    204 when nothing changed since ``?seen=``, so that a link keeps its focus.
    """
    if request.user.role == Role.PATIENT:
        return own_record.home(request)
    if request.user.role == Role.ADMINISTRATOR:
        return dashboard(request)
    template, collect = BOARDS[request.user.role]
    context = collect(request.user)
    if "seen" in request.GET and request.GET["seen"] == context.get("version_seen"):
        return HttpResponse(status=204)
    return render(request, template, context)
