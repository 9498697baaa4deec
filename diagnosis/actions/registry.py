"""Which models the site knows."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from accounts import audit
from diagnosis.models import ModelVersion


@transaction.atomic
def register_models(*, found: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Note the installed artefacts. The first released model of a modality becomes its active one.

    Args:
        found: unsaved rows, one per artefact in the model directory.
    """
    rows = []
    for candidate in found:
        row, created = ModelVersion.objects.get_or_create(
            name=candidate.name,
            version=candidate.version,
            defaults={"modality": candidate.modality, "status": candidate.status, "sha256": candidate.sha256},
        )
        if not created and (row.sha256, row.status) != (candidate.sha256, candidate.status):
            row.sha256, row.status = candidate.sha256, candidate.status
            row.save(update_fields=["sha256", "status"])
            audit.record("model.changed", actor=None, target=row, sha256=row.sha256)
        if created:
            audit.record("model.registered", actor=None, target=row, sha256=row.sha256)
        is_released = row.status == ModelVersion.Status.RELEASED
        if is_released and not ModelVersion.objects.filter(modality=row.modality, active=True).exists():
            row.active = True
            row.save(update_fields=["active"])
        rows.append(row)
    return rows
