"""The PDF that a patient gets of a released report: letter, conclusion and image, nothing that a model said; and who
gets which of the two.

It is made while it is asked for and stored nowhere: what it says is in the database, the same release gives the same
bytes, and an erased record leaves no copy behind.
"""

from __future__ import annotations

import structlog
from django.http import Http404, HttpRequest, HttpResponseBase

from accounts.http import SignedInRequest
from accounts.roles import Role
from diagnosis import report_context, stored_files
from diagnosis.models import Report
from diagnosis.report import RenderedReport, ReportError, render

log = structlog.get_logger(__name__)


def made(report: Report) -> RenderedReport:
    """Return the patient's copy of a released report; it wants ``analysis__image__study__patient``.

    Raises:
        FileNotFoundError: when the stored image is gone.
        ReportError: when it cannot be set.
    """
    return render(report_context.of_patient(report))


def _send_copy(request: HttpRequest, report: Report, *, attachment: bool) -> HttpResponseBase:
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
    return stored_files.send_made(
        request,
        copy.pdf,
        sha256=copy.sha256,
        content_type="application/pdf",
        filename=_filename(report),
        attachment=attachment,
    )


def _filename(report: Report) -> str:
    return f"report-{report.verification_code}-v{report.version}.pdf"


def send_report(
    request: SignedInRequest, report: Report, *, copy: bool = False, attachment: bool = False
) -> HttpResponseBase:
    """Send a report that ``request.user`` may see: patients their copy and nothing else, staff the stored version.

    Args:
        report: wants ``analysis__image__study__patient``, ``analysis__image__uploaded_by`` and ``assessment__reader``.
        copy: the patient's copy for staff, too.

    Raises:
        Http404: the copy of a report that is not released, or a file that is gone from the storage.
    """
    if copy or request.user.role == Role.PATIENT:
        return _send_copy(request, report, attachment=attachment)
    return stored_files.send(
        request,
        report.file,
        sha256=report.sha256,
        content_type="application/pdf",
        filename=_filename(report),
        attachment=attachment,
    )
