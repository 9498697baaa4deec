"""Celery tasks about people: thin, see ``portal.job_task``."""

from __future__ import annotations

from django.core.mail import EmailMessage

from accounts import actions
from accounts.models import OutgoingMail
from portal import jobs
from portal.job_task import job_task
from portal.jobs import Claim


@job_task(OutgoingMail, fail=actions.fail_mail, failure_message="The e-mail could not be sent.")
def send_mail(claim: Claim) -> None:
    """RUNNING -> SUCCEEDED or FAILED."""
    row = OutgoingMail.objects.get(pk=claim.pk)
    claim.extend(stage="talking to the mail server")
    EmailMessage(subject=row.subject, body=row.body, to=[row.recipient]).send()
    actions.record_sent(claim=claim)


jobs.register(OutgoingMail, on_abandoned=actions.abandon_mail)
