"""Pages of a sorted list by position: the page after a row, not the page at an offset.

``OFFSET 50000`` reads and throws away 50,000 rows, and shows a row twice when one arrives meanwhile. Here a page begins
after the values of the last row seen (Winand, "We need tool support for keyset pagination"), so every page costs the
same.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import F, Model, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP


@dataclass(frozen=True, slots=True)
class Term:
    """One column of an order.

    Attributes:
        path: from the listed model to the field, as in ``filter``.
        descending: largest first.
        nullable: rows without a value come last, whichever the direction.
    """

    path: str
    descending: bool = False
    nullable: bool = False

    def opposite(self) -> Term:
        return Term(path=self.path, descending=not self.descending, nullable=self.nullable)


Order = tuple[Term, ...]
"""Columns that together are different for every row."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows in the order asked for, and the positions from which the neighbouring pages are read."""

    rows: list[Any]
    before: str | None
    after: str | None


def opposite(order: Order) -> Order:
    return tuple(term.opposite() for term in order)


def _position(values: Sequence[Any]) -> str:
    plain = [value if isinstance(value, int | float | None) else str(value) for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def _field(model: type[Model], path: str) -> Any:
    *relations, last = path.split(LOOKUP_SEP)
    owner: Any = model
    for name in relations:
        owner = owner._meta.get_field(name).related_model
    return owner._meta.get_field(last)


def _values(model: type[Model], order: Order, position: str) -> list[Any] | None:
    """Return the values a position stands for, or ``None`` when it is not one of this order."""
    try:
        plain = json.loads(base64.urlsafe_b64decode(position + "=" * (-len(position) % 4)))
        if not isinstance(plain, list) or len(plain) != len(order):
            return None
        if any(value is None and not term.nullable for value, term in zip(plain, order, strict=True)):
            return None
        return [
            None if value is None else _field(model, term.path).clean(value, None)
            for value, term in zip(plain, order, strict=True)
        ]
    except (ValueError, TypeError, OverflowError, RecursionError, ValidationError, FieldDoesNotExist):
        return None


def _levels(order: Order, values: Sequence[Any], *, nulls_first: bool) -> Iterator[Q]:
    """Yield the rows beyond the position as conditions that follow each other in the order.

    First those that agree in all columns but the last, then in all but the last two, and so on. Each is one range of an
    index; the OR of them is not, and databases answer it by reading everything.
    """
    for depth in reversed(range(len(order))):
        same = Q()
        for term, value in zip(order[:depth], values, strict=False):
            same &= Q(**{f"{term.path}__isnull": True}) if value is None else Q(**{term.path: value})
        term, value = order[depth], values[depth]
        if value is not None:
            yield same & Q(**{f"{term.path}__{'lt' if term.descending else 'gt'}": value})
        if term.nullable and (value is None) == nulls_first:
            yield same & Q(**{f"{term.path}__isnull": not nulls_first})


def _sorted(rows: QuerySet[Any], order: Order, *, nulls_first: bool) -> QuerySet[Any]:
    columns: list[Any] = []
    for term in order:
        if term.nullable:
            nulls = {"nulls_first": True} if nulls_first else {"nulls_last": True}
            columns.append(F(term.path).desc(**nulls) if term.descending else F(term.path).asc(**nulls))
        else:
            columns.append(f"-{term.path}" if term.descending else term.path)
    return rows.order_by(*columns)


def slice_of(
    matching: QuerySet[Any],
    order: Order,
    *,
    loaded: QuerySet[Any],
    size: int,
    after: str | None = None,
    before: str | None = None,
) -> Slice:
    """Read one page: first the keys of its rows, then the rows.

    Args:
        matching: the filtered rows; their own order is replaced.
        order: must tell any two rows apart.
        loaded: all rows, with whatever is to be loaded beside them; joined to the rows of the page only.
        size: rows on a page.
        after, before: a position of :class:`Slice`; one that is not of this order reads the first page.
    """
    values = _values(matching.model, order, before or after or "") if before or after else None
    backwards = bool(before) and values is not None
    direction = opposite(order) if backwards else order
    columns = ("pk", *(term.path for term in order))
    found = _sorted(matching, direction, nulls_first=backwards).values_list(*columns)
    levels = [Q()] if values is None else _levels(direction, values, nulls_first=backwards)
    read: list[Any] = []
    for level in levels:
        read += found.filter(level)[: size + 1 - len(read)]
        if len(read) > size:
            break
    more, page = len(read) > size, read[:size]
    if backwards:
        page.reverse()
    has_previous = more if backwards else values is not None
    has_next = values is not None if backwards else more
    by_key = loaded.in_bulk([key for key, *_ in page])
    return Slice(
        # A row that was deleted between the two questions is left out.
        rows=[by_key[key] for key, *_ in page if key in by_key],
        before=_position(page[0][1:]) if page and has_previous else None,
        after=_position(page[-1][1:]) if page and has_next else None,
    )
