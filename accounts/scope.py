"""What a person's teams open: the one place that says which studies a radiologist sees.

``visible_to`` of patients, studies, images, analyses and reports all ask :func:`scope_of`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Exists, OuterRef, Q

from accounts.roles import Role


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose studies a person sees.

    Attributes:
        everything: nothing is closed to them: an administrator, or there is no team that they are not in.
        teams: keys of their own teams; studies of no team are seen besides.
        emergencies: patients whose whole record they hold by emergency access now.
    """

    everything: bool
    teams: frozenset[int] = frozenset()
    emergencies: frozenset[uuid.UUID] = frozenset()

    def condition(self, *, team: str, patient: str) -> Q:
        """The rows that are seen.

        Args:
            team, patient: paths from the row to the keys of its team and patient, such as ``study__team``.
        """
        seen = Q(**{f"{team}__isnull": True})
        if self.teams:
            seen |= Q(**{f"{team}__in": sorted(self.teams)})
        if self.emergencies:
            seen |= Q(**{f"{patient}__in": sorted(self.emergencies)})
        return seen


def scope_of(user: Any) -> Scope:
    """The scope of ``user`` as it is now: one query where a site has no teams, two where it has."""
    if user.role != Role.RADIOLOGIST:
        return Scope(everything=True)
    own = user.teams.through.objects.filter(user_id=user.pk, team_id=OuterRef("pk"))
    teams = dict(apps.get_model("accounts", "Team").objects.order_by().values_list("pk", Exists(own)))
    if all(teams.values()):
        return Scope(everything=True)
    held = apps.get_model("accounts", "EmergencyAccess").objects.running().filter(user_id=user.pk)
    return Scope(
        everything=False,
        teams=frozenset(pk for pk, is_own in teams.items() if is_own),
        emergencies=frozenset(held.values_list("patient_id", flat=True)),
    )
