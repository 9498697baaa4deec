"""The protocol's figures of a detector's run, from its out-of-fold scores.

Leak-safe throughout: scalings, threshold and uncertain zone that are applied to a fold are fitted on the other four.
No figure mixes the two collections: CDD-CESM shows malignant films alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.calibrate import MALIGNANT, SENSITIVITY_AIM, fit_threshold
from ml.contract import LABELS
from ml.figures import Judged, all_figures, stated_reliability
from ml.mammogram.calibration import FilmCalibration
from ml.mammogram.exam import ViewScore, fuse_exam
from ml.mammogram.froc import RATES, MarkedFilm, free_response, score_at, sensitivity_at
from ml.mammogram.plots import draw_free_response
from ml.mammogram.reading import FILM_SET, ReadFilm, cross_fitted, fit_calibration
from ml.metrics import area_under_curve, bootstrap
from ml.plots import draw_reliability, draw_roc

NORMAL = LABELS.index("normal")

PROTOCOL = (
    "five leak-safe folds (pairs of mini-MIAS, patients of CDD-CESM); nothing is fitted on the fold that is reported; "
    "95 % intervals by bootstrap over pairs or patients"
)

MARK_RATE = 1.0
"""False marks a film of mini-MIAS that the shipped mark threshold allows."""


def evaluate_films(
    films: Sequence[ReadFilm], *, plots: Path | None, resamples: int
) -> tuple[dict[str, Any], FilmCalibration, float, float]:
    """All figures of a run.

    Args:
        films: from :func:`ml.mammogram.reading.read_run`.
        plots: folder that receives ``froc.png``, ``roc.png`` and ``reliability.png``.
        resamples: of every bootstrap.

    Returns:
        the report; the scalings fitted on all films, which the final network gets; its threshold on the probability of
        malignancy; the probability from which it shows a mark.
    """
    by_fold = cross_fitted(films)
    sources = sorted({film.record.source for film in films})
    report: dict[str, Any] = {"protocol": PROTOCOL}
    marked = {
        source: [
            film.marked(by_fold[film.record.fold]) for film in films if film.record.source == source and film.placed
        ]
        for source in sources
    }
    report["free_response"] = {source: free_response_figures(each, resamples) for source, each in marked.items()}
    report["patches"] = {
        source: patch_figures([film for film in films if film.record.source == source], resamples) for source in sources
    }
    report["explanations"] = {
        source: pointing_figures([film for film in films if film.record.source == source], by_fold, resamples)
        for source in sources
    }
    report["subgroups"] = {
        source: _lesion_subgroups([film for film in films if film.record.source == source], by_fold, resamples)
        for source in sources
    }
    calibration = fit_calibration(films)
    own = [film for film in films if film.record.source == FILM_SET]
    judged = judge(own, by_fold)
    report["films"] = {FILM_SET: film_figures(judged, resamples)}
    report["exams"] = {FILM_SET: exam_figures(own, judged, resamples)}
    final_chances = calibration.probabilities(_findings(own), _malignancies(own))
    threshold = fit_threshold(final_chances, judged.labels, [FILM_SET] * len(own))
    least_mark = score_at([film.marked(calibration) for film in own if film.placed], MARK_RATE)
    if plots is not None:
        draw_free_response(plots / "froc.png", {name: free_response(each) for name, each in marked.items()})
        abnormal = judged.labels != NORMAL
        draw_roc(
            plots / "roc.png",
            {
                "malignant against the rest": (judged.malignant, judged.scores),
                "abnormal against normal": (abnormal, 1 - judged.probabilities[:, NORMAL]),
            },
        )
        draw_reliability(plots / "reliability.png", {FILM_SET: stated_reliability(judged)})
    return report, calibration, threshold, least_mark


def short_figures(films: Sequence[ReadFilm], resamples: int) -> dict[str, Any]:
    """AUCs of films of :data:`FILM_SET` and the marks of every collection, cross-fitted: to compare a variant."""
    by_fold = cross_fitted(films)
    judged = judge([film for film in films if film.record.source == FILM_SET], by_fold)
    short: dict[str, Any] = auc_figures(judged, resamples)
    for source in sorted({film.record.source for film in films}):
        marked = [
            film.marked(by_fold[film.record.fold]) for film in films if film.record.source == source and film.placed
        ]
        short[source] = free_response_figures(marked, resamples)["sensitivity_at_false_marks_a_film"]
    return short


def judge(films: Sequence[ReadFilm], by_fold: dict[int, FilmCalibration]) -> Judged:
    """Cross-fitted probabilities and thresholds of films of one collection."""
    labels = np.array([film.record.label_index for film in films], dtype=np.intp)
    folds = np.array([film.record.fold for film in films])
    finding, malignant = _findings(films), _malignancies(films)
    probabilities = np.zeros((len(films), len(LABELS)))
    thresholds = np.zeros(len(films))
    for fold in np.unique(folds):
        inside = folds == fold
        probabilities[inside] = by_fold[int(fold)].probabilities(finding[inside], malignant[inside])
        others = by_fold[int(fold)].probabilities(finding[~inside], malignant[~inside])
        thresholds[inside] = fit_threshold(others, labels[~inside], ["films"] * int((~inside).sum()))
    return Judged(
        labels=labels,
        probabilities=probabilities,
        thresholds=thresholds,
        groups=tuple(film.record.leak_group for film in films),
    )


def film_figures(judged: Judged, resamples: int) -> dict[str, Any]:
    """The figures of every classifier, and the AUC of abnormal against normal and of malignant against benign."""
    counts = {label: int((judged.labels == index).sum()) for index, label in enumerate(LABELS)}
    return {
        "counts": counts,
        "sensitivity_aim": SENSITIVITY_AIM,
        **all_figures(judged, resamples=resamples),
        **auc_figures(judged, resamples),
    }


def auc_figures(judged: Judged, resamples: int) -> dict[str, Any]:
    """AUC of malignant against the rest, of abnormal against normal and of malignant against benign."""
    abnormal = judged.labels != NORMAL
    suspect = 1 - judged.probabilities[:, NORMAL]
    grave = judged.probabilities[:, MALIGNANT] / np.maximum(suspect, 1e-12)

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        odd = chosen[abnormal[chosen]]
        return {
            "auc_malignant": area_under_curve(judged.malignant[chosen], judged.scores[chosen]),
            "auc_abnormal": area_under_curve(abnormal[chosen], suspect[chosen]),
            "auc_malignant_among_abnormal": area_under_curve(judged.malignant[odd], grave[odd]),
        }

    return {name: figure.as_dict() for name, figure in bootstrap(measure, judged.groups, resamples=resamples).items()}


def exam_figures(films: Sequence[ReadFilm], judged: Judged, resamples: int) -> dict[str, Any]:
    """AUC of the exam's score, both films of a pair fused: is there a cancer (an abnormality) in either breast?"""
    pairs: dict[str, list[int]] = {}
    for index, film in enumerate(films):
        pairs.setdefault(film.record.exam, []).append(index)
    scores: list[float] = []
    suspects: list[float] = []
    malignant: list[bool] = []
    abnormal: list[bool] = []
    for members in pairs.values():
        for into, values in ((scores, judged.scores), (suspects, 1 - judged.probabilities[:, NORMAL])):
            views = [ViewScore(films[each].record.laterality or "L", "MLO", float(values[each])) for each in members]
            into.append(fuse_exam(views).exam)
        malignant.append(bool(judged.malignant[members].any()))
        abnormal.append(bool((judged.labels[members] != NORMAL).any()))
    grave, odd = np.array(malignant), np.array(abnormal)

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        return {
            "auc_malignant": area_under_curve(grave[chosen], np.array(scores)[chosen]),
            "auc_abnormal": area_under_curve(odd[chosen], np.array(suspects)[chosen]),
        }

    figures = bootstrap(measure, list(pairs), resamples=resamples)
    return {
        "exams": len(pairs),
        "malignant": int(grave.sum()),
        **{name: figure.as_dict() for name, figure in figures.items()},
    }


def free_response_figures(films: Sequence[MarkedFilm], resamples: int) -> dict[str, Any]:
    """Sensitivity at fixed numbers of false marks a film, and the curve."""

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        return {f"{rate:g}": share for rate, share in sensitivity_at([films[each] for each in chosen]).items()}

    figures = bootstrap(measure, [film.group for film in films], resamples=resamples)
    false, share = free_response(films)
    grid = np.linspace(0, max(RATES), 41)
    return {
        "films": len(films),
        "lesions": sum(film.lesions for film in films),
        "sensitivity_at_false_marks_a_film": {rate: figure.as_dict() for rate, figure in figures.items()},
        "curve": {
            "false_marks_a_film": [round(float(rate), 3) for rate in grid],
            "sensitivity": [round(float(share[false <= rate + 1e-9].max()), 4) for rate in grid],
        },
    }


def patch_figures(films: Sequence[ReadFilm], resamples: int) -> dict[str, Any]:
    """AUC of patches of one collection: at the lesions' centres against random tissue of the same films."""

    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        lesions = np.concatenate([films[each].lesion_patches for each in chosen])
        tissue = np.concatenate([films[each].tissue_patches for each in chosen])
        positive = np.arange(len(lesions) + len(tissue)) < len(lesions)
        return {"auc": area_under_curve(positive, np.concatenate([lesions, tissue]))}

    figure = bootstrap(measure, [film.record.leak_group for film in films], resamples=resamples)["auc"]
    return {
        "lesion_patches": sum(len(film.lesion_patches) for film in films),
        "tissue_patches": sum(len(film.tissue_patches) for film in films),
        "auc_lesion": figure.as_dict(),
    }


def pointing_figures(films: Sequence[ReadFilm], by_fold: dict[int, FilmCalibration], resamples: int) -> dict[str, Any]:
    """How often the map's peak lies on a lesion, and its share on lesions, beside a point at the breast's centre."""
    own = [film for film in films if film.kinds and film.placed]
    peak = np.array([film.on[0] >= 0 for film in own], float)
    centre = np.array([film.centre_hit for film in own], float)
    energy = np.array([film.energy_share(by_fold[film.record.fold]) for film in own])
    area = np.array([float(film.lesion_cells.mean()) for film in own])
    return _means(
        {"peak_on_lesion": peak, "centre_on_lesion": centre, "energy_on_lesion": energy, "area_of_lesion": area},
        [film.record.leak_group for film in own],
        resamples,
    )


def _lesion_subgroups(
    films: Sequence[ReadFilm], by_fold: dict[int, FilmCalibration], resamples: int
) -> dict[str, dict[str, Any]]:
    """Share of lesions marked at one false mark a film of the whole collection, by trait."""
    placed = [film for film in films if film.placed]
    marked = [film.marked(by_fold[film.record.fold]) for film in placed]
    least = score_at(marked, MARK_RATE)
    lesions: list[tuple[ReadFilm, int, bool]] = []
    for film, marks in zip(placed, marked, strict=True):
        for number in range(len(film.kinds)):
            lesions.append((film, number, bool(((marks.on == number) & (marks.scores >= least)).any())))
    sizes = np.array([film.sizes[number] for film, number, _ in lesions])
    small, large = (float(each) for each in np.quantile(sizes, [1 / 3, 2 / 3]))
    traits: dict[str, Callable[[ReadFilm, int], str]] = {
        "label": lambda film, number: film.record.label,
        "kind": lambda film, number: film.kinds[number],
        "tissue": lambda film, number: film.record.attributes.get("tissue", ""),
        "density": lambda film, number: film.record.attributes.get("density", ""),
        "view": lambda film, number: film.record.view,
        "birads": lambda film, number: film.record.attributes.get("birads", ""),
        "size": lambda film, number: (
            f"below {small:.0f} px"
            if film.sizes[number] < small
            else f"from {large:.0f} px"
            if film.sizes[number] >= large
            else f"{small:.0f}-{large:.0f} px"
        ),
    }
    report: dict[str, dict[str, Any]] = {}
    for trait, value_of in traits.items():
        values = [value_of(film, number) for film, number, _ in lesions]
        if len(set(values) - {""}) < 2:
            continue
        report[trait] = {}
        for value in sorted(set(values) - {""}):
            own = [lesion for lesion, each in zip(lesions, values, strict=True) if each == value]
            hit = np.array([found for _, _, found in own], float)
            figures = _means({"sensitivity": hit}, [film.record.leak_group for film, _, _ in own], resamples)
            report[trait][value] = figures["sensitivity"]
    return report


def _means(values: dict[str, NDArray[np.float64]], groups: Sequence[str], resamples: int) -> dict[str, Any]:
    def measure(chosen: NDArray[np.intp]) -> dict[str, float]:
        return {name: float(each[chosen].mean()) for name, each in values.items()}

    return {name: figure.as_dict() for name, figure in bootstrap(measure, groups, resamples=resamples).items()}


def _findings(films: Sequence[ReadFilm]) -> NDArray[np.float64]:
    return np.array([film.spots[0].finding for film in films])


def _malignancies(films: Sequence[ReadFilm]) -> NDArray[np.float64]:
    return np.array([film.spots[0].malignant for film in films])
