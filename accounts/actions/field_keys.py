"""Changing the keys of encrypted fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db import models, transaction
from django.db.models.functions import Cast

from accounts import audit
from accounts.encryption import EncryptedField, Sealed, is_under_first_key, seal, unseal

BATCH = 200
"""Rows that one transaction re-encrypts: other people write in between."""


SEALED_OF_FACTORS = ("secret", "seed")
"""What allauth keeps encrypted (``accounts.second_factor``) within the JSON of a second factor."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """How the values of one encrypted column are stored.

    Attributes:
        name: model and field, for people.
        current: values under the first key.
        older: values under another key of this site.
        unreadable: values that no key of this site opens.
    """

    name: str
    current: int
    older: int
    unreadable: int


def encrypted_columns() -> list[tuple[type[models.Model], str]]:
    """Every encrypted column of the project."""
    return [
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, EncryptedField)
    ]


def _stored(model: type[models.Model], column: str) -> Iterator[tuple[Any, str]]:
    """Key and stored value of every row that has one, by key."""
    rows = model._default_manager.annotate(stored=Cast(column, models.TextField())).exclude(stored="")
    return rows.order_by("pk").values_list("pk", "stored").iterator(chunk_size=BATCH)


def _stored_of_factors() -> Iterator[tuple[Any, str, str]]:
    """Key of the row, name within its JSON, and stored value of every secret of a second factor."""
    for row in Authenticator.objects.order_by("pk").iterator(chunk_size=BATCH):
        for name in SEALED_OF_FACTORS:
            if name in row.data:
                yield row.pk, name, row.data[name]


def sealings() -> list[Sealing]:
    """How every encrypted column is stored. Reads every row."""
    found = [
        _counted(f"{model._meta.verbose_name} {column}", (stored for _, stored in _stored(model, column)))
        for model, column in encrypted_columns()
    ]
    return [*found, _counted("second factor keys", (stored for _, _, stored in _stored_of_factors()))]


def _counted(name: str, values: Iterable[str]) -> Sealing:
    counts = {"current": 0, "older": 0, "unreadable": 0}
    for stored in values:
        state = "current" if is_under_first_key(stored) else "unreadable" if unseal(stored) is None else "older"
        counts[state] += 1
    return Sealing(name=name, **counts)


def rotate_field_keys() -> tuple[int, int]:
    """Encrypt everything under the first key; return how many values were changed, and how many no key opens.

    What is under the first key already is passed over, so a run that was killed is simply started again. A value that
    somebody changes meanwhile stays as they wrote it: that is under the first key.
    """
    changed = unreadable = 0
    for model, column in encrypted_columns():
        waiting: list[tuple[Any, str]] = []
        for pk, stored in _stored(model, column):
            if is_under_first_key(stored):
                continue
            waiting.append((pk, stored))
            if len(waiting) == BATCH:
                done, closed = _rotate(model, column, waiting)
                changed, unreadable, waiting = changed + done, unreadable + closed, []
        done, closed = _rotate(model, column, waiting)
        changed, unreadable = changed + done, unreadable + closed
    for pk, name, stored in list(_stored_of_factors()):
        if not is_under_first_key(stored):
            done, closed = _rotate_factor(pk, name)
            changed, unreadable = changed + done, unreadable + closed
    audit.record("field_keys.rotated", actor=None, changed=changed, unreadable=unreadable)
    return changed, unreadable


@transaction.atomic
def _rotate(model: type[models.Model], column: str, rows: list[tuple[Any, str]]) -> tuple[int, int]:
    changed = unreadable = 0
    for pk, stored in rows:
        text = unseal(stored)
        if text is None:
            unreadable += 1
            continue
        unchanged = model._default_manager.annotate(stored=Cast(column, models.TextField())).filter(
            pk=pk, stored=stored
        )
        changed += unchanged.update(**{column: Sealed(seal(text))})
    return changed, unreadable


@transaction.atomic
def _rotate_factor(pk: Any, name: str) -> tuple[int, int]:
    row = Authenticator.objects.select_for_update().filter(pk=pk).first()
    if row is None:
        return 0, 0
    text = unseal(row.data[name])
    if text is None:
        return 0, 1
    row.data[name] = seal(text)
    row.save(update_fields=["data"])
    return 1, 0
