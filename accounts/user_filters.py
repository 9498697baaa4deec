"""Which users a list shows, and in which order; kept in the address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db.models import Exists, F, OrderBy, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.mfa_policy import FACTORS
from accounts.models import Team, User
from accounts.roles import Role

LONG_AGO = timedelta(days=90)
ACCESS = {
    "yes": "May sign in",
    "invited": "Invited, no password yet",
    "no": "Switched off",
}
FACTOR = {"yes": "Set up", "no": "None"}
SEEN = {"never": "Never", "long-ago": f"Over {LONG_AGO.days} days ago"}

_NAME = ("family_name", "given_name", "email")
ORDERS: dict[str, tuple[str, ...]] = {
    "name": _NAME,
    "email": ("email",),
    "role": ("role", *_NAME),
    "last_sign_in": ("last_login", *_NAME),
}
TITLES = {"name": "Name", "email": "E-mail address", "role": "Role", "last_sign_in": "Last sign-in"}


@dataclass(frozen=True, slots=True)
class Heading:
    """A column that can be sorted by: where its heading leads, and the order it has now (``aria-sort``)."""

    key: str
    title: str
    sort: str
    direction: str


@dataclass(frozen=True, slots=True)
class UserFilter:
    """What was asked for. A value that does not exist filters nothing.

    Attributes:
        sort: column, with a minus for the last first.
    """

    words: str = ""
    role: str = ""
    team: str = ""
    active: str = ""
    factor: str = ""
    seen: str = ""
    sort: str = "name"

    @classmethod
    def of(cls, request: HttpRequest, *, words: str) -> Self:
        get = request.GET.get
        sort = get("sort", "name")
        team = get("team", "")
        return cls(
            words=words,
            role=_known(get("role", ""), Role.values),
            team=team if team.isascii() and team.isdigit() and len(team) < 10 else "",
            active=_known(get("active", ""), ACCESS),
            factor=_known(get("factor", ""), FACTOR),
            seen=_known(get("seen", ""), SEEN),
            sort=sort if sort.removeprefix("-") in ORDERS else "name",
        )

    @property
    def asked(self) -> dict[str, str]:
        """What narrows the list, by its name in the address. Of words only that there are some: they are names."""
        values = {
            "words": "yes" if self.words else "",
            "role": self.role,
            "team": self.team,
            "active": self.active,
            "factor": self.factor,
            "seen": self.seen,
        }
        return {name: value for name, value in values.items() if value}

    def apply(self, users: QuerySet[User]) -> QuerySet[User]:
        """The users that match, in order, with ``has_factor`` and their teams."""
        factors = Authenticator.objects.filter(user_id=OuterRef("pk"), type__in=FACTORS)
        found = users.search(self.words).annotate(has_factor=Exists(factors))  # type: ignore[attr-defined]
        if self.role:
            found = found.filter(role=self.role)
        if self.team:
            found = found.filter(teams=int(self.team))
        if self.active:
            found = found.filter(is_active=self.active != "no")
        if self.active == "invited":
            found = found.filter(invited_at__isnull=False, password__startswith=UNUSABLE_PASSWORD_PREFIX)
        if self.factor:
            found = found.filter(has_factor=self.factor == "yes")
        if self.seen == "never":
            found = found.filter(last_login=None)
        elif self.seen == "long-ago":
            found = found.filter(last_login__lt=timezone.now() - LONG_AGO)
        return found.order_by(*self._order).prefetch_related("teams")

    @property
    def _order(self) -> list[OrderBy]:
        """Who never signed in comes last, however it is sorted."""
        descending = self.sort.startswith("-")
        first, *rest = ORDERS[self.sort.removeprefix("-")]
        leading = F(first).desc(nulls_last=True) if descending else F(first).asc(nulls_last=True)
        return [leading, *(F(name).asc() for name in rest), F("pk").asc()]

    @property
    def headings(self) -> dict[str, Heading]:
        return {key: self._heading(key) for key in ORDERS}

    def _heading(self, key: str) -> Heading:
        if key == self.sort.removeprefix("-"):
            descending = self.sort.startswith("-")
            other, direction = (key, "descending") if descending else (f"-{key}", "ascending")
        else:
            # The latest sign-ins first is what one asks for.
            other, direction = ("-last_sign_in" if key == "last_sign_in" else key), "none"
        return Heading(key=key, title=TITLES[key], sort=other, direction=direction)

    def choices(self) -> list[dict[str, Any]]:
        """The selects of the page, without those that offer nothing."""
        teams = {str(pk): name for pk, name in Team.objects.values_list("pk", "name")}
        selects = (
            ("role", "Role", dict(Role.choices), self.role),
            ("team", "Team", teams, self.team),
            ("active", "Access", ACCESS, self.active),
            ("factor", "Second factor", FACTOR, self.factor),
            ("seen", "Last sign-in", SEEN, self.seen),
        )
        return [
            {"name": name, "label": label, "options": options.items(), "value": value}
            for name, label, options, value in selects
            if options
        ]


def _known(value: str, among: Any) -> str:
    return value if value in among else ""
