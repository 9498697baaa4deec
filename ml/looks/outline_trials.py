"""Ideas for the ultrasound outline that were tried after the training, each beside what is served.

Thresholds and rules are fitted on the other folds, and the network that outlines an image never saw its fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.data.records import FOLDS, ImageRecord
from ml.evaluate import NORMAL, judge_nested
from ml.logits import LogitTable
from ml.looks.fusion_trials import ridge
from ml.looks.passes import OUTLINES, THRESHOLDS, Passes
from ml.looks.tried import Tried, compare
from ml.metrics import RESAMPLES, Floats
from ml.segment import THRESHOLD
from ml.storage import read_arrays

_PENALTY = 0.1
"""Inverse strength of the ridge on the evidence, fixed: a dozen features of hundreds of images."""

_USUAL = THRESHOLDS.index(THRESHOLD)

Drawn = tuple[Floats, Floats]
"""Dice (NaN where there is no true lesion) and area of each image's outline; both 0 where none is drawn."""


def try_outlines(
    records: Sequence[ImageRecord],
    table: LogitTable,
    passes: Passes,
    *,
    instead: Sequence[tuple[str, LogitTable, Drawn]] = (),
    resamples: int = RESAMPLES,
    say: Callable[[str], None] = print,
) -> list[Tried]:
    """Mean Dice and missed lesions of images with a lesion, and the share of normal images with an outline.

    Arguments as :func:`ml.looks.fusion_trials.try_fusions`; the runs in ``instead`` come with their outlines, see
    :func:`outlines_of`. Empty when no image is normal or none has a known lesion.
    """
    shown = _shown(table)
    served = _drawn(passes, shown)
    lesion = np.flatnonzero(np.isfinite(passes.dice[:, 0, _USUAL]))
    normal = np.flatnonzero(table.labels == NORMAL)
    if not len(lesion) or not len(normal):
        # With one kind of image there is nothing to weigh a missed outline against.
        return []
    found: list[Tried] = []
    for idea, count, drawn in [
        ("as served: probability 0.5, no outline where the label is normal", 2, served),
        ("an outline on every image", 2, _drawn(passes, np.ones_like(shown))),
        ("shown by the outline's own evidence, not by the label", 2, _drawn(passes, by_evidence(passes, table, shown))),
        ("probability fitted on the other folds", 2, _drawn(passes, shown, threshold=best_threshold(passes, table))),
        ("mirrored looks averaged in", 4, _drawn(passes, shown, way="mirrored")),
        ("a third look, round the outline of the two, in place of the second", 3, _drawn(passes, shown, way="again")),
        *((name, len(other.looks), _hidden(drawn, _shown(other))) for name, other, drawn in instead),
    ]:
        rows: list[Tried] = []
        for chosen, measure in ((lesion, _agreement), (normal, _false_lesions)):
            rows += compare(
                idea,
                passes=count,
                records=records,
                rows=chosen,
                measure=partial(measure, drawn, served),
                resamples=resamples,
            )
        say(f"{idea}: {'; '.join(map(str, rows))}")
        found += rows
    return found


def outlines_of(run: Path, records: Sequence[ImageRecord]) -> Drawn | None:
    """Dice and area of a run's outlines of the images that were held out, before the label has its say.

    Args:
        run: folder that ``python -m ml train`` wrote.
        records: its images, in order.

    Returns:
        ``None`` where the run's networks outline nothing.
    """
    paths = [run / f"fold-{fold}" / "readings.npz" for fold in range(FOLDS)]
    if not all(path.is_file() for path in paths):
        return None
    dice, area = np.full(len(records), np.nan), np.zeros(len(records))
    for part in map(read_arrays, paths):
        index = part["index"].astype(np.intp)
        dice[index], area[index] = part["dice"], part["found_area"]
    return dice, area


def _shown(table: LogitTable) -> NDArray[np.bool_]:
    """Whose calibrated label is not normal: those images get an outline."""
    return judge_nested(table)[0].probabilities.argmax(axis=1) != NORMAL


def by_evidence(passes: Passes, table: LogitTable, shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which images get an outline (N,) when the evidence of a lesion decides instead of the label.

    For each fold a ridge regression tells lesion from normal, fitted on the other folds; its limit is the one that
    leaves as many of their normal images with an outline as the label does (``shown``), by regressions that did not
    see the image.
    """
    lesion = table.labels != NORMAL
    found = np.zeros(len(lesion), dtype=bool)

    def scores(fitted: NDArray[np.bool_], judged: NDArray[np.bool_]) -> Floats:
        model = ridge(_PENALTY).fit(passes.evidence[fitted], lesion[fitted])
        return np.asarray(model.predict_proba(passes.evidence[judged])[:, 1], np.float64)

    for fold in np.unique(table.folds):
        rest = table.folds != fold
        inside = np.zeros(len(lesion))
        for inner in np.unique(table.folds[rest]):
            judged = rest & (table.folds == inner)
            inside[judged] = scores(rest & ~judged, judged)
        normal = rest & ~lesion
        limit = np.quantile(inside[normal], 1 - shown[normal].mean())
        found[~rest] = scores(rest, ~rest) > limit
    return found


def best_threshold(passes: Passes, table: LogitTable) -> NDArray[np.intp]:
    """Place (N,) in :data:`ml.looks.passes.THRESHOLDS` with the best mean Dice on the other folds, every collection
    weighing the same."""
    found = np.zeros(len(table.labels), dtype=np.intp)
    for fold in np.unique(table.folds):
        rest = table.folds != fold
        known = rest & np.isfinite(passes.dice[:, 0, _USUAL])
        sources = sorted(set(table.take(known).sources))
        means = [passes.dice[known & table.of_source(source), 0].mean(axis=0) for source in sources]
        found[~rest] = int(np.mean(means, axis=0).argmax())
    return found


def _drawn(
    passes: Passes, shown: NDArray[np.bool_], *, way: str = "served", threshold: NDArray[np.intp] | int = _USUAL
) -> Drawn:
    rows, place = np.arange(len(shown)), OUTLINES.index(way)
    return _hidden((passes.dice[rows, place, threshold], passes.area[rows, place, threshold]), shown)


def _hidden(drawn: Drawn, shown: NDArray[np.bool_]) -> Drawn:
    return drawn[0] * shown, drawn[1] * shown


def _agreement(drawn: Drawn, served: Drawn, source: str, chosen: NDArray[np.intp]) -> dict[str, tuple[float, float]]:
    idea, now = drawn[0][chosen], served[0][chosen]
    return {
        "dice_mean": (float(idea.mean()), float(now.mean())),
        "missed_lesions": (float((idea == 0).mean()), float((now == 0).mean())),
    }


def _false_lesions(
    drawn: Drawn, served: Drawn, source: str, chosen: NDArray[np.intp]
) -> dict[str, tuple[float, float]]:
    return {"false_lesions": (float((drawn[1][chosen] > 0).mean()), float((served[1][chosen] > 0).mean()))}
