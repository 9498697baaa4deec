"""Fills an empty ledger with a whole chain, so that it can be verified and searched at size."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta
from itertools import islice

from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.ledger import chain
from accounts.models import AuditEvent, Patient, User
from accounts.roles import Role

BATCH = 2_000
ACTIONS = (
    *(("patient.viewed", "patient"),) * 30,
    *(("study.viewed", "study"),) * 20,
    *(("analysis.viewed", "analysis"),) * 20,
    *(("image.viewed", "image"),) * 15,
    *(("user.signed_in", "user"),) * 5,
    *(("analysis.succeeded", "analysis"),) * 8,
    ("report.downloaded", "report"),
    ("access.denied", "patient"),
)
APART_SECONDS = 20


def fill(count: int) -> None:
    """Add ``count`` rows, newest a moment ago, by the users and on the patients that exist."""
    chance = random.Random(count)
    people = list(User.objects.exclude(role=Role.PATIENT)) or [None]
    patients: list[uuid.UUID | None] = list(Patient.objects.values_list("pk", flat=True)[:2_000]) or [None]
    newest = AuditEvent.objects.order_by("-pk").values_list("pk", "digest").first()
    first, previous = newest or (0, chain.GENESIS)
    begin = timezone.now() - timedelta(seconds=APART_SECONDS * count)
    numbers = iter(range(first + 1, first + 1 + count))
    while batch := list(islice(numbers, BATCH)):
        events = []
        for sequence in batch:
            action, kind = chance.choice(ACTIONS)
            actor = None if action == "analysis.succeeded" else chance.choice(people)
            event = AuditEvent(
                pk=sequence,
                sequence=sequence,
                at=begin + timedelta(seconds=APART_SECONDS * (sequence - first), microseconds=sequence % 1_000),
                actor=actor,
                actor_role=actor.role if actor else "system",
                action=action,
                object_type=kind,
                object_id=str(uuid.UUID(int=chance.getrandbits(128))),
                patient_id=None if kind == "user" else chance.choice(patients),
                address=f"10.0.{sequence % 200}.{sequence % 250}" if actor else None,
                channel="web" if actor else "worker",
                details={"label": "benign", "prevalence": 0.05} if action == "analysis.succeeded" else {},
                previous_digest=previous,
            )
            event.digest = previous = chain.digest(audit.entry_of(event), previous)
            events.append(event)
        # The ledger's own query refuses: rows come one by one, in the transaction of what they are about.
        past_the_guard: QuerySet[AuditEvent] = QuerySet(AuditEvent)
        past_the_guard.bulk_create(events)
