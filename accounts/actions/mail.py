"""The edges of an e-mail job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.mailing import GIVE_UP_AFTER, next_try
from accounts.models import OutgoingMail, User
from accounts.permissions import require
from accounts.plain_text import is_one_line
from portal import jobs
from portal.jobs import Claim, State

log = structlog.get_logger(__name__)

FORGET_BATCH = 1_000


class UnusableMail(ValueError):
    """The recipient is no address, or a header would hold more than one line. Nothing was queued."""


class TextExpired(Exception):
    """The text of the mail is gone, so it cannot be sent again; the message is for the person who asked."""


def enqueue_mail(*, kind: str, recipient: str, subject: str, body: str, user: User | None = None) -> OutgoingMail:
    """Have the worker send an e-mail, after the transaction of what it is about has committed.

    Args:
        kind: key of ``accounts.notifications.KINDS``, or ``account`` for what allauth sends.
        recipient: one address.
        subject: one line.
        user: whose mail it is, where it is somebody's.

    Raises:
        UnusableMail: a header could be smuggled in, or the address is none.
    """
    if not is_one_line(recipient) or not is_one_line(subject):
        raise UnusableMail("The address or the subject of an e-mail has more than one line.")
    try:
        validate_email(recipient)
    except ValidationError as refusal:
        raise UnusableMail("The recipient of an e-mail is not an address.") from refusal
    row = OutgoingMail(kind=kind, recipient=recipient, subject=subject.strip()[:200], body=body, user=user)
    row.save(force_insert=True)
    jobs.publish(row)
    return row


@transaction.atomic
def record_sent(*, claim: Claim) -> bool:
    """``RUNNING -> SUCCEEDED``: the mail server has it, so the text is dropped."""
    finished = claim.finish(
        state=State.SUCCEEDED, sent_at=timezone.now(), body="", error_code="", error_message="", error_detail=""
    )
    if not finished:
        return False
    row = OutgoingMail.objects.get(pk=claim.pk)
    audit.record("mail.sent", actor=None, target=row, kind=row.kind)
    return True


@transaction.atomic
def postpone_mail(*, claim: Claim, code: str, message: str, detail: str) -> bool:
    """``RUNNING -> QUEUED`` until the next try, or ``RUNNING -> FAILED`` once the text is too old to be of use."""
    row = OutgoingMail.objects.get(pk=claim.pk)
    now = timezone.now()
    if is_stale(row):
        return give_up_mail(claim=claim, detail=detail)
    until = next_try(queued_at=row.queued_at, now=now)
    postponed = claim.postpone(until=until, error_code=code, error_message=message, error_detail=detail[:10_000])
    if postponed:
        log.info("mail.postponed", pk=str(claim.pk), code=code, seconds=round((until - now).total_seconds()))
    return postponed


def is_stale(row: OutgoingMail) -> bool:
    """Whether what it says is too old to be sent: the links in it are dead."""
    return timezone.now() - row.created_at >= GIVE_UP_AFTER


def give_up_mail(*, claim: Claim, detail: str) -> bool:
    """``RUNNING -> FAILED`` for a mail that is too old, with its text dropped."""
    return fail_mail(
        claim=claim,
        code="expired",
        message=f"It could not be sent for {GIVE_UP_AFTER.days} days and was given up: its links are dead by now.",
        detail=detail,
        keep_text=False,
    )


@transaction.atomic
def fail_mail(*, claim: Claim, code: str, message: str, detail: str, keep_text: bool = True) -> bool:
    """``RUNNING -> FAILED``. The text stays for a retry until it expires."""
    dropped = {} if keep_text else {"body": ""}
    finished = claim.finish(
        state=State.FAILED, error_code=code, error_message=message, error_detail=detail[:10_000], **dropped
    )
    if not finished:
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
    """``FAILED | CANCELLED -> QUEUED``, and a postponed one is tried at once. False in any other state.

    Raises:
        TextExpired: what it said was dropped, because its links are dead by now.
    """
    require(acting_user, "mail", "retry")
    if not OutgoingMail.objects.filter(pk=row.pk).exclude(body="").exists():
        raise TextExpired("The text of this e-mail is gone. Have the person start again.")
    if not jobs.requeue(OutgoingMail, row.pk, from_states=(State.FAILED, State.CANCELLED, State.QUEUED)):
        return False
    row.refresh_from_db()
    audit.record("mail.retried", actor=acting_user, target=row)
    jobs.publish(row)
    return True


@transaction.atomic
def expire_mail_texts(*, before: datetime | None = None) -> int:
    """Drop the text of mails that ended without being sent: a link that nobody got must not lie about.

    Args:
        before: those made before; as long ago as ``GIVE_UP_AFTER`` when not given.
    """
    before = before or timezone.now() - GIVE_UP_AFTER
    ended = OutgoingMail.objects.filter(state__in=(State.FAILED, State.CANCELLED), created_at__lt=before)
    return ended.exclude(body="").update(body="")


@transaction.atomic
def forget_mails(*, before: datetime) -> int:
    """Delete mails that ended before; the ledger keeps that they were sent. At most ``FORGET_BATCH`` at a time."""
    ended = OutgoingMail.objects.exclude(state__in=jobs.UNFINISHED).filter(finished_at__lt=before)
    old = list(ended.order_by("finished_at").values_list("pk", flat=True)[:FORGET_BATCH])
    return OutgoingMail.objects.filter(pk__in=old).delete()[0]
