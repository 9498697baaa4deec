"""The PDF that a patient gets of a released report: letter, conclusion and image, nothing that a model said.

It is made while it is asked for and stored nowhere: what it says is in the database, the same release gives the same
bytes, and an erased record leaves no copy behind. It takes a tenth of a second.
"""

from __future__ import annotations

import structlog
from django.http import Http404, HttpRequest, HttpResponseBase

from diagnosis import report_context
from diagnosis.models import Report
from diagnosis.report import RenderedReport, ReportError, render
from diagnosis.stored_files import send_made

log = structlog.get_logger(__name__)


def made(report: Report) -> RenderedReport:
    """Return the patient's copy of a released report; it wants ``analysis__image__study__patient``.

    Raises:
        FileNotFoundError: when the stored image is gone.
        ReportError: when it cannot be set.
    """
    return render(report_context.of_patient(report))


def send(request: HttpRequest, report: Report, *, attachment: bool = False) -> HttpResponseBase:
    """Send the patient's copy.

    Raises:
        Http404: when the report is not released, or its image is gone from the storage.
    """
    if not report.is_released:
        raise Http404("The report is not released.")
    try:
        copy = made(report)
    except FileNotFoundError as missing:
        log.error("file.missing", name=report.analysis.image.file.name)
        raise Http404("The image is missing from the storage. Tell IT.") from missing
    except ReportError as refusal:
        log.error("patient_copy.not_made", report=str(report.pk), place=getattr(refusal, "__notes__", []))
        raise Http404("The report cannot be made at the moment. Please ask the clinic for it.") from refusal
    return send_made(
        request,
        copy.pdf,
        sha256=copy.sha256,
        content_type="application/pdf",
        filename=f"report-{report.verification_code}-v{report.version}.pdf",
        attachment=attachment,
    )
