"""The only writer of the ledger. Call :func:`record` inside the transaction of what it records."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import structlog
from django.db import models
from django.utils import timezone

from accounts.models import AuditEvent, Patient, User

log = structlog.get_logger(__name__)

SAME_VIEWING = timedelta(minutes=5)
"""Looking again within this is the same viewing to the ledger."""

client_address: ContextVar[str | None] = ContextVar("client_address", default=None)
"""Address of the request being answered; set by ``accounts.middleware``, empty in commands and workers."""


def record(
    action: str,
    *,
    actor: User | None,
    target: models.Model | None = None,
    patient: Patient | None = None,
    **details: Any,
) -> AuditEvent:
    """Add a row to the ledger and the same, without details, to the log.

    Args:
        action: object and past participle, such as ``study.created``.
        actor: the person, or ``None`` for the system (a worker).
        target: the object it was done to.
        patient: whose record it belongs to.
        details: JSON values; no image data, no passwords.
    """
    event = AuditEvent.objects.create(
        actor=actor,
        actor_role=actor.role if actor else "system",
        action=action,
        object_type=target._meta.model_name or "" if target is not None else "",
        object_id=str(target.pk) if target is not None else "",
        patient=patient,
        address=client_address.get(),
        details=details,
    )
    log.info(action, actor=actor.pk if actor else None, object=event.object_type, object_id=event.object_id)
    return event


def record_viewing(action: str, *, actor: User, target: models.Model, patient: Patient) -> None:
    """Note that somebody looked, once in :data:`SAME_VIEWING`: a program asks for the same object every second."""
    looked = AuditEvent.objects.filter(
        object_type=target._meta.model_name, object_id=str(target.pk), action=action, actor=actor
    )
    if not looked.filter(at__gt=timezone.now() - SAME_VIEWING).exists():
        record(action, actor=actor, target=target, patient=patient)
