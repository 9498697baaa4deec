"""Studies are made, and given to a team."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import Patient, Team, User
from accounts.permissions import require
from accounts.scope import Scope, scope_of
from diagnosis.models import Analysis, Study

STUDY_FIELDS = ("modality", "laterality", "clinical_history", "accession_number")


@transaction.atomic
def create_study(
    *,
    acting_user: User | None,
    patient: Patient,
    team: Team | None = None,
    once: uuid.UUID | None = None,
    **values: Any,
) -> Study:
    """``-> RECEIVED``. The study belongs to the team of who makes it.

    Args:
        team: whose radiologists see it; who is in several teams has to say which, who is in one need not.
        once: key of the form that it was typed in. The same person sending the same form twice gets the study that is
            there; other values typed in it make another study.

    Raises:
        ValidationError: when a value is not allowed, or the team is not one of ``acting_user``.
    """
    if acting_user is not None:
        require(acting_user, "study", "create")
        team = _team_of_new_study(acting_user, patient=patient, team=team)
    unknown = set(values) - set(STUDY_FIELDS)
    if unknown:
        raise TypeError(f"Not fields of a study: {', '.join(sorted(unknown))}.")
    study = Study(patient=patient, team=team, created_by=acting_user, **values)
    if once is not None:
        said = json.dumps([values.get(field, "") for field in STUDY_FIELDS])
        whose = f"{acting_user.pk if acting_user else ''} {patient.pk} {team.pk if team else ''}"
        study.pk = uuid.uuid5(once, f"{whose} {said}")
        made = Study.objects.filter(pk=study.pk).first()
        if made is not None:
            return made
    study.full_clean(exclude=["created_by", "id"])
    try:
        with transaction.atomic():
            study.save(force_insert=True)
    except IntegrityError:
        # The other sending of the form was a moment earlier; the database held this one until that was stored.
        made = Study.objects.filter(pk=study.pk).first()
        if made is None:
            raise
        return made
    audit.record(
        "study.created",
        actor=acting_user,
        target=study,
        patient=patient,
        modality=study.modality,
        team=team.pk if team else None,
    )
    return study


def _team_of_new_study(user: User, *, patient: Patient, team: Team | None) -> Team | None:
    scope = scope_of(user)
    if patient.pk in scope.emergencies and not _opened_by_teams(patient, scope):
        # A study of the reader's own team would keep the record open to them after the emergency.
        newest = Study.objects.filter(patient=patient, team__isnull=False).exclude(team__members=user)
        found = newest.select_related("team").order_by("-created_at").first()
        if found is not None:
            return found.team
    own = list(Team.objects.taking_studies_of(user))
    if team is not None:
        if team not in own:
            raise ValidationError({"team": "You are not in this team, or it takes no studies. Choose one of yours."})
        return team
    if len(own) > 1:
        raise ValidationError({"team": "You are in several teams: choose the one whose study this is."})
    return own[0] if own else None


def _opened_by_teams(patient: Patient, scope: Scope) -> bool:
    """Whether the record stays open to the person when the emergency is over."""
    lasting = replace(scope, emergencies=frozenset())
    return Study.objects.filter(lasting.condition(team="team", patient="patient"), patient=patient).exists()


@transaction.atomic
def assign_study(*, acting_user: User, study: Study, team: Team | None) -> Study:
    """Give a study to another team, whose radiologists see it from then on and nobody else's; ``None``: everybody's.

    Raises:
        ValidationError: when the team is switched off.
    """
    require(acting_user, "study", "assign")
    # An upload holds the patient's row while it files (diagnosis.actions.images): its analysis gets the new team too.
    Patient.objects.select_for_update(no_key=True).get(pk=study.patient_id)
    rows = Study.objects.select_for_update(no_key=True, of=("self",)).select_related("team", "patient")
    study = rows.get(pk=study.pk)
    if team == study.team:
        return study
    if team is not None and not team.is_active:
        raise ValidationError({"team": f"{team.name} is switched off and takes no studies."})
    former, study.team = study.team, team
    study.save(update_fields=["team"])
    Analysis.objects.filter(image__study=study).update(team=team)
    audit.record(
        "study.assigned",
        actor=acting_user,
        target=study,
        patient=study.patient,
        former=former.pk if former else None,
        team=team.pk if team else None,
    )
    return study
