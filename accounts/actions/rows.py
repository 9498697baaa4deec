"""Steps that several verbs take: setting allowed fields, saving what somebody else may have taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, models, transaction

from accounts.models import User


def apply(target: Any, changes: Mapping[str, Any], *, allowed: tuple[str, ...]) -> list[str]:
    """Set the allowed fields and return the names of those that changed."""
    unknown = set(changes) - set(allowed)
    if unknown:
        raise TypeError(f"Not fields that may be written here: {', '.join(sorted(unknown))}.")
    changed = [name for name, value in changes.items() if getattr(target, name) != value]
    for name in changed:
        setattr(target, name, changes[name])
    return changed


def hold_users(keys: Iterable[Any]) -> None:
    """Hold these log-ins until the transaction ends, in one order for everybody.

    For verbs that write several rows of the ledger: the last of their locks comes before the first of those rows, so
    that who holds the chain waits for nobody (``accounts.audit``).
    """
    list(User.objects.select_for_update(no_key=True).filter(pk__in=list(keys)).order_by("pk").values_list("pk"))


def save(row: models.Model, *, force_insert: bool = False) -> None:
    """Save a validated row. A value that somebody else took since it was validated raises ``ValidationError``."""
    try:
        with transaction.atomic():
            row.save(force_insert=force_insert)
    except IntegrityError:
        row.validate_unique()
        raise
