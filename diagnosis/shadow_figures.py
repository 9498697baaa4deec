"""What a candidate said beside the model in use: agreement, refusals, time, and against what turned out to be true."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from diagnosis import outcomes
from diagnosis.agreement import Kappa, Proportion, kappa
from diagnosis.models import Assessment, ModelVersion, ShadowReading
from diagnosis.models.analysis import Label
from diagnosis.outcomes import Read, Truth
from ml.contract import LABELS
from portal.jobs import UNFINISHED, State

LATEST = 2_000
"""How many of a candidate's latest readings are compared."""
COLUMNS = (
    "state",
    "label",
    "probability_malignant",
    "started_at",
    "finished_at",
    "analysis_id",
    "analysis__state",
    "analysis__label",
    "analysis__probability_malignant",
    "analysis__started_at",
    "analysis__finished_at",
    "analysis__model_name",
    "analysis__model_version",
    "analysis__image__study_id",
    "analysis__image__laterality",
    "analysis__image__study__laterality",
)


def shadow_of(modality: str) -> ModelVersion | None:
    """The candidate that reads the images of a modality in the shadow."""
    return ModelVersion.objects.filter(modality=modality, shadow=True).first()


@dataclass(frozen=True, slots=True)
class Differences:
    """Probability of malignancy by the candidate minus that by the model in use, in -1 to 1, over ``n`` images."""

    n: int
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Speed:
    """Median time of the whole work on one image, in seconds, over ``n`` images."""

    n: int
    candidate: float
    in_use: float

    @property
    def ratio(self) -> float:
        """How many times as long the candidate takes."""
        return self.candidate / self.in_use


@dataclass(frozen=True, slots=True)
class Against:
    """Both models against the same cases."""

    candidate: Truth
    in_use: Truth


@dataclass(frozen=True, slots=True)
class Readers:
    """How often each model called an image malignant or not as the reader did, on the same images."""

    candidate: Proportion
    in_use: Proportion


@dataclass(frozen=True, slots=True)
class ShadowFigures:
    """A candidate beside a model in use, over the latest images that both have met.

    Attributes:
        beside: the model in use that it is compared with.
        met: images that the candidate has read or refused, and whose analysis was by ``beside``.
        left_out: readings of images that another model, or none, has analysed.
        waiting, failed: readings that are to be done, and those that stopped by a fault.
        table: for each label of the model in use, the counts of the candidate's labels; in the order of ``LABELS``.
        same: images that both call the same.
        kappa: agreement beyond chance.
        refused_by_both, refused_by_candidate, refused_in_use: by both, by one of them alone.
    """

    beside: ModelVersion | None
    met: int
    left_out: int
    waiting: int
    failed: int
    table: tuple[tuple[str, tuple[int, ...]], ...]
    same: Proportion
    kappa: Kappa | None
    differences: Differences | None
    refused_by_both: int
    refused_by_candidate: int
    refused_in_use: int
    speed: Speed | None
    truth: Against
    readers: Readers


@dataclass(frozen=True, slots=True)
class _Pair:
    """One image that both met."""

    analysis: Any
    study: Any
    side: str
    candidate: str
    in_use: str
    difference: float
    seconds: float
    seconds_in_use: float


def of_candidate(model: ModelVersion) -> ShadowFigures:
    """The figures of a candidate beside the model that is in use now."""
    beside = ModelVersion.objects.filter(modality=model.modality, active=True).exclude(pk=model.pk).first()
    readings = ShadowReading.objects.filter(model=model).order_by()
    ended = readings.filter(state__in=(State.SUCCEEDED, State.REJECTED)).order_by("-queued_at")
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in ended.values_list(*COLUMNS)[:LATEST]]
    met = [
        row
        for row in rows
        if beside is not None
        and (row["analysis__model_name"], row["analysis__model_version"]) == (beside.name, beside.version)
        and row["analysis__state"] in (State.SUCCEEDED, State.REJECTED)
    ]
    refused = Counter((row["state"] == State.REJECTED, row["analysis__state"] == State.REJECTED) for row in met)
    pairs = [_pair(row) for row in met if row["state"] == row["analysis__state"] == State.SUCCEEDED]
    table = Counter((pair.in_use, pair.candidate) for pair in pairs)
    return ShadowFigures(
        beside=beside,
        met=len(met),
        left_out=len(rows) - len(met),
        waiting=readings.filter(state__in=UNFINISHED).count(),
        failed=readings.filter(state=State.FAILED).count(),
        table=tuple((one, tuple(table[one, other] for other in LABELS)) for one in LABELS),
        same=Proportion(hits=sum(pair.in_use == pair.candidate for pair in pairs), n=len(pairs)),
        kappa=kappa(table, labels=LABELS),
        differences=_differences([pair.difference for pair in pairs]),
        refused_by_both=refused[True, True],
        refused_by_candidate=refused[True, False],
        refused_in_use=refused[False, True],
        speed=_speed(pairs),
        truth=_truth(pairs),
        readers=_readers(model, pairs),
    )


def _pair(row: dict[str, Any]) -> _Pair:
    return _Pair(
        analysis=row["analysis_id"],
        study=row["analysis__image__study_id"],
        side=outcomes.side_of(row["analysis__image__laterality"], row["analysis__image__study__laterality"]),
        candidate=row["label"],
        in_use=row["analysis__label"],
        difference=row["probability_malignant"] - row["analysis__probability_malignant"],
        seconds=_seconds(row["started_at"], row["finished_at"]),
        seconds_in_use=_seconds(row["analysis__started_at"], row["analysis__finished_at"]),
    )


def _seconds(begin: datetime | None, end: datetime | None) -> float:
    return (end - begin) / timedelta(seconds=1) if begin and end else 0.0


def _differences(values: Sequence[float]) -> Differences | None:
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    return Differences(
        n=len(ordered),
        median=statistics.median(ordered),
        low=ordered[round(0.05 * last)],
        high=ordered[round(0.95 * last)],
    )


def _speed(pairs: Sequence[_Pair]) -> Speed | None:
    timed = [(pair.seconds, pair.seconds_in_use) for pair in pairs if pair.seconds > 0 and pair.seconds_in_use > 0]
    if not timed:
        return None
    return Speed(
        n=len(timed),
        candidate=statistics.median(one for one, _ in timed),
        in_use=statistics.median(other for _, other in timed),
    )


def _truth(pairs: Sequence[_Pair]) -> Against:
    known = outcomes.known({pair.study for pair in pairs})

    def against(label: Callable[[_Pair], str]) -> Truth:
        return outcomes.against(
            known,
            (Read(study=pair.study, side=pair.side, malignant=label(pair) == Label.MALIGNANT) for pair in pairs),
        )

    return Against(candidate=against(lambda pair: pair.candidate), in_use=against(lambda pair: pair.in_use))


def _readers(model: ModelVersion, pairs: Sequence[_Pair]) -> Readers:
    """Against the newest conclusion on each image, without answers to second opinions."""
    rows = Assessment.objects.filter(answered_opinions=None, analysis__shadow_readings__model=model)
    concluded = dict(rows.order_by("created_at", "pk").values_list("analysis_id", "label"))
    read = [(pair, concluded[pair.analysis] == Label.MALIGNANT) for pair in pairs if pair.analysis in concluded]
    return Readers(
        candidate=Proportion(
            hits=sum((pair.candidate == Label.MALIGNANT) == malignant for pair, malignant in read), n=len(read)
        ),
        in_use=Proportion(
            hits=sum((pair.in_use == Label.MALIGNANT) == malignant for pair, malignant in read), n=len(read)
        ),
    )
