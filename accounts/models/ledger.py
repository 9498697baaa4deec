"""The audit ledger."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone

from accounts.models.patient import Patient
from accounts.models.person import User

APPEND_ONLY = "The ledger is append-only."


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """Rows are read; ``accounts.audit`` adds them one by one. The database refuses the rest too (accounts.ledger)."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(APPEND_ONLY)

    update = delete = bulk_create = bulk_update = get_or_create = update_or_create = _refuse
    _raw_delete = _update = _refuse


class AuditEvent(models.Model):
    """Who did what to which object, when, from where and what for; rows are only ever added (``accounts.audit``).

    The primary key is the ``sequence``, so that no column is outside the chain.

    ``actor`` and ``patient`` are references without a constraint: what was done stays on record after a patient was
    erased, under a number that then leads nowhere.
    """

    class Channel(models.TextChoices):
        WEB = "web", "Website"
        API = "api", "REST API"
        ADMIN = "admin", "Admin site"
        COMMAND = "command", "Command on the server"
        WORKER = "worker", "Worker"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    actor_role = models.CharField(max_length=20, blank=True)
    action = models.CharField(max_length=60, db_index=True)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    patient = models.ForeignKey(
        Patient, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="audit_events"
    )
    address = models.GenericIPAddressField(null=True)
    channel = models.CharField(max_length=10, choices=Channel, blank=True)
    purpose = models.CharField(max_length=500, blank=True, help_text="What for, where the person had to say.")
    details = models.JSONField(default=dict)
    sequence = models.BigIntegerField(null=True, unique=True, editable=False, help_text="Place in the chain, from 1.")
    previous_digest = models.CharField(max_length=64, blank=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False, help_text="SHA-256 of this row and the last.")

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["object_type", "object_id"]),
            models.Index(fields=["actor", "-id"], name="ledger_of_person"),
            models.Index(fields=["patient", "-id"], name="ledger_of_patient"),
            models.Index(fields=["action", "-id"], name="ledger_of_action"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} {self.object_type} {self.object_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError(APPEND_ONLY)
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(APPEND_ONLY)
