"""How a model's scores and refusals move from month to month, scanner by scanner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Case, Count, F, FloatField, Q, Sum, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from diagnosis.agreement import Proportion
from diagnosis.models import Analysis, ModelVersion
from diagnosis.scanner_months import lines, monthly, months
from portal.jobs import State


@dataclass(frozen=True, slots=True)
class Month:
    """One scanner in one month.

    Attributes:
        scored: images with a score.
        mean: of the model's own probability of malignancy, 0-1, before any re-basing; ``None`` without scores.
        refused: of the images that it met, those that it refused.
    """

    scored: int
    mean: float | None
    refused: Proportion


@dataclass(frozen=True, slots=True)
class ScannerDrift:
    """One line: a scanner over the months, ``None`` where there was no image."""

    name: str
    by_month: tuple[Month | None, ...]
    total: Month


@dataclass(frozen=True, slots=True)
class _Cell:
    scored: int = 0
    summed: float = 0.0
    refused: int = 0

    def __add__(self, other: _Cell) -> _Cell:
        return _Cell(self.scored + other.scored, self.summed + other.summed, self.refused + other.refused)

    @property
    def met(self) -> int:
        return self.scored + self.refused

    @property
    def month(self) -> Month:
        return Month(
            scored=self.scored,
            mean=self.summed / self.scored if self.scored else None,
            refused=Proportion(hits=self.refused, n=self.met),
        )


ENDED = (State.SUCCEEDED, State.REJECTED)
OWN = Case(
    When(own_probabilities__isnull=False, then=Cast(KT("own_probabilities__malignant"), FloatField())),
    default=F("probability_malignant"),
    output_field=FloatField(),
)
"""What the model itself said, where the probability was re-based to the site's prevalence."""


def by_scanner(model: ModelVersion) -> list[ScannerDrift]:
    """Mean score and refusals of a version for the last months; all scanners together first. Empty without images."""
    analyses = Analysis.objects.filter(model_name=model.name, model_version=model.version, state__in=ENDED)
    rows = monthly(
        analyses,
        moment="queued_at",
        device="image__device",
        scored=Count("pk", filter=Q(state=State.SUCCEEDED)),
        summed=Sum(OWN),
        refused=Count("pk", filter=Q(state=State.REJECTED)),
    )
    cells: dict[str, dict[date, _Cell]] = defaultdict(dict)
    for month, name, (scored, summed, refused) in rows:
        of_name = cells[name]
        of_name[month] = of_name.get(month, _Cell()) + _Cell(scored, summed or 0.0, refused)
    size = {name: sum(cell.met for cell in of_name.values()) for name, of_name in cells.items()}
    return [_scanner(line, [cells[name] for name in names]) for line, names in lines(size).items()]


def _scanner(name: str, cells: list[dict[date, _Cell]]) -> ScannerDrift:
    by_month = [sum((of_name.get(month, _Cell()) for of_name in cells), _Cell()) for month in months()]
    return ScannerDrift(
        name=name,
        by_month=tuple(cell.month if cell.met else None for cell in by_month),
        total=sum(by_month, _Cell()).month,
    )


def reference_mean(evaluation: Mapping[str, Any]) -> float | None:
    """Mean probability of malignancy on the images that a model was measured on; ``None`` where it brought none."""
    try:
        quantiles = evaluation["monitoring"]["probability_malignant"]["quantiles"]
        return sum(float(value) for value in quantiles) / len(quantiles)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
