"""The verbs on teams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import audit
from accounts.actions.rows import apply, hold_users, save
from accounts.models import Team, User
from accounts.permissions import require
from accounts.plain_text import is_one_line
from accounts.roles import Role

TEAM_FIELDS = ("name", "is_active")


@transaction.atomic
def create_team(*, acting_user: User | None, name: str) -> Team:
    """Create a team.

    Raises:
        ValidationError: when the name is empty or taken, whatever the case.
    """
    if acting_user is not None:
        require(acting_user, "team", "create")
    team = Team(name=_plain(name))
    _check(team)
    save(team, force_insert=True)
    audit.record("team.created", actor=acting_user, target=team)
    return team


@transaction.atomic
def update_team(*, acting_user: User, team: Team, **changes: Any) -> Team:
    """Rename a team, or switch it off and on. A team that is off takes no new study; who is in it still sees its own.

    Raises:
        ValidationError: when the name is empty or taken.
    """
    require(acting_user, "team", "change")
    team = Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    if "name" in changes:
        changes["name"] = _plain(changes["name"])
    changed = apply(team, changes, allowed=TEAM_FIELDS)
    _check(team)
    if changed:
        save(team)
        audit.record("team.changed", actor=acting_user, target=team, fields=changed)
    return team


@transaction.atomic
def set_teams(*, acting_user: User | None, user: User, teams: Iterable[Team]) -> bool:
    """Have ``user`` be in these teams and no other; say whether anything changed.

    Raises:
        ValidationError: for a patient's log-in; only staff work in teams.
    """
    if acting_user is not None:
        require(acting_user, "team", "change")
    wanted = {team.pk: team for team in teams}
    if wanted and user.role == Role.PATIENT:
        raise ValidationError({"teams": "A patient's log-in is in no team."})
    # One change a person at a time, so that the ledger says what was and what became.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    former = set(user.teams.values_list("pk", flat=True))
    if former == set(wanted):
        return False
    user.teams.set(wanted.values())
    audit.record(
        "user.teams_changed",
        actor=acting_user,
        target=user,
        added=sorted(set(wanted) - former),
        removed=sorted(former - set(wanted)),
    )
    return True


@transaction.atomic
def set_team_members(*, acting_user: User, team: Team, members: Iterable[User]) -> int:
    """Have these people and nobody else be in ``team``; return how many came or went, each with a ledger row."""
    require(acting_user, "team", "change")
    wanted = {user.pk: user for user in members}
    former = {user.pk: user for user in team.members.all()}
    coming_or_going = sorted(wanted.keys() ^ former.keys())
    hold_users(coming_or_going)
    for pk in coming_or_going:
        user = wanted.get(pk) or former[pk]
        others = list(user.teams.exclude(pk=team.pk))
        set_teams(acting_user=acting_user, user=user, teams=[*others, team] if pk in wanted else others)
    return len(coming_or_going)


def _plain(name: str) -> str:
    return " ".join(name.split())


def _check(team: Team) -> None:
    team.full_clean()
    if not is_one_line(team.name):
        raise ValidationError({"name": "The name holds an invisible character. Type it anew."})
    if Team.objects.filter(name__iexact=team.name).exclude(pk=team.pk).exists():
        raise ValidationError({"name": "There is already a team with this name."})
