"""Questions about changes of the model in use: what is open, what was done, and what was in use before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import AuditEvent, User
from accounts.roles import Role
from diagnosis.models import ModelProposal, ModelVersion

LISTED_CHANGES = 30
OPEN = Q(confirmed_at=None, withdrawn_at=None)


def open_proposals(modality: str = "") -> QuerySet[ModelProposal]:
    """Proposals that wait for a second person; of one modality, or of all."""
    rows = ModelProposal.objects.filter(OPEN).select_related("model", "replaced", "proposed_by")
    return rows.filter(model__modality=modality) if modality else rows


def rolls_back_to(modality: str) -> ModelVersion | None:
    """The version that was in use before the last confirmed change of a modality.

    ``None`` when there was none, and when the model in use came in by another way since (an installation).
    """
    last = (
        ModelProposal.objects.filter(model__modality=modality, confirmed_at__isnull=False)
        .select_related("replaced", "model")
        .order_by("-confirmed_at", "-pk")
        .first()
    )
    if last is None or last.replaced is None:
        return None
    left_in_use = None if last.change == ModelProposal.Change.STOP else last.model_id
    active = ModelVersion.objects.filter(modality=modality, active=True).values_list("pk", flat=True).first()
    return last.replaced if active == left_in_use else None


def others_who_may_confirm(user: User) -> QuerySet[User]:
    """Administrators besides ``user`` who can sign in."""
    return User.objects.filter(is_active=True, role=Role.ADMINISTRATOR).exclude(pk=user.pk)


@dataclass(frozen=True, slots=True)
class ChangeMade:
    """One line of the history of a modality: a settled proposal, or what an installation did.

    Attributes:
        outcome: ``confirmed``, ``withdrawn``, ``declined`` or ``installed``.
        proposal: ``None`` for an installation.
    """

    at: datetime
    model: ModelVersion
    outcome: str
    what: str
    proposal: ModelProposal | None = None


INSTALLED = {"model.activated": "Taken into use at installation", "model.retired": "Taken out of use at installation"}
"""What the system does by itself (``register_models``), by the action in the ledger."""


def changes_made(models: Iterable[ModelVersion]) -> list[ChangeMade]:
    """What became of the proposals about ``models`` and what installations changed, newest first."""
    by_key = {str(model.pk): model for model in models}
    settled = (
        ModelProposal.objects.filter(model__in=list(by_key))
        .exclude(OPEN)
        .select_related("model", "replaced", "proposed_by", "confirmed_by", "withdrawn_by")
    )
    found = [_of_proposal(row) for row in settled[:LISTED_CHANGES]]
    by_system = AuditEvent.objects.filter(
        object_type="modelversion", object_id__in=by_key, actor=None, action__in=INSTALLED
    )
    found += [
        ChangeMade(at=row.at, model=by_key[row.object_id], outcome="installed", what=INSTALLED[row.action])
        for row in by_system[:LISTED_CHANGES]
    ]
    return sorted(found, key=lambda one: one.at, reverse=True)[:LISTED_CHANGES]


def _of_proposal(row: ModelProposal) -> ChangeMade:
    if row.confirmed_at is not None:
        return ChangeMade(row.confirmed_at, row.model, "confirmed", row.get_change_display(), row)
    own = row.withdrawn_by_id == row.proposed_by_id
    outcome = "withdrawn" if own else "declined"
    return ChangeMade(row.withdrawn_at or row.proposed_at, row.model, outcome, row.get_change_display(), row)


@dataclass(frozen=True, slots=True)
class ShadowBegan:
    """When, by whom and why a candidate was set into the shadow."""

    at: datetime
    who: str
    reason: str


def shadow_began(model: ModelVersion) -> ShadowBegan | None:
    """How the candidate came into the shadow, as the ledger has it; ``None`` for one that is not there."""
    row = (
        AuditEvent.objects.filter(object_type="modelversion", object_id=str(model.pk), action="model.shadow_began")
        .select_related("actor")
        .order_by("-pk")
        .first()
        if model.shadow
        else None
    )
    if row is None:
        return None
    who = row.actor.get_full_name() if row.actor else ""
    return ShadowBegan(at=row.at, who=who, reason=row.purpose)
