"""What importing a list of people would do, row by row. Reads the database, writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError

from accounts.addresses import canonical, drawn
from accounts.models import Team, User
from accounts.people_csv import wrong_cells
from accounts.permissions import may_grant
from accounts.roles import Role


class Outcome(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Checked:
    """One row of a list.

    Attributes:
        line: in the file.
        cells: as they were typed.
        user: who has this address already.
        role: as the table knows it; empty for a row that is wrong.
        teams: chosen ones; ``None`` where the row says nothing of them.
        changes: fields of ``user`` that would change, by name.
        sentences: what is wrong, or what would change.
    """

    line: int
    cells: Mapping[str, str]
    outcome: Outcome
    user: User | None = None
    role: str = ""
    teams: tuple[Team, ...] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()

    @property
    def role_label(self) -> str:
        return str(Role(self.role).label) if self.role else self.cells.get("role", "")


def check(rows: Iterable[Mapping[str, str]], *, acting_user: User) -> list[Checked]:
    """Check each row against the others, the users there are, and what ``acting_user`` may do."""
    rows = list(rows)
    house = _House(rows)
    return [_checked(row, house=house, acting_user=acting_user) for row in rows]


class _House:
    """What rows are compared with."""

    def __init__(self, rows: list[Mapping[str, str]]) -> None:
        typed = {canonical(row.get("email", "")) for row in rows}
        everybody = {canonical(email): email for email in User.objects.values_list("email", flat=True)}
        known = User.objects.filter(email__in=[everybody[address] for address in typed & everybody.keys()])
        self.users = {canonical(user.email): user for user in known.prefetch_related("teams")}
        self.looks = {drawn(address): address for address in everybody}
        self.teams = {team.name.casefold(): team for team in Team.objects.all()}
        self.lines: dict[str, list[str]] = defaultdict(list)
        self.drawn_on: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            address = canonical(row.get("email", ""))
            self.lines[address].append(row["line"])
            self.drawn_on[drawn(address)].add(address)


ROLES = {text: role for role in Role for text in (role.value, str(role.label).lower())}


def _checked(row: Mapping[str, str], *, house: _House, acting_user: User) -> Checked:
    address = canonical(row.get("email", ""))
    line, user = int(row["line"]), house.users.get(address)
    wrong = [*wrong_cells(dict(row)), *_address_problems(address, row=row, house=house)]
    role = ROLES.get(row.get("role", "").strip().lower())
    if role is None:
        said = row.get("role", "").strip()
        known = ", ".join(Role.values)
        wrong.append(f"There is no role “{said[:40]}”. The roles are: {known}." if said else "The role is missing.")
    elif not may_grant(acting_user, role) or (user is not None and not may_grant(acting_user, user.role)):
        wrong.append("Your role does not make or change users with this role.")
    elif user is not None and user.pk == acting_user.pk and user.role != role:
        wrong.append("Nobody changes their own role.")
    teams, unknown = _teams(row.get("teams", ""), house=house)
    wrong += unknown
    names = {name: row.get(name, "").strip() for name in ("given_name", "family_name")}
    try:
        # A row is checked as the record that it would become.
        User(email=address, role=role or "", **names).clean_fields(exclude=["password", "role"])
    except ValidationError as error:
        wrong += [f"{name}: {sentence}" for name, told in error.message_dict.items() for sentence in told]
    if wrong or role is None:
        return Checked(line=line, cells=row, outcome=Outcome.WRONG, user=user, sentences=tuple(wrong))
    if user is None:
        return Checked(line=line, cells=row, outcome=Outcome.NEW, role=role, teams=teams)
    changes = {name: value for name, value in names.items() if value and value != getattr(user, name)}
    if user.role != role:
        changes["role"] = role.value
    return _of_known(row, user=user, role=role, teams=teams, changes=changes)


def _of_known(
    row: Mapping[str, str], *, user: User, role: Role, teams: tuple[Team, ...] | None, changes: dict[str, Any]
) -> Checked:
    sentences = []
    for name, value in changes.items():
        label = {"given_name": "Given name", "family_name": "Family name", "role": "Role"}[name]
        before = user.get_role_display() if name == "role" else getattr(user, name)
        after = str(Role(value).label) if name == "role" else value
        sentences.append(f"{label}: {before or 'empty'} becomes {after}.")
    former = {team.pk: team.name for team in user.teams.all()}
    if teams is not None and former.keys() == {team.pk for team in teams}:
        teams = None
    if teams is not None:
        before = ", ".join(sorted(former.values())) or "none"
        sentences.append(f"Teams: {before} becomes {', '.join(team.name for team in teams)}.")
    if not user.is_active:
        sentences.append("The log-in is switched off and stays so.")
    outcome = Outcome.CHANGED if changes or teams is not None else Outcome.SAME
    return Checked(
        line=int(row["line"]),
        cells=row,
        outcome=outcome,
        user=user,
        role=role,
        teams=teams,
        changes=changes,
        sentences=tuple(sentences),
    )


def _address_problems(address: str, *, row: Mapping[str, str], house: _House) -> list[str]:
    if not address:
        return ["The e-mail address is missing."]
    others = [line for line in house.lines[address] if line != row["line"]]
    if others:
        return [f"The same address is on line {', '.join(others)}."]
    looks = drawn(address)
    if address not in house.users and looks in house.looks:
        return [f"This address looks like {house.looks[looks]}, which another user has, but is a different one."]
    alike = sorted(house.drawn_on[looks] - {address})
    if alike:
        return [f"This address looks like that of line {', '.join(house.lines[alike[0]])} but is a different one."]
    return []


def _teams(cell: str, *, house: _House) -> tuple[tuple[Team, ...] | None, list[str]]:
    """The teams that a cell names, separated by semicolons; an empty cell says nothing of them."""
    names = [name.strip() for name in cell.split(";") if name.strip()]
    if not names:
        return None, []
    found, wrong = {}, []
    for name in names:
        team = house.teams.get(name.casefold())
        if team is None:
            wrong.append(f"There is no team “{name[:80]}”.")
        elif not team.is_active:
            wrong.append(f"The team “{team.name}” is closed.")
        else:
            found[team.pk] = team
    return tuple(found.values()), wrong
