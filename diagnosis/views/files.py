"""Stored images, maps and reports, each behind the permission table and noted in the ledger."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from accounts import audit
from accounts.http import SignedInRequest
from accounts.permissions import needs
from diagnosis import patient_copy
from diagnosis.models import Analysis, Image, Report
from diagnosis.stored_files import send, send_thumbnail


@needs("image", "view")
@require_safe
def image(request: SignedInRequest, pk: Any) -> HttpResponseBase:
    """The stored pixels, as PNG."""
    row = get_object_or_404(Image.objects.visible_to(request.user).select_related("study__patient"), pk=pk)
    response = send(
        request, row.file, sha256=row.pixels_sha256, content_type="image/png", filename=f"image-{row.pk}.png"
    )
    audit.record("image.viewed", actor=request.user, target=row, patient=row.study.patient)
    return response


@needs("image", "view")
@require_safe
def thumbnail(request: SignedInRequest, pk: Any) -> HttpResponseBase:
    """A small picture for lists. On a page of the same record it is part of that viewing."""
    row = get_object_or_404(Image.objects.visible_to(request.user).select_related("study__patient"), pk=pk)
    response = send_thumbnail(request, row.file, sha256=row.pixels_sha256)
    audit.record_viewing(
        "image.viewed",
        actor=request.user,
        target=row,
        patient=row.study.patient,
        part_of_record=True,
        thumbnail=True,
    )
    return response


@needs("analysis", "view")
@require_safe
def explanation(request: SignedInRequest, pk: Any) -> HttpResponseBase:
    """The see-through layer that shows where the model looked."""
    row = get_object_or_404(Analysis.objects.visible_to(request.user).select_related("patient"), pk=pk)
    if not row.explanation:
        raise Http404("This analysis has no map: it has no result.")
    response = send(
        request,
        row.explanation,
        sha256=row.explanation_sha256,
        content_type="image/png",
        filename=f"explanation-{row.pk}.png",
    )
    audit.record_viewing("analysis.map_viewed", actor=request.user, target=row, patient=row.patient)
    return response


@needs("report", "view")
@require_safe
def report(request: SignedInRequest, pk: Any) -> HttpResponseBase:
    """A stored version of a report; ``?download=1`` saves it, ``?copy=patient`` is what the patient gets, who gets
    nothing else. The file's name says nothing about the patient."""
    visible = Report.objects.visible_to(request.user).select_related(
        "analysis__image__study__patient", "analysis__image__uploaded_by", "assessment__reader"
    )
    row = get_object_or_404(visible, pk=pk)
    if not row.is_ready:
        raise Http404("The report is not ready.")
    response = patient_copy.send_report(
        request, row, copy=request.GET.get("copy") == "patient", attachment=request.GET.get("download") == "1"
    )
    audit.record(
        "report.downloaded",
        actor=request.user,
        target=row,
        patient=row.analysis.image.study.patient,
        version=row.version,
    )
    return response
