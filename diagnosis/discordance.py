"""Where readers and the model disagree: by scanner and month. Discordant: one says malignant and the other does not.

Readers may have seen the result before they concluded, so agreement is no proof that the model is right; a scanner or a
month that differs from the others is a reason to look.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from django.db.models import Count, Exists, OuterRef, Q, Value
from django.db.models.functions import Concat

from diagnosis.agreement import Proportion
from diagnosis.models import Assessment, ModelVersion
from diagnosis.models.analysis import Label
from diagnosis.scanner_months import lines, monthly, months
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
    # As an expression: by the columns themselves SQLite would go through every analysis of the version, month by month,
    # and ask for the conclusions on each.
    spoke = Concat("analysis__model_name", Value(" "), "analysis__model_version")
    concluded = Assessment.objects.alias(spoke=spoke).filter(
        # Where the model refused the image, it said nothing that a reader could differ from.
        ~Exists(later),
        answered_opinions=None,
        spoke=f"{model.name} {model.version}",
        analysis__state=State.SUCCEEDED,
    )
    rows = monthly(
        concluded,
        moment="created_at",
        device="analysis__image__device",
        n=Count("pk"),
        reader_alone=Count("pk", filter=reader & ~said),
        model_alone=Count("pk", filter=said & ~reader),
    )
    cells: dict[str, dict[date, Cell]] = defaultdict(dict)
    for month, name, counts in rows:
        cells[name][month] = cells[name].get(month, Cell()) + Cell(*counts)
    size = {name: sum(cell.n for cell in of_name.values()) for name, of_name in cells.items()}
    return [_scanner(line, [cells[name] for name in names]) for line, names in lines(size).items()]


def _scanner(name: str, cells: list[dict[date, Cell]]) -> Scanner:
    by_month = [sum((of_name.get(month, Cell()) for of_name in cells), Cell()) for month in months()]
    return Scanner(
        name=name,
        total=sum(by_month, Cell()).discordance,
        by_month=tuple(cell.discordance if cell.n else None for cell in by_month),
    )
