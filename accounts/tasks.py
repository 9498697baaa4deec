"""Celery tasks about people: thin, see ``portal.job_task``."""

from __future__ import annotations

from datetime import timedelta

from accounts import actions, mailing, queue_watch
from accounts.ledger import anchors
from accounts.models import OutgoingMail
from portal import jobs, rounds
from portal.job_task import job_task
from portal.jobs import Claim


@job_task(OutgoingMail, fail=actions.fail_mail, failure_message="The e-mail could not be sent.")
def send_mail(claim: Claim) -> None:
    """RUNNING -> SUCCEEDED, FAILED, or QUEUED again when the mail server does not take it now."""
    mail = OutgoingMail.objects.get(pk=claim.pk)
    if actions.is_stale(mail):
        actions.give_up_mail(claim=claim, detail="No worker had it in time, or it was tried again too late.")
        return
    claim.extend(stage="talking to the mail server")
    try:
        mailing.hand_over(mail)
    except mailing.Refused as refused:
        actions.fail_mail(claim=claim, code=refused.code, message=str(refused), detail=refused.detail)
    except mailing.TryLater as later:
        actions.postpone_mail(claim=claim, code=later.code, message=str(later), detail=later.detail)
    else:
        actions.record_sent(claim=claim)


jobs.register(OutgoingMail, on_abandoned=actions.abandon_mail)
rounds.register("queue trouble", actions.look_for_trouble, every=queue_watch.EVERY)
rounds.register("old notifications", actions.forget_old_notices, every=timedelta(hours=1))
rounds.register("ledger.anchor", anchors.anchor, every=timedelta(minutes=1))
