"""The edges of an e-mail job."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import OutgoingMail, User
from accounts.permissions import require
from portal import jobs
from portal.jobs import Claim, State


def enqueue_mail(*, kind: str, recipient: str, subject: str, body: str, user: User | None = None) -> OutgoingMail:
    """Have the worker send an e-mail, after the transaction of what it is about has committed.

    Args:
        kind: key of ``accounts.notifications.KINDS``, or ``account`` for what allauth sends.
        recipient: one address.
        user: whose mail it is, where it is somebody's.
    """
    row = OutgoingMail(kind=kind, recipient=recipient, subject=" ".join(subject.split())[:200], body=body, user=user)
    row.save(force_insert=True)
    jobs.publish(row)
    return row


@transaction.atomic
def record_sent(*, claim: Claim) -> bool:
    """``RUNNING -> SUCCEEDED``: the mail server has it, so the text is dropped."""
    if not claim.finish(state=State.SUCCEEDED, sent_at=timezone.now(), body=""):
        return False
    row = OutgoingMail.objects.get(pk=claim.pk)
    audit.record("mail.sent", actor=None, target=row, kind=row.kind)
    return True


@transaction.atomic
def fail_mail(*, claim: Claim, code: str, message: str, detail: str) -> bool:
    """``RUNNING -> FAILED``."""
    if not claim.finish(state=State.FAILED, error_code=code, error_message=message, error_detail=detail[:10_000]):
        return False
    audit.record("mail.failed", actor=None, target=OutgoingMail.objects.get(pk=claim.pk), code=code)
    return True


@transaction.atomic
def abandon_mail(pk: Any) -> bool:
    """``RUNNING -> FAILED`` for a mail whose worker was lost on its last attempt."""
    failed = jobs.abandon(
        OutgoingMail,
        pk,
        error_code="worker_lost",
        error_message="The e-mail could not be sent.",
        error_detail="The lease ran out on the last attempt: the worker was killed or hung.",
    )
    if failed:
        audit.record("mail.failed", actor=None, target=OutgoingMail.objects.get(pk=pk), code="worker_lost")
    return failed


@transaction.atomic
def retry_mail(*, acting_user: User, row: OutgoingMail) -> bool:
    """``FAILED -> QUEUED``."""
    require(acting_user, "mail", "retry")
    if not jobs.requeue(OutgoingMail, row.pk, from_states=(State.FAILED, State.CANCELLED)):
        return False
    row.refresh_from_db()
    audit.record("mail.retried", actor=acting_user, target=row)
    jobs.publish(row)
    return True
