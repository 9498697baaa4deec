"""The verbs on notifications. :func:`notify` is called in the transaction of what it tells about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import audit
from accounts.actions.mail import UnusableMail, enqueue_mail, expire_mail_texts, forget_mails
from accounts.models import Consent, Notification, NotificationPreference, OutgoingMail, User
from accounts.notifications import KEEP_ENDED_MAILS, KEEP_READ, KINDS, Kind, kinds_of
from accounts.permissions import require
from accounts.roles import Role

log = structlog.get_logger(__name__)

Line = str | Callable[[User, datetime | None], str]
"""What a notification says. A function gets the person and when they last read one of the same kind about the same
page, and so can say how much has come since: forty images of one study are one line."""

MAIL_TOGETHER = timedelta(minutes=10)
"""A second mail of a kind that is told together would only repeat the first one's words within so short a time."""
FORGET_BATCH = 1_000


@transaction.atomic
def notify(kind: str, *, users: Iterable[User], text: Line, path: str = "") -> int:
    """Tell people about something, on the site and, where they want it, by e-mail.

    Args:
        kind: key of ``accounts.notifications.KINDS``; a person whose role does not get it is passed over.
        users: who; inactive ones are passed over.
        text: one line without any patient's name, MRN or result; shown under the bell. Given a function (:data:`Line`),
            an unread notification of the same kind and path is brought up to date instead of a second one made.
        path: page on this site that it leads to, such as ``/analyses/<id>/``.

    Returns:
        How many people were told.
    """
    if path and not url_has_allowed_host_and_scheme(path, allowed_hosts=None):
        raise ValueError("A notification leads to a page of this site.")
    about = KINDS[kind]
    people = {user.pk: user for user in users if user.is_active and user.role in about.roles}
    chosen = {row.user_id: row for row in NotificationPreference.objects.filter(kind=kind, user__in=people)}
    agreed = _patients_who_agreed(people.values())
    told = 0
    for pk, user in people.items():
        own = None if about.always else chosen.get(pk)
        in_app, by_email = (own.in_app, own.by_email) if own else (about.in_app, about.by_email)
        by_email = by_email and (about.always or user.role != Role.PATIENT or pk in agreed)
        if not in_app and not by_email:
            continue
        line = _tell(kind, user=user, text=text, path=path, in_app=in_app)
        if by_email and not (callable(text) and _mailed_a_moment_ago(kind, user)):
            _mail(kind, about, user=user, line=line, path=path)
        told += 1
    return told


def _patients_who_agreed(people: Iterable[User]) -> set[Any]:
    """Which of the patients agreed to hear by e-mail (``Consent``)."""
    patients = [user.pk for user in people if user.role == Role.PATIENT]
    if not patients:
        return set()
    standing = Consent.objects.filter(purpose=Consent.Purpose.EMAIL, withdrawn_at=None, patient__user__in=patients)
    return set(standing.values_list("patient__user", flat=True))


def _tell(kind: str, *, user: User, text: Line, path: str, in_app: bool) -> str:
    """Write the line under the bell, where it is wanted there, and return it."""
    if not callable(text):
        if in_app:
            Notification.objects.create(user=user, kind=kind, text=text[:300], path=path)
        return text
    alike = Notification.objects.filter(user=user, kind=kind, path=path)
    line = text(user, alike.aggregate(last=Max("read_at"))["last"])[:300]
    if in_app and not alike.filter(read_at=None).update(text=line, created_at=timezone.now()):
        Notification.objects.create(user=user, kind=kind, text=line, path=path)
    return line


def _mailed_a_moment_ago(kind: str, user: User) -> bool:
    since = timezone.now() - MAIL_TOGETHER
    return OutgoingMail.objects.filter(user=user, kind=kind, created_at__gte=since).exists()


def _mail(kind: str, about: Kind, *, user: User, line: str, path: str) -> None:
    page = reverse("notification-list")
    sentences = [about.sentence]
    if settings.MAIL_CLINICAL_CONTENT:
        sentences.append(line)
        page = path or page
    body = "\n\n".join([*sentences, f"Sign in to see it: {settings.PUBLIC_URL}{page}", settings.SITE_NAME]) + "\n"
    subject = " ".join(f"{settings.SITE_NAME}: {about.subject}".split())
    try:
        enqueue_mail(kind=kind, recipient=user.email, subject=subject, body=body, user=user)
    except UnusableMail as refusal:
        # What it tells about must not be lost for an odd address; the line under the bell stays.
        log.warning("mail.unusable", user=user.pk, kind=kind, reason=str(refusal))


@transaction.atomic
def mark_read(*, acting_user: User, notifications: Iterable[int] | None = None, until: datetime | None = None) -> int:
    """Note that one's own notifications were read.

    Args:
        notifications: which; ``None``: all of them.
        until: only those made up to then, so that what came after the page was drawn stays unread.
    """
    require(acting_user, "notification", "change")
    unread = Notification.objects.filter(user=acting_user, read_at=None)
    if notifications is not None:
        unread = unread.filter(pk__in=list(notifications))
    if until is not None:
        unread = unread.filter(created_at__lte=until)
    return unread.update(read_at=timezone.now())


@transaction.atomic
def choose_notifications(*, acting_user: User, choices: Mapping[str, tuple[bool, bool]]) -> list[str]:
    """Set how one wants to hear of each kind.

    Args:
        choices: kind -> (on the site, by e-mail).

    Returns:
        the kinds that changed.

    Raises:
        ValueError: for a kind that one's role does not get, or that cannot be switched off.
    """
    require(acting_user, "notification", "change")
    own = kinds_of(acting_user.role)
    for kind in choices:
        if kind not in own or own[kind].always:
            raise ValueError(f"Not yours to choose: {kind}.")
    held = {row.kind: row for row in NotificationPreference.objects.filter(user=acting_user)}
    changed = []
    for kind, (in_app, by_email) in choices.items():
        now = (held[kind].in_app, held[kind].by_email) if kind in held else (own[kind].in_app, own[kind].by_email)
        if now == (in_app, by_email):
            continue
        NotificationPreference.objects.update_or_create(
            user=acting_user, kind=kind, defaults={"in_app": in_app, "by_email": by_email}
        )
        changed.append(kind)
    if changed:
        audit.record("notifications.chosen", actor=acting_user, target=acting_user, kinds=changed)
    return changed


@transaction.atomic
def forget_notifications(*, read_before: datetime) -> int:
    """Delete notifications that were read before then, at most ``FORGET_BATCH`` at a time; return how many."""
    old = Notification.objects.filter(read_at__lt=read_before).order_by("read_at").values_list("pk", flat=True)
    return Notification.objects.filter(pk__in=list(old[:FORGET_BATCH])).delete()[0]


def forget_old_notices() -> int:
    """What a worker does every hour, and ``purge``: drop notifications and mails that are older than is kept."""
    now = timezone.now()
    forgotten = forget_notifications(read_before=now - KEEP_READ) + forget_mails(before=now - KEEP_ENDED_MAILS)
    return forgotten + expire_mail_texts()
