"""Who is told what about an analysis. Called by the verbs, in the transaction of what it tells.

A person who adds forty images to a study is told in one line how many are ready, not forty times. No line names a
patient or says what a result is: a study is named by the first eight digits of its own identifier.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from accounts.actions import notify
from accounts.models import User
from accounts.roles import Role
from diagnosis.models import Analysis, Report, Study
from portal.jobs import State

SUSPICIOUS_FROM = 7
"""Step of suspicion from which a result is told as one that needs a look soon: "high" and "very high" in
``diagnosis.wording.SUSPICION_WORDS``, a calibrated probability of malignancy of 50 % and more
(``ml.calibrate.SUSPICION_CUTS``), the bound between BI-RADS 4B and 4C (ACR BI-RADS Atlas, 5th edition). By the table in
docs/models.md it holds 76 % of the cancers and 7 % of the benign images of BUS-BRA, out of fold."""
_SUSPICIOUS = Q(suspicion__gte=SUSPICIOUS_FROM) & ~Q(model_status="research")


def result_ready(analysis: Analysis) -> None:
    """Tell who added the image. What a research model says never makes anything urgent."""
    analysis.refresh_from_db(fields=["suspicion", "model_status"])
    study, person = analysis.image.study, analysis.image.uploaded_by
    if person is None:
        return
    urgent = analysis.may_order_worklist and (analysis.suspicion or 0) >= SUSPICIOUS_FROM

    def line(user: User, since: datetime | None) -> str:
        ended = _ended(study, user, State.SUCCEEDED, since)
        if urgent:
            return _counted(ended.filter(_SUSPICIOUS), study, "A result needs", "{} results need", "a look soon")
        return _counted(ended.exclude(_SUSPICIOUS), study, "A result is", "{} results are", "ready")

    notify("suspicious_result" if urgent else "result_ready", users=[person], text=line, path=_page(study))


def refused(analysis: Analysis) -> None:
    """Tell who added the image that the pipeline declined it; the page says why."""
    study, person = analysis.image.study, analysis.image.uploaded_by
    if person is None:
        return

    def line(user: User, since: datetime | None) -> str:
        ended = _ended(study, user, State.REJECTED, since)
        return _counted(ended, study, "An image", "{} images", "could not be judged; the page says why")

    notify("analysis_refused", users=[person], text=line, path=_page(study))


def failed(analysis: Analysis) -> None:
    """Tell who added the image, and IT staff."""
    study, person = analysis.image.study, analysis.image.uploaded_by

    def line(user: User, since: datetime | None) -> str:
        ended = _ended(study, user, State.FAILED, since)
        return _counted(ended, study, "An analysis", "{} analyses", "failed; the images are stored and can be retried")

    if person is not None:
        notify("analysis_failed", users=[person], text=line, path=_page(study))
    _tell_it_staff()


def report_failed(report: Report) -> None:
    """Tell who asked for the report, else who added the image, and IT staff."""
    analysis = report.analysis
    person = report.requested_by or analysis.image.uploaded_by
    if person is not None:
        notify(
            "analysis_failed",
            users=[person],
            text=f"A report could not be made; the result is stored (study {analysis.image.study.short_id}).",
            path=reverse("analysis-detail", args=[analysis.pk]),
        )
    _tell_it_staff()


def _tell_it_staff() -> None:
    """One line however many fail: a broken model fails everything that comes in."""

    def line(user: User, since: datetime | None) -> str:
        analyses = _since(Analysis.objects.filter(state=State.FAILED), since).count()
        reports = _since(Report.objects.filter(state=State.FAILED), since).count()
        counted = [(analyses, "analysis", "analyses"), (reports, "report", "reports")]
        words = " and ".join(f"{number} {one if number == 1 else more}" for number, one, more in counted if number)
        return f"{words} failed. The first page of operations says why."

    notify(
        "analysis_failed",
        users=User.objects.filter(role=Role.IT_STAFF, is_active=True),
        text=line,
        path=reverse("home"),
    )


def _ended(study: Study, user: User, state: State, since: datetime | None) -> QuerySet[Analysis]:
    """Analyses of the images that this person added to the study, in this state, that they have not read about."""
    return _since(Analysis.objects.filter(image__study=study, image__uploaded_by=user, state=state), since)


def _since(rows: QuerySet[Any], since: datetime | None) -> QuerySet[Any]:
    return rows if since is None else rows.filter(finished_at__gt=since)


def _counted(rows: QuerySet[Analysis], study: Study, one: str, more: str, rest: str) -> str:
    number = rows.count()
    return f"{one if number <= 1 else more.format(number)} {rest} (study {study.short_id})."


def _page(study: Study) -> str:
    return reverse("study-detail", args=[study.pk])
