"""Where readers and the model disagree: by scanner and month. Discordant: one says malignant and the other does not.

Readers may have seen the result before they concluded, so agreement is no proof that the model is right; a scanner or a
month that differs from the others is a reason to look.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import ExtractMonth, ExtractYear

from diagnosis.agreement import Proportion
from diagnosis.models import Assessment, ModelVersion
from diagnosis.models.analysis import Label
from diagnosis.scanner_months import first_month, lines, months, named
from portal.jobs import State


@dataclass(frozen=True, slots=True)
class Discordance:
    """One scanner in one month, or their sums.

    Attributes:
        share: discordant of those that a reader concluded on.
        reader_alone: the reader called it malignant, the model did not.
        model_alone: the model called it malignant, the reader did not.
    """

    share: Proportion
    reader_alone: int
    model_alone: int


@dataclass(frozen=True, slots=True)
class Scanner:
    """One scanner over the months.

    Attributes:
        by_month: one entry for each of :func:`months`, ``None`` where nothing was concluded on.
    """

    name: str
    total: Discordance
    by_month: tuple[Discordance | None, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """Counts of one scanner and month that can be added up."""

    n: int = 0
    reader_alone: int = 0
    model_alone: int = 0

    def __add__(self, other: Cell) -> Cell:
        return Cell(self.n + other.n, self.reader_alone + other.reader_alone, self.model_alone + other.model_alone)

    @property
    def discordance(self) -> Discordance:
        return Discordance(
            share=Proportion(hits=self.reader_alone + self.model_alone, n=self.n),
            reader_alone=self.reader_alone,
            model_alone=self.model_alone,
        )


def by_scanner(model: ModelVersion) -> list[Scanner]:
    """Discordance of readers with what a version said, for the last months; all scanners together first.

    Of several conclusions on an image the newest counts, without answers to second opinions. Empty without any.
    """
    later = Assessment.objects.filter(analysis=OuterRef("analysis"), answered_opinions=None).filter(
        Q(created_at__gt=OuterRef("created_at")) | Q(created_at=OuterRef("created_at"), pk__gt=OuterRef("pk"))
    )
    reader, said = Q(label=Label.MALIGNANT), Q(analysis__label=Label.MALIGNANT)
    rows = (
        Assessment.objects.filter(
            ~Exists(later),
            answered_opinions=None,
            created_at__gte=first_month(),
            analysis__state=State.SUCCEEDED,
            analysis__model_name=model.name,
            analysis__model_version=model.version,
        )
        .order_by()
        .values("analysis__image__device", year=ExtractYear("created_at"), month=ExtractMonth("created_at"))
        .annotate(
            n=Count("pk"),
            reader_alone=Count("pk", filter=reader & ~said),
            model_alone=Count("pk", filter=said & ~reader),
        )
    )
    cells: dict[str, dict[date, Cell]] = defaultdict(dict)
    for row in rows:
        name = named(row["analysis__image__device"])
        month = date(row["year"], row["month"], 1)
        counts = Cell(row["n"], row["reader_alone"], row["model_alone"])
        cells[name][month] = cells[name].get(month, Cell()) + counts
    size = {name: sum(cell.n for cell in of_name.values()) for name, of_name in cells.items()}
    return [_scanner(line, [cells[name] for name in names]) for line, names in lines(size).items()]


def _scanner(name: str, cells: list[dict[date, Cell]]) -> Scanner:
    by_month = [sum((of_name.get(month, Cell()) for of_name in cells), Cell()) for month in months()]
    return Scanner(
        name=name,
        total=sum(by_month, Cell()).discordance,
        by_month=tuple(cell.discordance if cell.n else None for cell in by_month),
    )
