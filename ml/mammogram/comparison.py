"""Two runs of the detector on the same films: what the later one has over the first, paired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.calibrate import MALIGNANT
from ml.data.records import ImageRecord
from ml.mammogram.evaluation import NORMAL, judge
from ml.mammogram.froc import MarkedFilm, sensitivity_at
from ml.mammogram.reading import FILM_SET, ReadFilm, cross_fitted, read_run
from ml.metrics import RESAMPLES, Figure, area_under_curve, bootstrap
from ml.results import SPLITS, ResultRow

DIFFERENCE = "paired difference"


def paired_rows(
    runs: Sequence[Path],
    records: Sequence[ImageRecord],
    *,
    without_muscle: bool,
    command: str,
    resamples: int = RESAMPLES,
) -> list[ResultRow]:
    """Differences of every later run to the first: film AUCs, and lesions marked at each number of false marks.

    Every sample of the bootstrap holds the same films for both runs. The row's value is the later run's figure less
    the first's; scalings of the scores are cross-fitted for each run by itself. Films of one fold alone, as of a run
    that was stopped, have no other fold to fit a scaling on: then the raw scores are ranked, and the AUC of malignant
    films, which needs the scalings, is left out.

    Args:
        runs: runs that have the scores of all these films; at least two.
        records: the films.
        without_muscle: whether the pectoral muscle is left out.
        command: that was given, for the rows.
        resamples: of the bootstrap.

    Raises:
        ValueError: a run lacks a film's scores.
    """
    first, *others = (_Run.of(read_run(run, records)[without_muscle]) for run in runs)
    rows = []
    for run, other in zip(runs[1:], others, strict=True):
        system = f"{run.name} less {runs[0].name}"
        for source, measured in _differences(first, other, resamples=resamples):
            for name, figure in measured.items():
                found = figure.as_dict()
                rows.append(
                    ResultRow(
                        system=system,
                        split=SPLITS[0],
                        set=source if first.fold is None else f"{source}, fold {first.fold}",
                        figure=f"{name}, {DIFFERENCE}",
                        n=figure.n,
                        value=found["value"],
                        low=found["low"],
                        high=found["high"],
                        command=command,
                    )
                )
    return rows


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: the marks of each collection's films, and what :data:`FILM_SET`'s films are ranked by.

    Attributes:
        marked: by collection, films whose findings have a place.
        groups: of the films of :data:`FILM_SET`.
        ranked: by figure the truth and the score of each of those films.
        fold: the only one that the films come from; ``None`` where they come from several.
    """

    marked: dict[str, list[MarkedFilm]]
    groups: tuple[str, ...]
    ranked: dict[str, tuple[NDArray[np.bool_], NDArray[np.float64]]]
    fold: int | None

    @classmethod
    def of(cls, films: Sequence[ReadFilm]) -> _Run:
        own = [film for film in films if film.record.source == FILM_SET]
        labels = np.array([film.record.label_index for film in own], dtype=np.intp)
        folds = {film.record.fold for film in films}
        several = len(folds) > 1
        by_fold = cross_fitted(films) if several else {}
        marked: dict[str, list[MarkedFilm]] = {}
        for film in films:
            if film.placed:
                marks = film.marked(by_fold[film.record.fold]) if several else _unscaled(film)
                marked.setdefault(film.record.source, []).append(marks)
        if several:
            probabilities = judge(own, by_fold).probabilities
            ranked = {
                "auc_malignant": (labels == MALIGNANT, probabilities[:, MALIGNANT]),
                "auc_abnormal": (labels != NORMAL, 1 - probabilities[:, NORMAL]),
            }
        else:
            ranked = {"auc_abnormal": (labels != NORMAL, np.array([film.spots[0].finding for film in own]))}
        groups = tuple(film.record.leak_group for film in own)
        return cls(marked=marked, groups=groups, ranked=ranked, fold=None if several else min(folds))

    def areas(self, chosen: NDArray[np.intp]) -> dict[str, float]:
        return {name: area_under_curve(truth[chosen], scores[chosen]) for name, (truth, scores) in self.ranked.items()}

    def marks(self, source: str, chosen: NDArray[np.intp]) -> dict[str, float]:
        shares = sensitivity_at([self.marked[source][each] for each in chosen])
        return {f"lesions marked at {rate:g} false marks a film": share for rate, share in shares.items()}


def _unscaled(film: ReadFilm) -> MarkedFilm:
    scores = np.array([spot.finding for spot in film.spots], np.float64)
    return MarkedFilm(scores=scores, on=film.on, lesions=len(film.kinds), group=film.record.leak_group)


def _differences(first: _Run, other: _Run, *, resamples: int) -> Iterator[tuple[str, dict[str, Figure]]]:
    """For each collection the figures of ``other`` less those of ``first``."""

    def areas(chosen: NDArray[np.intp]) -> dict[str, float]:
        return _less(other.areas(chosen), first.areas(chosen))

    yield FILM_SET, bootstrap(areas, first.groups, resamples=resamples)
    for source, films in sorted(first.marked.items()):

        def marks(chosen: NDArray[np.intp], source: str = source) -> dict[str, float]:
            return _less(other.marks(source, chosen), first.marks(source, chosen))

        yield source, bootstrap(marks, [film.group for film in films], resamples=resamples)


def _less(later: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: value - before[name] for name, value in later.items()}
