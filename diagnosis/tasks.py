"""Celery tasks: thin. A task claims its job, does it, and hands the end to ``diagnosis.actions``."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

import structlog
from celery import Task, current_app
from celery.exceptions import SoftTimeLimitExceeded

from diagnosis import actions, inference, report, report_context
from diagnosis.models import Analysis, Report
from ml.contract import ModelError
from portal import jobs
from portal.jobs import Claim, LeasedJob

log = structlog.get_logger(__name__)

FailureWriter = Callable[..., bool]


def job_task(job_type: type[LeasedJob], *, fail: FailureWriter, failure_message: str) -> Callable[..., Task]:
    """Make a Celery task of a function that works on a claim.

    State before: QUEUED, or RUNNING with an expired lease; otherwise the task does nothing, so it may be delivered any
    number of times. State after: whatever the function wrote, or FAILED with ``failure_message`` when it raised.
    """

    def decorate(work: Callable[[Claim], None]) -> Task:
        @current_app.task(name=job_type.task_name, bind=True)
        @functools.wraps(work)
        def run(self: Task, pk: str) -> None:
            claim = jobs.claim(job_type, pk)
            if claim is None:
                log.info("job.not_ours", job=job_type.__name__, pk=pk)
                return
            try:
                with claim.heartbeat():
                    work(claim)
            except SoftTimeLimitExceeded:
                fail(claim=claim, code="too_slow", message=failure_message, detail="The soft time limit was reached.")
            except Exception:  # noqa: BLE001  whatever it was, the job must end in a state that a person can read
                log.exception("job.failed", job=job_type.__name__, pk=pk)
                fail(claim=claim, code="internal_error", message=failure_message, detail=traceback.format_exc())

        return run

    return decorate


@job_task(
    Analysis,
    fail=actions.fail_analysis,
    failure_message="The analysis stopped because of a fault on our side. The image is stored. Try again; "
    "if it fails again, tell IT.",
)
def analyse(claim: Claim) -> None:
    """RUNNING -> SUCCEEDED, REJECTED or FAILED."""
    analysis = Analysis.objects.select_related("image__study").get(pk=claim.pk)
    claim.extend(stage="analysing the image")
    image = analysis.image
    try:
        result = inference.analyse(
            image.file,
            modality=image.study.modality,
            row_spacing_mm=image.row_spacing_mm,
            column_spacing_mm=image.column_spacing_mm,
        )
    except inference.NoModelForModality as missing:
        actions.reject_analysis(claim=claim, code=actions.NO_MODEL, reason=str(missing))
        return
    except ModelError as error:
        actions.fail_analysis(
            claim=claim,
            code=error.code,
            message="The model could not be used, so no score was made. The image is stored. "
            "Tell IT; when the model is repaired, press retry.",
            detail=f"{error} {error.remedy}",
        )
        return
    actions.record_outcome(
        claim=claim,
        outcome=result.outcome,
        explanation=result.explanation,
        lesion=result.lesion,
        prevalence=result.prevalence,
        own_probabilities=result.own_probabilities,
    )


@job_task(
    Report,
    fail=actions.fail_report,
    failure_message="The report could not be made because of a fault on our side. The result is stored; "
    "ask for the report again.",
)
def render_report(claim: Claim) -> None:
    """RUNNING -> SUCCEEDED or FAILED."""
    row = Report.objects.select_related("analysis__image__study__patient", "analysis__image__uploaded_by").get(
        pk=claim.pk
    )
    claim.extend(stage="rendering the report")
    rendered = report.render(report_context.of(row))
    actions.record_report(claim=claim, pdf=rendered.pdf, sha256=rendered.sha256, page_count=rendered.pages)


jobs.register(Analysis, on_abandoned=actions.abandon_analysis)
jobs.register(Report, on_abandoned=actions.abandon_report)


def work_now(task: Any, pk: Any) -> None:
    """Do a job in this process, without a broker (tests, and commands that must not wait)."""
    task.run(str(pk))
