"""Which models the site knows, which of them it uses, and the prevalence they are told."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from accounts.permissions import require
from diagnosis.actions.steps import WrongState
from diagnosis.models import ModalitySetting, ModelVersion
from diagnosis.models.registry import LEAST_PREVALENCE, MOST_PREVALENCE


@transaction.atomic
def register_models(*, found: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Note the installed artefacts, and see that each modality has an active one if a released one is installed.

    What was registered under a name and version stays: an artefact that changed under the same version is not taken
    over, so analyses fail (``model_altered``) until the folder is restored or the change gets a version of its own. An
    active model whose folder was removed, or that is a research model which a person chose, hands over to the first
    released one found of its modality; without one it stays active (and analyses fail with ``model_missing`` where its
    folder is gone). A research model becomes active by a confirmed proposal alone
    (``diagnosis.actions.proposals``).

    Args:
        found: unsaved rows, one per artefact in the model directory, newest version first.
    """
    candidates = list(found)
    # Those that are there, before the first ledger row: somebody may be switching models at this moment.
    list(ModelVersion.objects.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    rows = []
    for candidate in candidates:
        row, created = ModelVersion.objects.get_or_create(
            name=candidate.name,
            version=candidate.version,
            defaults={"modality": candidate.modality, "status": candidate.status, "sha256": candidate.sha256},
        )
        if created:
            audit.record("model.registered", actor=None, target=row, sha256=row.sha256)
        rows.append(row)
    installed = {row.pk for row in rows}
    for row in rows:
        if row.status != ModelVersion.Status.RELEASED:
            continue
        active = ModelVersion.objects.filter(modality=row.modality, active=True).first()
        if active is not None and active.pk in installed and not active.is_research:
            continue
        if active is not None:
            _retire(active)
            audit.record("model.retired", actor=None, target=active)
        row.active, row.shadow = True, False
        row.save(update_fields=["active", "shadow"])
        audit.record("model.activated", actor=None, target=row)
    return rows


def versions_of(modality: str) -> dict[int, ModelVersion]:
    """Every version of a modality by key, locked: of two switches at a time the second one sees what the first did."""
    rows = ModelVersion.objects.select_for_update(no_key=True).filter(modality=modality).order_by("pk")
    return {row.pk: row for row in rows}


def in_use(rows: dict[int, ModelVersion]) -> ModelVersion | None:
    return next((row for row in rows.values() if row.active), None)


def refuse_use(model: ModelVersion, *, rows: dict[int, ModelVersion]) -> None:
    """Raise unless ``model`` could analyse the new images of its modality now.

    Raises:
        WrongState: it is in use already, or it is a research model and a released one reads the modality.
    """
    if rows[model.pk].active:
        raise WrongState(f"{model} is in use already.")
    if model.is_research and any(row.active and not row.is_research for row in rows.values()):
        raise WrongState("A released model reads these images. A research model does not take its place.")


def refuse_stop(model: ModelVersion, *, rows: dict[int, ModelVersion]) -> None:
    """Raise unless the research model ``model`` is in use; a released one is replaced, not stopped."""
    row = rows[model.pk]
    if not row.active or not row.is_research:
        raise WrongState("Only a research model that is in use can be stopped here.")


def take_into_use(
    model: ModelVersion, *, rows: dict[int, ModelVersion], proposed_by: User, confirmed_by: User, reason: str
) -> None:
    """Have ``model`` analyse the new images of its modality. The last step of a confirmed proposal alone.

    Results that exist stay as they are.
    """
    refuse_use(model, rows=rows)
    for row in rows.values():
        if row.active:
            _retire(row)
            audit.record("model.retired", actor=confirmed_by, target=row)
    chosen = rows[model.pk]
    chosen.active, chosen.chosen_because = True, reason
    chosen.chosen_by, chosen.chosen_at = proposed_by, timezone.now()
    chosen.save(update_fields=["active", "chosen_because", "chosen_by", "chosen_at"])
    audit.record(
        "model.activated",
        actor=confirmed_by,
        target=chosen,
        status=chosen.status,
        purpose=reason,
        proposed_by=proposed_by.pk,
    )


def take_out_of_use(
    model: ModelVersion, *, rows: dict[int, ModelVersion], proposed_by: User, confirmed_by: User, reason: str
) -> None:
    """Have the research model ``model`` analyse no further images; likewise."""
    refuse_stop(model, rows=rows)
    _retire(rows[model.pk])
    audit.record(
        "model.retired",
        actor=confirmed_by,
        target=model,
        status=model.status,
        purpose=reason,
        proposed_by=proposed_by.pk,
    )


@transaction.atomic
def set_prevalence(*, acting_user: User, modality: str, prevalence: float | None) -> ModalitySetting:
    """Re-base the probabilities of later analyses to the site's own prevalence of malignancy; ``None``: the model's.

    Results that exist stay as they are.

    Raises:
        WrongState: the prevalence is not within 0.1 % and 90 %.
    """
    require(acting_user, "model", "set_prevalence")
    if prevalence is not None and not LEAST_PREVALENCE <= prevalence <= MOST_PREVALENCE:
        raise WrongState("Enter a prevalence from 0.1 to 90 percent, or nothing for the model's own.")
    row, _ = ModalitySetting.objects.select_for_update(no_key=True).get_or_create(modality=modality)
    before, row.prevalence, row.changed_by = row.prevalence, prevalence, acting_user
    row.save(update_fields=["prevalence", "changed_by", "changed_at"])
    audit.record(
        "prevalence.changed", actor=acting_user, target=row, modality=modality, before=before, after=prevalence
    )
    return row


def _retire(row: ModelVersion) -> None:
    row.active, row.chosen_because, row.chosen_by, row.chosen_at = False, "", None, None
    row.save(update_fields=["active", "chosen_because", "chosen_by", "chosen_at"])
