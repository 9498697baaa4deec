"""Models that are installed and in use, brought there by the real verbs; their files are said to be sound."""

from __future__ import annotations

from accounts.models import User
from diagnosis import actions
from diagnosis.models import ModelProposal, ModelVersion
from ml.contract import ModelIdentity
from tests.fixture_results import MODEL


def registered(said: ModelIdentity = MODEL, *, active: bool = False, shadow: bool = False) -> ModelVersion:
    """The row of an artefact, as the portal would have found it."""
    return ModelVersion.objects.create(
        name=said.name,
        version=said.version,
        modality=said.modality,
        status=said.status,
        sha256=said.sha256,
        active=active,
        shadow=shadow,
    )


def switched(
    model: ModelVersion, *, by: User, and_by: User, change: str = "use", reason: str = "Trial of the board, 14 Nov"
) -> ModelProposal:
    """A change of the model in use, proposed by one person and confirmed by another."""
    proposal = actions.propose_change(acting_user=by, model=model, change=change, reason=reason)
    return actions.confirm_change(acting_user=and_by, proposal=proposal)
