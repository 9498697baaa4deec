"""A patient's own pages: released reports with their letters, who looked at the record, the archive to take along."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts import audit
from accounts.http import SignedInRequest
from accounts.models import Appointment, Message, Patient
from accounts.own_record import with_own_record
from accounts.permissions import needs
from accounts.reconfirm import reconfirmed
from diagnosis import own_export, own_words
from diagnosis.models import Report
from diagnosis.querysets import ReportQuerySet

MOST_LOOKS = 1_000
"""Rows of the ledger that the page puts together; the archive has them all."""


def _own_reports(request: SignedInRequest) -> ReportQuerySet:
    visible = Report.objects.visible_to(request.user).select_related(
        "analysis__image__study__patient", "analysis__image__uploaded_by", "assessment__reader"
    )
    return visible.order_by("-released_at", "-pk")


def _listed(report: Report) -> dict[str, Any]:
    return {"report": report, "words": own_words.examination(report), "examined_on": own_words.examined_on(report)}


@with_own_record()
def home(request: SignedInRequest, *, patient: Patient) -> HttpResponse:
    """What is there for this patient. ``diagnosis.views.home`` has asked the table."""
    audit.record_viewing("own_record.viewed", actor=request.user, target=patient, patient=patient)
    context = {
        "patient": patient,
        "reports": [_listed(report) for report in _own_reports(request)],
        "taken_back": [_listed(report) for report in _taken_back(request)],
        "next_appointment": Appointment.objects.filter(
            patient=patient, cancelled_at=None, at__gt=timezone.now()
        ).first(),
        "unread": Message.objects.filter(patient=patient, from_patient=False, read_at=None).count(),
    }
    return render(request, "diagnosis/home_patient.html", context)


def _taken_back(request: SignedInRequest) -> ReportQuerySet:
    return Report.objects.taken_back_from(request.user).select_related("analysis__image__study")


@needs("own_record", "view")
@require_safe
@with_own_record()
def own_report(request: SignedInRequest, *, patient: Patient, pk: Any) -> HttpResponse:
    """One released report: the letter, the picture, the PDF. One that was taken back says so; one that was made again
    leads to the new version; others do not exist."""
    gone = _taken_back(request).filter(pk=pk).first()
    if gone is not None:
        return render(request, "diagnosis/own_report_gone.html", _listed(gone), status=410)
    current = Report.objects.filter(pk=pk, released_at__isnull=False).values("analysis")
    report = get_object_or_404(_own_reports(request), analysis__in=current)
    if report.pk != pk:
        return redirect("own-report", pk=report.pk)
    audit.record_viewing("report.viewed", actor=request.user, target=report, patient=patient)
    context = {**_listed(report), "patient": patient, "image": report.analysis.image}
    return render(request, "diagnosis/own_report.html", context)


@needs("own_record", "view")
@require_safe
@with_own_record()
def own_accesses(request: SignedInRequest, *, patient: Patient) -> HttpResponse:
    """Who looked at the record, newest first; looks of one day, person and kind are put together."""
    looks = own_words.looks_at(patient, reader=request.user, most=MOST_LOOKS)
    return render(request, "diagnosis/own_accesses.html", {"patient": patient, "looks": looks})


@needs("own_record", "export")
@require_POST
@reconfirmed
@with_own_record(consented=False)
def own_export_file(request: SignedInRequest, *, patient: Patient) -> HttpResponseBase:
    """The archive of all own data, made while it is sent."""
    audit.record("own_record.exported", actor=request.user, target=patient, patient=patient)
    pieces = own_export.archive(patient=patient, reader=request.user, reports=_own_reports(request))
    response = StreamingHttpResponse(pieces, content_type="application/zip")
    day = timezone.localdate().isoformat()
    response["Content-Disposition"] = f'attachment; filename="my-record-{day}.zip"'
    response["Cache-Control"] = "no-store, private"
    response["X-Content-Type-Options"] = "nosniff"
    return response
