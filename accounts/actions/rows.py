"""Steps that several verbs take: setting allowed fields, saving what somebody else may have taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, models, transaction


def apply(target: Any, changes: Mapping[str, Any], *, allowed: tuple[str, ...]) -> list[str]:
    """Set the allowed fields and return the names of those that changed."""
    unknown = set(changes) - set(allowed)
    if unknown:
        raise TypeError(f"Not fields that may be written here: {', '.join(sorted(unknown))}.")
    changed = [name for name, value in changes.items() if getattr(target, name) != value]
    for name in changed:
        setattr(target, name, changes[name])
    return changed


def save(row: models.Model, *, force_insert: bool = False) -> None:
    """Save a validated row. A value that somebody else took since it was validated raises ``ValidationError``."""
    try:
        with transaction.atomic():
            row.save(force_insert=force_insert)
    except IntegrityError:
        row.validate_unique()
        raise
