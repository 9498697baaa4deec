"""The edges of a report."""

from __future__ import annotations

from typing import Any

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Max, QuerySet

from accounts import audit
from accounts.models import User
from accounts.permissions import require
from diagnosis import notices
from diagnosis.actions.steps import WrongState, no_file_left_on_error, patient_of
from diagnosis.models import Analysis, Report
from portal import jobs
from portal.jobs import Claim, State


def enqueue_report(*, analysis: Analysis, requested_by: User | None) -> Report:
    """Have the next version made: FINAL where a radiologist has concluded, PRELIMINARY before that."""
    newest = analysis.reports.aggregate(newest=Max("version"))["newest"] or 0
    conclusion = analysis.own_conclusions().first()
    report = Report(
        analysis=analysis,
        version=newest + 1,
        requested_by=requested_by,
        assessment=conclusion,
        status=Report.Status.FINAL if conclusion else Report.Status.PRELIMINARY,
    )
    report.save(force_insert=True)
    jobs.publish(report)
    return report


@transaction.atomic
def reissue_report(*, acting_user: User, analysis: Analysis) -> Report:
    """Render the next version, after a correction of the record or a failure; the older ones become SUPERSEDED."""
    require(acting_user, "report", "reissue")
    # Two people may ask at the same moment; the second waits and then sees the first one's report.
    analysis = Analysis.objects.select_for_update(no_key=True).get(pk=analysis.pk)
    if analysis.state != State.SUCCEEDED and not analysis.own_conclusions().exists():
        raise WrongState("Only an image with a result or with a radiologist's conclusion has a report.")
    if analysis.reports.filter(state__in=jobs.UNFINISHED).exists():
        raise WrongState("A report is being made already; it will be here in a moment.")
    report = enqueue_report(analysis=analysis, requested_by=acting_user)
    audit.record(
        "report.requested", actor=acting_user, target=report, patient=patient_of(analysis), version=report.version
    )
    return report


@transaction.atomic
def record_report(*, claim: Claim, pdf: bytes, sha256: str, page_count: int) -> bool:
    """``RUNNING -> SUCCEEDED``: store the file; older versions of the same analysis become SUPERSEDED.

    A version that says the same conclusion anew (a corrected name) is released where the one before it was. A version
    that was overtaken while it was being made is SUPERSEDED at once.
    """
    # Before the versions themselves: who concludes meanwhile holds the analysis, then writes to them too.
    Analysis.objects.select_for_update(no_key=True, of=("self",)).filter(reports=claim.pk).first()
    report = Report.objects.select_related("analysis__image__study__patient").get(pk=claim.pk)
    with no_file_left_on_error() as written:
        report.file.save(f"v{report.version}-{claim.token.hex[:12]}.pdf", ContentFile(pdf), save=False)
        written.append(report.file)
        finished = claim.finish(
            state=State.SUCCEEDED, file=report.file.name, sha256=sha256, byte_size=len(pdf), page_count=page_count
        )
        if not finished:
            report.file.delete(save=False)
            return False
        older = report.analysis.reports.filter(version__lt=report.version)
        _carry_release_over(report, older)
        older.update(status=Report.Status.SUPERSEDED)
        if report.analysis.reports.filter(version__gt=report.version, state=State.SUCCEEDED).exists():
            Report.objects.filter(pk=report.pk).update(status=Report.Status.SUPERSEDED)
        audit.record(
            "report.stored",
            actor=None,
            target=report,
            patient=patient_of(report.analysis),
            version=report.version,
            sha256=sha256,
        )
    return True


def _carry_release_over(report: Report, older: QuerySet[Report]) -> None:
    # Held: somebody may be taking it back at this moment.
    held = older.select_for_update(no_key=True, of=("self",))
    before = held.filter(status=Report.Status.FINAL, released_at__isnull=False).order_by("-version").first()
    if before is None or not before.is_released or before.assessment_id != report.assessment_id:
        return
    Report.objects.filter(pk=report.pk).update(
        letter=before.letter, released_at=before.released_at, released_by=before.released_by
    )


@transaction.atomic
def fail_report(*, claim: Claim, code: str, message: str, detail: str) -> bool:
    """``RUNNING -> FAILED``."""
    if not claim.finish(state=State.FAILED, error_code=code, error_message=message, error_detail=detail[:10_000]):
        return False
    _note_report_failure(claim.pk, code=code)
    return True


@transaction.atomic
def abandon_report(pk: Any) -> bool:
    """``RUNNING -> FAILED`` for a report whose worker was lost on its last attempt."""
    failed = jobs.abandon(
        Report,
        pk,
        error_code="worker_lost",
        error_message="The report could not be made. The result is stored; ask for the report again.",
        error_detail="The lease ran out on the last attempt: the worker was killed or hung.",
    )
    if failed:
        _note_report_failure(pk, code="worker_lost")
    return failed


def _note_report_failure(pk: Any, *, code: str) -> None:
    report = Report.objects.select_related("analysis__image__study__patient").get(pk=pk)
    notices.report_failed(report)
    audit.record("report.failed", actor=None, target=report, patient=patient_of(report.analysis), code=code)
