"""What people are told: on the site and by e-mail."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from accounts.models.person import User
from accounts.querysets import NotificationQuerySet, OutgoingMailQuerySet
from portal.jobs import LeasedJob


class Notification(models.Model):
    """One line under the bell. Its words name no patient: they are also read over shoulders."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notifications")
    kind = models.CharField(max_length=40, db_index=True, help_text="Key of accounts.notifications.KINDS.")
    text = models.CharField(max_length=300)
    path = models.CharField(max_length=300, blank=True, help_text="Page on this site that it leads to.")
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="notification_of_user"),
            models.Index(fields=["user"], condition=models.Q(read_at=None), name="notification_unread"),
        ]

    def __str__(self) -> str:
        return self.text


class NotificationPreference(models.Model):
    """How one person wants to hear of one kind. No row: the kind's own default holds."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notification_preferences")
    kind = models.CharField(max_length=40)
    in_app = models.BooleanField(default=True)
    by_email = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "kind"], name="one_preference_a_kind")]

    def __str__(self) -> str:
        return f"{self.user}: {self.kind}"


class OutgoingMail(LeasedJob):
    """The durable job that sends one e-mail. Its text is dropped once it was handed to the mail server."""

    task_name = "accounts.send_mail"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="outgoing_mails")
    kind = models.CharField(max_length=40)
    recipient = models.EmailField()
    subject = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "e-mail"
        indexes = [models.Index(fields=["state", "publish_after"], name="outgoing_mail_due")]

    def __str__(self) -> str:
        return f"{self.kind}, {self.created_at:%Y-%m-%d %H:%M}"
