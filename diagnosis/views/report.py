"""Making a report again, and telling anyone whether a printed one is genuine."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.http import SignedInRequest
from accounts.permissions import needs
from diagnosis import actions
from diagnosis.models import Analysis, Report


@needs("report", "reissue")
@require_POST
def reissue(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Ask for the next version of a report."""
    analysis = get_object_or_404(Analysis.objects.visible_to(request.user), pk=pk)
    try:
        actions.reissue_report(acting_user=request.user, analysis=analysis)
    except actions.WrongState as wrong:
        messages.warning(request, str(wrong))
    else:
        messages.info(request, "The report is being made; it appears here in a moment.")
    return redirect("analysis-detail", pk=pk)


@login_not_required
@require_safe
def verify(request: HttpRequest, code: str) -> HttpResponse:
    """Is this paper genuine and current? Nothing of the patient or the result is said (contract, "URLs")."""
    report = Report.objects.filter(verification_code=code).exclude(file="").first()
    newest = None
    if report is not None:
        newest = report.analysis.reports.exclude(file="").order_by("-version").values_list("version", flat=True).first()
    return render(
        request,
        "diagnosis/verify.html",
        {
            "report": report,
            "code": code,
            "superseded": report is not None
            and (report.status == Report.Status.SUPERSEDED or newest != report.version),
        },
        status=200 if report is not None else 404,
    )
