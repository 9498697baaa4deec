"""The verbs on notifications. :func:`notify` is called in the transaction of what it tells about."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.actions.mail import enqueue_mail
from accounts.models import Notification, NotificationPreference, User
from accounts.notifications import KINDS
from accounts.permissions import require


@transaction.atomic
def notify(kind: str, *, users: Iterable[User], text: str, path: str = "") -> int:
    """Tell people about something, on the site and, where they want it, by e-mail.

    Args:
        kind: key of ``accounts.notifications.KINDS``; a person whose role does not get it is passed over.
        users: who; inactive ones are passed over.
        text: one line without any patient's name, MRN or result; shown under the bell.
        path: page on this site that it leads to, such as ``/analyses/<id>/``.

    Returns:
        How many people were told.
    """
    about = KINDS[kind]
    people = {user.pk: user for user in users if user.is_active and user.role in about.roles}
    chosen = {row.user_id: row for row in NotificationPreference.objects.filter(kind=kind, user__in=people)}
    told = 0
    for pk, user in people.items():
        own = None if about.always else chosen.get(pk)
        in_app, by_email = (own.in_app, own.by_email) if own else (about.in_app, about.by_email)
        if in_app:
            Notification.objects.create(user=user, kind=kind, text=text[:300], path=path)
        if by_email:
            address = settings.PUBLIC_URL + reverse("home")
            body = f"{about.sentence}\n\nSign in to see it: {address}\n\n{settings.SITE_NAME}\n"
            enqueue_mail(kind=kind, recipient=user.email, subject=about.subject, body=body, user=user)
        told += in_app or by_email
    return told


@transaction.atomic
def mark_read(*, acting_user: User, notifications: Iterable[int] | None = None) -> int:
    """Note that one's own notifications were read; ``None``: all of them."""
    require(acting_user, "notification", "change")
    unread = Notification.objects.filter(user=acting_user, read_at=None)
    if notifications is not None:
        unread = unread.filter(pk__in=list(notifications))
    return unread.update(read_at=timezone.now())
