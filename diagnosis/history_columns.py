"""The columns of the history: how each is sorted, and what is written for each to a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from diagnosis.keyset import Order, Term, opposite
from diagnosis.models import Analysis

NEWEST_FIRST: Order = (Term("queued_at", descending=True), Term("id"))


@dataclass(frozen=True, slots=True)
class Column:
    """A column that can be sorted by.

    Attributes:
        key: its name in the address.
        title: its heading.
        ascending: the order; each begins with the columns of an index of the table.
    """

    key: str
    title: str
    ascending: Order

    def order(self, *, descending: bool) -> Order:
        return opposite(self.ascending) if descending else self.ascending


COLUMNS = (
    Column("patient", "Patient", (Term("patient_name"), *NEWEST_FIRST)),
    Column("modality", "Image", (Term("modality"), *NEWEST_FIRST)),
    Column("result", "Result", (Term("label"), *NEWEST_FIRST)),
    Column("confidence", "Confidence", (Term("confidence", nullable=True), Term("id"))),
    Column("state", "State", (Term("state"), *NEWEST_FIRST)),
    Column("model", "Model", (Term("model_name"), Term("model_version"), *NEWEST_FIRST)),
    Column("when", "Asked for", opposite(NEWEST_FIRST)),
)
BY_KEY = {column.key: column for column in COLUMNS}
DEFAULT = "-when"


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading: where it leads, and the order it has now (a value of ``aria-sort``)."""

    title: str
    sort: str
    direction: str


def chosen(sort: str) -> tuple[Column, bool]:
    """Return the column and whether it is descending; an unknown one is the newest first."""
    key = sort.removeprefix("-")
    if key not in BY_KEY:
        sort, key = DEFAULT, DEFAULT.removeprefix("-")
    return BY_KEY[key], sort.startswith("-")


def headings(column: Column, *, descending: bool) -> list[Heading]:
    """The headings in order; the sorted one leads to its opposite, a time or a figure begins with the largest."""
    rows = []
    for one in COLUMNS:
        if one is column:
            sort = one.key if descending else f"-{one.key}"
            rows.append(Heading(one.title, sort, "descending" if descending else "ascending"))
        else:
            first = f"-{one.key}" if one.key in ("when", "confidence") else one.key
            rows.append(Heading(one.title, first, "none"))
    return rows


def _moment(value: Any) -> str:
    return timezone.localtime(value).isoformat(timespec="seconds") if value else ""


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


EXPORTED: tuple[tuple[str, Callable[[Analysis], Any]], ...] = (
    ("analysis", lambda row: row.pk),
    ("queued_at", lambda row: _moment(row.queued_at)),
    ("finished_at", lambda row: _moment(row.finished_at)),
    ("mrn", lambda row: row.patient.mrn),
    ("family_name", lambda row: row.patient.family_name),
    ("given_name", lambda row: row.patient.given_name),
    ("study", lambda row: row.image.study_id),
    ("accession_number", lambda row: row.image.study.accession_number),
    ("image", lambda row: row.image_id),
    ("image_name", lambda row: row.image.original_name),
    ("modality", lambda row: row.modality),
    ("laterality", lambda row: row.image.laterality),
    ("state", lambda row: row.state),
    ("label", lambda row: row.label),
    ("confidence", lambda row: _figure(row.confidence)),
    ("probability_benign", lambda row: _figure(row.probability_benign)),
    ("probability_malignant", lambda row: _figure(row.probability_malignant)),
    ("probability_normal", lambda row: _figure(row.probability_normal)),
    ("suspicion", lambda row: "" if row.suspicion is None else row.suspicion),
    ("model", lambda row: row.model_name),
    ("model_version", lambda row: row.model_version),
    ("model_status", lambda row: row.model_status),
    ("reasons", lambda row: " ".join(row.reasons) or row.error_message),
    ("synthetic", lambda row: "yes" if row.patient.synthetic else "no"),
    ("uncertain", lambda row: ("yes" if row.uncertain else "no") if row.label else ""),
    ("prevalence", lambda row: _figure(row.prevalence)),
)
"""Heading and value of each column of the CSV file, in order (docs/api.md)."""
