"""Break-glass: a radiologist opens a record that no team of theirs opens, for a reason, for a while, seen by others."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions.notifications import notify
from accounts.models import EmergencyAccess, Patient, User
from accounts.permissions import require
from accounts.plain_text import is_one_line
from accounts.roles import Role

SHORTEST_REASON = 20
"""Characters. With :data:`FEWEST_WORDS` it keeps "asdf" and "urgent" out; what it says is for people to review."""
FEWEST_WORDS = 3
SAY_WHY = "Say in a sentence why you need this record now. It is kept and reviewed."


class TooManyEmergencies(Exception):
    """This person opened as many records by emergency access within the hour as may be."""

    def __init__(self) -> None:
        super().__init__(
            f"You have used emergency access {settings.EMERGENCY_ACCESS_PER_HOUR} times within an hour. "
            "Nothing was opened. Ask an administrator to put you into the team."
        )


class AlreadyReviewed(Exception):
    """Somebody else reviewed this use in the meantime; their note stays."""

    def __init__(self) -> None:
        super().__init__("This use was reviewed already. The note that is there was kept; yours was not saved.")


def grant_emergency_access(*, acting_user: User, patient: Patient, reason: str) -> EmergencyAccess:
    """Open the whole record of ``patient`` to ``acting_user`` for ``EMERGENCY_ACCESS_MINUTES``; alert administrators.

    Who holds it already gets the same one, without a second alert.

    Raises:
        PermissionDenied: the role does not have it.
        ValidationError: the reason is not a sentence.
        TooManyEmergencies: the limit an hour is reached; that is in the ledger too.
    """
    require(acting_user, "emergency_access", "create")
    reason = " ".join(reason.split())
    if len(reason) < SHORTEST_REASON or len(reason.split()) < FEWEST_WORDS:
        raise ValidationError({"reason": SAY_WHY})
    _visible("reason", reason)
    with transaction.atomic():
        # One at a time a person: two clicks are one use.
        User.objects.select_for_update(no_key=True).get(pk=acting_user.pk)
        held = EmergencyAccess.objects.running().filter(user=acting_user, patient=patient).first()
        if held is not None:
            return held
        now = timezone.now()
        lately = EmergencyAccess.objects.filter(user=acting_user, granted_at__gt=now - timedelta(hours=1)).count()
        if lately < settings.EMERGENCY_ACCESS_PER_HOUR:
            return _grant(acting_user, patient, reason)
        audit.record("emergency_access.refused", actor=acting_user, target=patient, patient=patient, within_hour=lately)
    raise TooManyEmergencies


def _visible(field: str, text: str) -> None:
    if not is_one_line(text):
        raise ValidationError({field: "The text holds an invisible character. Type it anew."})


def _grant(user: User, patient: Patient, reason: str) -> EmergencyAccess:
    now = timezone.now()
    access = EmergencyAccess(
        user=user,
        patient=patient,
        reason=reason,
        granted_at=now,
        expires_at=now + timedelta(minutes=settings.EMERGENCY_ACCESS_MINUTES),
    )
    access.full_clean()
    access.save(force_insert=True)
    notify(
        "emergency_access",
        users=User.objects.filter(role=Role.ADMINISTRATOR, is_active=True),
        text=f"{user.get_full_name()} opened a record by emergency access.",
        path=reverse("emergency-list"),
    )
    minutes = settings.EMERGENCY_ACCESS_MINUTES
    audit.record("emergency_access.granted", actor=user, target=access, patient=patient, minutes=minutes)
    return access


@transaction.atomic
def end_emergency_access(*, acting_user: User, access: EmergencyAccess) -> bool:
    """Close the record again before the time is over: one's own use, or as an administrator anybody's.

    Returns:
        False when it was over already.
    """
    require(acting_user, "emergency_access", "end")
    if access.user_id != acting_user.pk:
        require(acting_user, "emergency_access", "review")
    ended = EmergencyAccess.objects.running().filter(pk=access.pk).update(ended_at=timezone.now())
    if ended:
        audit.record("emergency_access.ended", actor=acting_user, target=access, patient=access.patient)
    return bool(ended)


@transaction.atomic
def review_emergency_access(*, acting_user: User, access: EmergencyAccess, note: str) -> EmergencyAccess:
    """Note what an administrator found when they looked into a use.

    Raises:
        PermissionError: it is one's own.
        ValidationError: nothing is said.
        AlreadyReviewed: somebody else was faster; their note stays.
    """
    require(acting_user, "emergency_access", "review")
    if access.user_id == acting_user.pk:
        raise PermissionError("Nobody reviews their own use of emergency access; ask another administrator.")
    note = " ".join(note.split())
    if not note:
        raise ValidationError({"note": "Write what you found; it is kept."})
    _visible("note", note)
    reviewed = EmergencyAccess.objects.filter(pk=access.pk, reviewed_at=None).update(
        reviewed_by=acting_user, reviewed_at=timezone.now(), review_note=note
    )
    if not reviewed:
        raise AlreadyReviewed
    access.refresh_from_db()
    audit.record("emergency_access.reviewed", actor=acting_user, target=access, patient=access.patient)
    return access
