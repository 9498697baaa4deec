"""What IT does to background work, whatever kind it is: try it again, or stop it. They see no patient in it."""

from __future__ import annotations

from django.db import transaction

from accounts import audit
from accounts.models import Patient, User
from accounts.permissions import require
from diagnosis.actions.analyses import cancel_analysis, retry_analysis
from diagnosis.actions.steps import WrongState, patient_of
from diagnosis.models import Analysis, DeidentifiedExport, Report, ShadowReading
from portal import jobs
from portal.jobs import State

Job = Analysis | Report | ShadowReading | DeidentifiedExport
LEDGER_NAMES: dict[type[Job], str] = {
    Report: "report",
    ShadowReading: "shadow_reading",
    DeidentifiedExport: "export",
}


@transaction.atomic
def retry_job(*, acting_user: User, job: Job) -> None:
    """``FAILED | CANCELLED -> QUEUED``.

    Raises:
        WrongState: in any other state, or where doing it now would make something else than was asked for then.
    """
    require(acting_user, "job", "retry")
    if isinstance(job, Analysis):
        retry_analysis(acting_user=acting_user, analysis=job)
        return
    _refuse_outdated(job)
    if not jobs.requeue(type(job), job.pk, from_states=(State.FAILED, State.CANCELLED)):
        raise WrongState("Only what has failed or was cancelled can be tried again.")
    audit.record(f"{LEDGER_NAMES[type(job)]}.retried", actor=acting_user, target=job, patient=_patient(job))
    jobs.publish(job)


@transaction.atomic
def cancel_job(*, acting_user: User, job: Job) -> None:
    """``QUEUED | RUNNING -> CANCELLED``. A worker that holds it loses its token and writes nothing.

    Raises:
        WrongState: when it has ended already.
    """
    require(acting_user, "job", "cancel")
    if isinstance(job, Analysis):
        cancel_analysis(acting_user=acting_user, analysis=job)
        return
    if not jobs.cancel(type(job), job.pk):
        raise WrongState("It has ended already; there is nothing to cancel.")
    audit.record(f"{LEDGER_NAMES[type(job)]}.cancelled", actor=acting_user, target=job, patient=_patient(job))


def _refuse_outdated(job: Job) -> None:
    """Raise ``WrongState`` for work that something newer has overtaken; holds the row, so that it stays as read."""
    if isinstance(job, DeidentifiedExport):
        kept = DeidentifiedExport.objects.select_for_update(of=("self",)).get(pk=job.pk)
        # Without the salt the pseudonyms could be guessed; it is dropped when a package is taken back or expires.
        if not kept.salt or kept.expires_at is not None:
            raise WrongState("This package was taken back or has expired. Have it asked for again.")
    if isinstance(job, Report):
        Analysis.objects.select_for_update(no_key=True, of=("self",)).get(pk=job.analysis_id)
        if Report.objects.filter(analysis=job.analysis_id, version__gt=job.version).exists():
            raise WrongState("A newer version of this report was asked for since. Try that one.")


def _patient(job: Job) -> Patient | None:
    if isinstance(job, Report | ShadowReading):
        return patient_of(job.analysis)
    return None
