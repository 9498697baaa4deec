"""The only writer of the ledger. Call :func:`record` inside the transaction of what it records, as its last write.

The rows are a chain (``accounts.ledger.chain``), so they are written one after the other: from a row until the end of
its transaction everybody else who wants to write one waits. On PostgreSQL two transactions that each wait for what the
other holds are told so by the database, and one of them fails. So there is one order: the rows of the house first
(``diagnosis.actions.steps.hold_study_of`` says in which order), the ledger last. A verb that writes several rows of the
ledger holds everything that others may hold before the first of them.
"""

from __future__ import annotations

import re
import sys
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.db import connections, models, router, transaction
from django.utils import timezone

from accounts.folding import fold
from accounts.ledger import chain
from accounts.models import AuditEvent, EmergencyAccess, Patient, User
from accounts.roles import Role
from portal.channel import COMMAND, channel

log = structlog.get_logger(__name__)

SAME_VIEWING = timedelta(minutes=5)
"""Looking again within this is the same viewing to the ledger."""
LONGEST_PURPOSE = 500
LONGEST_KEY = 64
"""Characters of an object's key. An address may name a longer number, which is nothing's."""
MASKED = "(masked)"
CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
CHAIN_LOCK = 0x53_45_4E_4F_4C_45_4E_53
"""Key of PostgreSQL's advisory lock: whoever holds it writes the next row."""

NEWEST = "SELECT sequence, digest FROM accounts_auditevent ORDER BY id DESC LIMIT 1"
"""Written out: it is asked before every row, and the query builder would take as long as the database."""

client_address: ContextVar[str | None] = ContextVar("client_address", default=None)
"""Address of the request being answered; set by ``accounts.middleware``, empty in commands and workers."""

purpose_of_request: ContextVar[str] = ContextVar("purpose_of_request", default="")
"""What for, where the person had to say (emergency access); set by who asked, empty again with the next request."""

noted_in_request: ContextVar[list[str] | None] = ContextVar("noted_in_request", default=None)
"""Actions noted while the request is answered; ``accounts.middleware`` sees by it whether a view told the ledger."""


def record(
    action: str,
    *,
    actor: User | None,
    target: models.Model | None = None,
    patient: Patient | None = None,
    purpose: str = "",
    **details: Any,
) -> AuditEvent:
    """Add a row to the ledger and the same, without details, to the log.

    Args:
        action: object and past participle, such as ``study.created``.
        actor: the person, or ``None`` for the system (a worker).
        target: the object it was done to.
        patient: whose record it belongs to.
        purpose: what for, where somebody had to say; else that of the request.
        details: JSON values; no names, no image data, no passwords, nothing that somebody typed. A ``reason`` in
            somebody's own words is the purpose. What repeats a name or the MRN of ``patient`` is masked.
    """
    return _append(
        action,
        actor=actor,
        object_type=target._meta.model_name or "" if target is not None else "",
        object_id=str(target.pk) if target is not None else "",
        patient=patient,
        purpose=purpose,
        details=details,
    )


def record_viewing(
    action: str,
    *,
    actor: User,
    target: models.Model | None = None,
    patient: Patient | None = None,
    part_of_record: bool = False,
    **details: Any,
) -> None:
    """Note that somebody looked, once in :data:`SAME_VIEWING`: a program asks for the same object every second.

    Looking from another address or by another door is another viewing.

    Args:
        part_of_record: what is shown belongs to any page of the patient's record (a thumbnail), so that a row on the
            same patient by the same person stands for it too.
    """
    note_viewing(
        action,
        actor=actor,
        object_type=target._meta.model_name or "" if target is not None else "",
        object_id=str(target.pk) if target is not None else "",
        patient=patient,
        part_of_record=part_of_record,
        details=details,
    )


def record_of(
    action: str, *, actor: User | None, object_type: str, object_id: str, patient: Patient | None = None, **details: Any
) -> AuditEvent:
    """:func:`record` on an object that is known by its kind and key alone."""
    return _append(
        action,
        actor=actor,
        object_type=object_type,
        object_id=object_id,
        patient=patient,
        purpose="",
        details=details,
    )


def note_viewing(
    action: str,
    *,
    actor: User,
    object_type: str,
    object_id: str,
    patient: Patient | None,
    part_of_record: bool = False,
    details: dict[str, Any],
) -> None:
    """:func:`record_viewing` of an object that is known by its kind and key alone."""
    _note(action)
    lately = AuditEvent.objects.filter(
        actor=actor,
        at__gt=timezone.now() - SAME_VIEWING,
        channel=channel.get(),
        address=chain.plain_address(client_address.get()),
    ).order_by()
    same = models.Q(object_type=object_type, object_id=object_id, action=action)
    if part_of_record and patient is not None:
        same |= models.Q(patient=patient)
    if not lately.filter(same).exists():
        _append(
            action,
            actor=actor,
            object_type=object_type,
            object_id=object_id,
            patient=patient,
            purpose="",
            details=details,
        )


def _append(
    action: str,
    *,
    actor: User | None,
    object_type: str,
    object_id: str,
    patient: Patient | None,
    purpose: str,
    details: dict[str, Any],
) -> AuditEvent:
    own_words = _in_own_words(details)
    why = purpose or own_words or purpose_of_request.get() or _emergency(actor, patient) or _command()
    identity = _identity(patient)
    event = AuditEvent(
        actor=actor,
        actor_role=actor.role if actor else "system",
        action=action,
        object_type=object_type,
        object_id=chain.plain_text(object_id)[:LONGEST_KEY],
        patient=patient,
        address=chain.plain_address(client_address.get()),
        channel=channel.get(),
        purpose=_one_line(_masked(why, identity)),
        details=chain.plain(_masked(details, identity)),
    )
    # A transaction of its own where there is none; within one, a row that cannot be written undoes everything.
    with transaction.atomic(using=_database(), savepoint=False):
        sequence, event.previous_digest = _end_of_the_chain()
        event.pk = event.sequence = sequence + 1
        event.at = timezone.now()
        event.digest = chain.digest(entry_of(event), event.previous_digest)
        event.save(force_insert=True)
    _note(action)
    log.info(action, actor=actor.pk if actor else None, object=event.object_type, object_id=event.object_id)
    return event


def entry_of(event: AuditEvent) -> chain.Entry:
    """What is hashed of a row."""
    return chain.Entry(
        sequence=event.sequence or 0,
        at=chain.moment(event.at),
        actor=event.actor_id,
        role=event.actor_role,
        action=event.action,
        object_type=event.object_type,
        object_id=event.object_id,
        patient=chain.reference(event.patient_id),
        address=event.address,
        channel=event.channel,
        purpose=event.purpose,
        details=event.details,
    )


def _database() -> str:
    return router.db_for_write(AuditEvent)


def _end_of_the_chain() -> tuple[int, str]:
    """The newest row's number and digest, once nobody else can add a row: until the transaction ends, or is rolled back
    to before this point.

    SQLite needs no lock: an IMMEDIATE transaction is the only one that writes.
    """
    connection = connections[_database()]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # What would wait for somebody else at the commit waits now: whoever holds the chain waits for nobody.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])
        cursor.execute(NEWEST)
        return cursor.fetchone() or (0, chain.GENESIS)


def _note(action: str) -> None:
    noted = noted_in_request.get()
    if noted is not None:
        noted.append(action)


def _one_line(text: str) -> str:
    return " ".join(chain.plain_text(text).split())[:LONGEST_PURPOSE]


def _emergency(actor: User | None, patient: Patient | None) -> str:
    """Why ``actor`` opened the record of ``patient`` by emergency access, while that lasts."""
    if actor is None or patient is None or actor.role != Role.RADIOLOGIST:
        return ""
    held = EmergencyAccess.objects.running().filter(user_id=actor.pk, patient_id=patient.pk)
    return held.order_by().values_list("reason", flat=True).first() or ""


def _command() -> str:
    """The management command that this process runs, without its arguments: they may name people."""
    if channel.get() == COMMAND and Path(sys.argv[0]).name == "manage.py" and len(sys.argv) > 1:
        return f"manage.py {sys.argv[1]}"
    return ""


def _in_own_words(details: dict[str, Any]) -> str:
    """Take a reason out of the details that is no code but what a person wrote: that is what it was for."""
    reason = details.get("reason")
    return str(details.pop("reason")) if isinstance(reason, str) and not CODE.fullmatch(reason) else ""


def _identity(patient: Patient | None) -> re.Pattern[str] | None:
    """What repeats a name or the number of the patient. A row outlives the record that it is about."""
    if patient is None:
        return None
    words = [*fold(patient.given_name).split(), *fold(patient.family_name).split(), fold(patient.mrn).strip()]
    known = "|".join(re.escape(word) for word in words if len(word) > 1)
    return re.compile(rf"(?<![^\W_])(?:{known})(?![^\W_])") if known else None


def _masked(value: Any, identity: re.Pattern[str] | None) -> Any:
    """The value without words that identify the patient."""
    if identity is None:
        return value
    if isinstance(value, str):
        return " ".join(MASKED if identity.search(fold(word)) else word for word in str(value).split(" "))
    if isinstance(value, dict):
        return {name: _masked(one, identity) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(one, identity) for one in value]
    return value
