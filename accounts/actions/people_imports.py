"""Importing a list of people: kept at the upload, shown, and written in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.actions.invitations import invite_user
from accounts.actions.rows import hold_users
from accounts.actions.teams import set_teams
from accounts.actions.users import update_user
from accounts.models import PeopleImport, User
from accounts.people_check import Checked, Outcome, check
from accounts.people_csv import Sheet
from accounts.permissions import require
from accounts.roles import Role

KEPT_FOR = timedelta(hours=24)
"""How long an uploaded list waits to be confirmed; afterwards it is gone, with the addresses in it."""


class AlreadyImported(Exception):
    """The list was imported or has expired; nothing was done again."""


@dataclass(slots=True)
class Imported:
    """What an import did.

    Attributes:
        refused: line of the file and the sentence why, for rows that the preview had passed.
    """

    invited: int = 0
    changed: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


@transaction.atomic
def keep_people(*, acting_user: User, sheet: Sheet) -> PeopleImport:
    """Keep an uploaded list until it is confirmed. Lists that have expired are deleted on the way."""
    require(acting_user, "user", "import")
    PeopleImport.objects.filter(expires_at__lte=timezone.now()).delete()
    kept = PeopleImport.objects.create(
        created_by=acting_user, expires_at=timezone.now() + KEPT_FOR, encoding=sheet.encoding, rows=sheet.rows
    )
    audit.record("user.import_uploaded", actor=acting_user, rows=len(sheet.rows))
    return kept


@transaction.atomic
def discard_people(*, acting_user: User, kept: PeopleImport) -> None:
    """Delete an uploaded list that is not wanted."""
    require(acting_user, "user", "import")
    PeopleImport.objects.filter(pk=kept.pk, created_by=acting_user).delete()


@transaction.atomic
def import_people(*, acting_user: User, kept: PeopleImport) -> Imported:
    """Invite and change everybody of a list whose row is right, all or nobody, once.

    The rows are checked anew: what somebody else changed since the preview counts.

    Raises:
        AlreadyImported: for a list that is not there any more.
    """
    require(acting_user, "user", "import")
    waiting = PeopleImport.objects.filter(pk=kept.pk, created_by=acting_user, expires_at__gt=timezone.now())
    # The DELETE decides who imports it: of two requests the second finds no row.
    if not waiting.delete()[0]:
        raise AlreadyImported
    # Everybody whom a line may change, and whom the rules about administrators look at, before the first ledger row.
    known = {row.user.pk for row in check(kept.rows, acting_user=acting_user) if row.user is not None}
    administrators = User.objects.filter(role=Role.ADMINISTRATOR, is_active=True).values_list("pk", flat=True)
    hold_users({*known, *administrators, acting_user.pk})
    done = Imported()
    for row in check(kept.rows, acting_user=acting_user):
        if row.outcome not in (Outcome.NEW, Outcome.CHANGED):
            continue
        try:
            with transaction.atomic():
                _write(row, acting_user=acting_user)
        except ValidationError as refusal:
            done.refused.append((row.line, " ".join(refusal.messages)))
        except (PermissionError, PermissionDenied) as rule:
            done.refused.append((row.line, str(rule)))
        else:
            done.invited += row.outcome is Outcome.NEW
            done.changed += row.outcome is Outcome.CHANGED
    audit.record(
        "user.imported",
        actor=acting_user,
        invited=done.invited,
        changed=done.changed,
        left_out=len(kept.rows) - done.invited - done.changed,
    )
    return done


def _write(row: Checked, *, acting_user: User) -> None:
    if row.user is None:
        invite_user(
            acting_user=acting_user,
            email=row.cells["email"],
            role=row.role,
            given_name=row.cells.get("given_name", "").strip(),
            family_name=row.cells.get("family_name", "").strip(),
            teams=row.teams or (),
        )
        return
    if row.changes:
        update_user(acting_user=acting_user, user=row.user, **row.changes)
    if row.teams is not None:
        set_teams(acting_user=acting_user, user=row.user, teams=row.teams)
