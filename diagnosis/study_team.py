"""Whose a new study is, where the person who begins it works in several teams."""

from __future__ import annotations

from typing import Any

from accounts.models import Patient, Team
from diagnosis.models import Study


def teams_to_choose(user: Any) -> list[Team]:
    """The teams to choose from; empty for who is in none or one: then there is nothing to ask."""
    teams = list(Team.objects.taking_studies_of(user))
    return teams if len(teams) > 1 else []


def likely_team(user: Any, *, patient: Patient, teams: list[Team]) -> Team | None:
    """That of ``teams`` to which the patient's newest study belongs, else the person's own newest, else the first."""
    studies = Study.objects.filter(team__in=teams).select_related("team").order_by("-created_at")
    newest = studies.filter(patient=patient).first() or studies.filter(created_by=user.pk).first()
    return newest.team if newest is not None else next(iter(teams), None)
