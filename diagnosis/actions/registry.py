"""Which models the site knows."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from accounts import audit
from diagnosis.models import ModelVersion


@transaction.atomic
def register_models(*, found: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Note the installed artefacts, and see that each modality has an active one if a released one is installed.

    What was registered under a name and version stays: an artefact that changed under the same version is not taken
    over, so analyses fail (``model_altered``) until the folder is restored or the change gets a version of its own. An
    active model whose folder was removed hands over to the first released one found of its modality; without one it
    stays active, and analyses fail (``model_missing``).

    Args:
        found: unsaved rows, one per artefact in the model directory, newest version first.
    """
    candidates = list(found)
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
        if active is not None and active.pk in installed:
            continue
        if active is not None:
            active.active = False
            active.save(update_fields=["active"])
            audit.record("model.retired", actor=None, target=active)
        row.active = True
        row.save(update_fields=["active"])
        audit.record("model.activated", actor=None, target=row)
    return rows
