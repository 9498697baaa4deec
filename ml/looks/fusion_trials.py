"""Ideas for the ultrasound label and risk that were tried after the training, each beside what is served.

Leak-safe like everything else: the network that judges an image never saw its fold, and whatever is fitted on top
(weights, penalty, calibration) is fitted on the other folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ml.calibrate import MALIGNANT
from ml.contract import LABELS
from ml.data.records import ImageRecord
from ml.evaluate import GOAL_SPECIFICITY, judge_nested, source_weights
from ml.logits import LogitTable, joined
from ml.looks.passes import PASSES, Passes
from ml.looks.reading import CLOSE, WHOLE
from ml.looks.tried import Tried, compare
from ml.metrics import RESAMPLES, Floats, area_under_curve, roc_curve

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Inverse strengths of the ridge that the other folds choose among, on standardised features."""

_MIRRORED = ((("whole", "whole mirrored"), WHOLE), (("close", "close mirrored"), CLOSE))
_SIZES = ((("whole",), WHOLE), (("close", "closer", "wider"), CLOSE))
_AGAIN = ((("whole",), WHOLE), (("close", "again"), CLOSE))
"""Passes whose logits are averaged to the whole and to the close look, which are then fused as served."""


def try_fusions(
    records: Sequence[ImageRecord],
    table: LogitTable,
    passes: Passes,
    *,
    others: Sequence[tuple[str, LogitTable]] = (),
    instead: Sequence[tuple[str, LogitTable]] = (),
    resamples: int = RESAMPLES,
    say: Callable[[str], None] = print,
) -> list[Tried]:
    """Accuracy, AUC of malignancy and, where a goal names a specificity, the ROC curve's sensitivity there.

    Args:
        records: the images.
        table: out-of-fold logits of the two looks, in the order of the records.
        passes: of the same run and images, in the same order.
        others: name and out-of-fold logits of further runs, each fused with the two looks.
        instead: name and out-of-fold logits of runs that stand in the place of what is served.
        resamples: of the bootstrap over leak groups.
        say: told each finished idea.
    """
    served = judge_nested(table)[0].probabilities
    found: list[Tried] = []
    for idea, count, probabilities in [
        ("as served: whole and close look fused", 2, served),
        *_regressions(table, passes),
        ("mirrored looks averaged in", 4, _averaged(table, passes, _MIRRORED)),
        ("close looks at three sizes, averaged", 4, _averaged(table, passes, _SIZES)),
        ("a third look, round the outline of the two, averaged in", 3, _averaged(table, passes, _AGAIN)),
        *((f"fused with {name}", 2 + len(other.looks), _fused(table, other)) for name, other in others),
        *((name, len(other.looks), _alone(table, other)) for name, other in instead),
    ]:
        rows = compare(
            idea,
            passes=count,
            records=records,
            rows=np.arange(len(records)),
            measure=partial(_figures, table.labels, probabilities, served),
            resamples=resamples,
        )
        say(f"{idea}: {'; '.join(map(str, rows))}")
        found += rows
    return found


def _regressions(table: LogitTable, passes: Passes) -> list[tuple[str, int, Floats]]:
    """Both looks, the crossed heads and the own outline, by a ridge regression or trees instead of the fusion."""

    def logits(*which: tuple[str, slice]) -> Floats:
        return np.hstack([passes.logits[:, PASSES.index(name), head] for name, head in which]).astype(np.float64)

    looks = logits(("whole", WHOLE), ("close", CLOSE))
    crossed = logits(("whole", CLOSE), ("close", WHOLE))
    extra = logits(("whole mirrored", WHOLE), *((name, CLOSE) for name in PASSES[3:]))
    own = np.hstack([passes.evidence, passes.outline])
    return [
        ("own outline alone: evidence, shape, texture", 2, nested_ridge(own, table)),
        ("ridge regression on both looks", 2, nested_ridge(looks, table)),
        ("ridge, each head also on the other look", 2, nested_ridge(np.hstack([looks, crossed]), table)),
        ("ridge, with evidence from the own outline", 2, nested_ridge(np.hstack([looks, passes.evidence]), table)),
        ("ridge, with evidence, shape, texture", 2, nested_ridge(np.hstack([looks, own]), table)),
        ("trees, with evidence, shape, texture", 2, nested_trees(np.hstack([looks, own]), table)),
        ("ridge on everything", len(PASSES), nested_ridge(np.hstack([looks, crossed, extra, own]), table)),
    ]


def _averaged(table: LogitTable, passes: Passes, looks: Sequence[tuple[Sequence[str], slice]]) -> Floats:
    """Out-of-fold probabilities of averaged looks, fused as the other folds say: nothing more is fitted than served."""
    means = [
        np.mean([passes.logits[:, PASSES.index(name), head] for name in names], axis=0, dtype=np.float64)
        for names, head in looks
    ]
    return judge_nested(replace(table, logits=np.stack(means, axis=1)))[0].probabilities


def _fused(table: LogitTable, other: LogitTable) -> Floats:
    return judge_nested(joined([("served", table), ("other", other)]))[0].probabilities


def _alone(table: LogitTable, other: LogitTable) -> Floats:
    """The other run by itself, calibrated as served; joined with the table only to make sure of the same images."""
    both = joined([("served", table), ("other", other)])
    logits = both.logits[:, len(table.looks) :]
    return judge_nested(replace(both, logits=logits, looks=both.looks[len(table.looks) :]))[0].probabilities


def nested_ridge(features: Floats, table: LogitTable) -> Floats:
    """Out-of-fold probabilities (N, labels) of a ridge-penalised regression on features (N, K).

    For each fold the penalty is the one of :data:`PENALTIES` by which the other four folds are predicted best, each
    by the remaining three; then the four are fitted together. Every collection weighs the same.
    """
    found = np.zeros((len(table.labels), len(LABELS)))
    for fold in np.unique(table.folds):
        rest = table.folds != fold
        losses = np.zeros(len(PENALTIES))
        for inner in np.unique(table.folds[rest]):
            judged = rest & (table.folds == inner)
            truth, weight = table.labels[judged], source_weights(table.take(judged).sources)
            for place, penalty in enumerate(PENALTIES):
                stated = _fitted(ridge(penalty), features, table, rest & ~judged, judged)
                losses[place] -= weight @ np.log(np.maximum(stated[np.arange(len(truth)), truth], 1e-9))
        found[~rest] = _fitted(ridge(PENALTIES[int(losses.argmin())]), features, table, rest, ~rest)
    return found


def nested_trees(features: Floats, table: LogitTable) -> Floats:
    """Out-of-fold probabilities (N, labels) of extremely randomised trees (Geurts et al. 2006), settings fixed."""
    found = np.zeros((len(table.labels), len(LABELS)))
    for fold in np.unique(table.folds):
        trees = ExtraTreesClassifier(300, min_samples_leaf=8, max_features=0.4, random_state=0)
        held_out = table.folds == fold
        found[held_out] = _fitted(make_pipeline(trees), features, table, ~held_out, held_out)
    return found


def ridge(penalty: float) -> Any:
    """Ridge-penalised regression on standardised features; ``penalty`` is the inverse strength."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=1000))


def _fitted(
    model: Any, features: Floats, table: LogitTable, train: NDArray[np.bool_], judged: NDArray[np.bool_]
) -> Floats:
    weight = source_weights(table.take(train).sources)
    model.fit(features[train], table.labels[train], **{f"{model.steps[-1][0]}__sample_weight": weight})
    found = np.zeros((int(judged.sum()), len(LABELS)))
    found[:, model.classes_] = model.predict_proba(features[judged])
    return found


def _figures(
    labels: NDArray[np.intp], probabilities: Floats, served: Floats, source: str, chosen: NDArray[np.intp]
) -> dict[str, tuple[float, float]]:
    truth = labels[chosen]
    positive = truth == MALIGNANT
    pairs = [stated[chosen] for stated in (probabilities, served)]
    accuracy = [float((stated.argmax(axis=1) == truth).mean()) for stated in pairs]
    area = [area_under_curve(positive, stated[:, MALIGNANT]) for stated in pairs]
    found = {"accuracy": (accuracy[0], accuracy[1]), "auc_malignant": (area[0], area[1])}
    if source in GOAL_SPECIFICITY:
        most = 1 - GOAL_SPECIFICITY[source] + 1e-9
        curves = [roc_curve(positive, stated[:, MALIGNANT]) for stated in pairs]
        reached = [float(true[false <= most].max()) for false, true in curves]
        found["sensitivity_on_roc"] = (reached[0], reached[1])
    return found
