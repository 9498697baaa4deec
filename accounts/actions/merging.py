"""What is about a patient and no image, when two records become one and when that is undone."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Appointment, Consent, Message, Patient, PatientInvitation

FOLLOWING = {"messages": Message, "appointments": Appointment}
"""Rows that simply go with the person."""


@transaction.atomic
def merge_people_rows(*, source: Patient, target: Patient) -> dict[str, Any]:
    """Move messages, appointments, consents and the log-in; return which, for the undoing.

    A consent that stands on both records stays where it is on each. Open invitations to the record that goes are
    revoked: their code names a record that is no longer listed. Where both records have a log-in, each keeps its own,
    and the one of the record that goes sees nothing.
    """
    moved: dict[str, Any] = {}
    for name, kind in FOLLOWING.items():
        rows = kind._default_manager.filter(patient=source)
        moved[name] = list(rows.values_list("pk", flat=True))
        rows.update(patient=target)
    standing = Consent.objects.filter(patient=target, withdrawn_at=None).values_list("purpose", flat=True)
    consents = Consent.objects.filter(patient=source).exclude(withdrawn_at=None, purpose__in=list(standing))
    moved["consents"] = list(consents.values_list("pk", flat=True))
    Consent.objects.filter(pk__in=moved["consents"]).update(patient=target)
    open_ones = PatientInvitation.objects.filter(patient=source, used_at=None, revoked_at=None)
    moved["invitations_revoked"] = open_ones.update(revoked_at=timezone.now())
    moved["user"] = None
    if source.user_id is not None and target.user_id is None:
        moved["user"] = source.user_id
        _hand_over(source, target)
    return moved


@transaction.atomic
def unmerge_people_rows(*, source: Patient, target: Patient, moved: dict[str, Any]) -> None:
    """Move back what :func:`merge_people_rows` moved and what is still there."""
    for name, kind in FOLLOWING.items():
        kind._default_manager.filter(pk__in=moved[name], patient=target).update(patient=source)
    Consent.objects.filter(pk__in=moved["consents"], patient=target).update(patient=source)
    if moved["user"] is not None and target.user_id == moved["user"] and source.user_id is None:
        _hand_over(target, source)


def _hand_over(giver: Patient, taker: Patient) -> None:
    """A log-in belongs to one record: it is let go before it is taken."""
    user = giver.user
    giver.user = None
    giver.save(update_fields=["user"])
    taker.user = user
    taker.save(update_fields=["user"])
