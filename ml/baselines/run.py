"""Cross-validate the comparison systems of the papers on the same folds as the shipped model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.baselines.classical import CLASSICAL, classifier, logistic_regression, scores_of
from ml.baselines.comparison import LEAK_SAFE, Scores, by_source, given_folds, measure, out_of_fold, splits_of
from ml.baselines.frozen import FeatureStore, canvas_after
from ml.baselines.handcrafted import lesion_features, whole_image_features
from ml.contract import LABELS
from ml.data.pixels import lesion_mask
from ml.data.records import ImageRecord
from ml.images import read_image, to_grey
from ml.metrics import RESAMPLES
from ml.preprocess import Preprocessing
from ml.results import ResultRow

FROZEN = "frozen MobileNetV2 features + logistic regression"

Rows = Iterator[ResultRow]


def classical_rows(records: Sequence[ImageRecord], *, command: str, seed: int, resamples: int = RESAMPLES) -> Rows:
    """Every classical classifier on whole-image features, and on lesion features where lesions are outlined.

    Lesion features use the radiologist's mask, and leave out normal images, whose empty mask would give them away:
    their set is named ``<source>, outlined lesions``.
    """
    for source, places in by_source(records).items():
        own = [records[place] for place in places]
        whole = np.array([whole_image_features(grey) for grey in _greys(own, title=f"{source} texture")])
        yield from _all_classifiers(
            own, whole, "whole-image texture", source, command=command, seed=seed, resamples=resamples
        )
        outlined = [record for record in own if record.label != "normal" and record.mask is not None]
        found: list[tuple[ImageRecord, NDArray[np.float64]]] = []
        for record, grey in zip(outlined, _greys(outlined, title=f"{source} lesions"), strict=True):
            mask = lesion_mask(record, height=grey.shape[0], width=grey.shape[1]) > 127
            if mask.any():
                found.append((record, lesion_features(grey, mask)))
        if found:
            yield from _all_classifiers(
                [record for record, _ in found],
                np.array([features for _, features in found]),
                "texture and shape inside the drawn outline",
                f"{source}, outlined lesions",
                command=command,
                seed=seed,
                resamples=resamples,
            )


def frozen_rows(
    records: Sequence[ImageRecord], store: FeatureStore, *, command: str, seed: int, resamples: int = RESAMPLES
) -> Rows:
    """Frozen features and logistic regression: both splits of each set, and trained on one set, tested on another."""
    sources = by_source(records)
    labels = np.array([record.label_index for record in records], dtype=np.intp)
    found = {
        source: store.of_records(
            [records[place] for place in places],
            canvas_after(Preprocessing()),
            variant=Preprocessing().as_dict(),
            title=f"{source} frozen",
        )
        for source, places in sources.items()
    }
    width = next(iter(found.values())).shape[1]
    features = np.zeros((len(records), width), np.float32)
    for source, places in sources.items():
        features[places] = found[source]
    for places in sources.values():
        own = [records[place] for place in places]
        fit_predict = classifier(logistic_regression, features[places], labels[places])
        for split, folds in splits_of(own, seed=seed).items():
            yield from measure(
                system=FROZEN,
                split=split,
                records=own,
                scores=out_of_fold(folds, fit_predict),
                command=command,
                resamples=resamples,
            )
    everything = classifier(logistic_regression, features, labels)
    for trained, train in sources.items():
        for tested, test in sources.items():
            if trained != tested:
                yield from measure(
                    system=FROZEN,
                    split=LEAK_SAFE,
                    records=[records[place] for place in test],
                    scores=everything(train, test),
                    command=command,
                    set_name=f"{trained} -> {tested}",
                    resamples=resamples,
                )


def frozen_when_masked(records: Sequence[ImageRecord], store: FeatureStore) -> tuple[Scores, Scores]:
    """Out-of-fold scores of frozen features and logistic regression, fitted on the images as they are: of the images
    as they are, and of the same images with burned-in marks painted over."""
    plain = np.zeros((len(records), len(LABELS)))
    masked = np.zeros((len(records), len(LABELS)))
    for source, places in by_source(records).items():
        own = [records[place] for place in places]
        labels = np.array([record.label_index for record in own], dtype=np.intp)
        features = [
            store.of_records(own, canvas_after(steps), variant=steps.as_dict(), title=f"{source} {name}")
            for name, steps in (("as they are", Preprocessing()), ("masked", Preprocessing.of("overlay")))
        ]
        for fold in np.unique(given_folds(own)):
            held_out = given_folds(own) == fold
            model = logistic_regression().fit(features[0][~held_out], labels[~held_out])
            for scores, each in ((plain, features[0]), (masked, features[1])):
                scores[places[held_out]] = np.maximum(scores_of(model, each[held_out]), 0.0)
    return plain, masked


def _all_classifiers(
    records: Sequence[ImageRecord],
    features: NDArray[np.float64],
    what: str,
    set_name: str,
    *,
    command: str,
    seed: int,
    resamples: int,
) -> Rows:
    labels = np.array([record.label_index for record in records], dtype=np.intp)
    for name, make in CLASSICAL.items():
        fit_predict = classifier(make, features, labels)
        for split, folds in splits_of(records, seed=seed).items():
            yield from measure(
                system=f"{name}, {what}",
                split=split,
                records=records,
                scores=out_of_fold(folds, fit_predict),
                command=command,
                set_name=set_name,
                resamples=resamples,
            )


def _greys(records: Sequence[ImageRecord], *, title: str) -> Iterator[NDArray[np.uint8]]:
    for record in tqdm(records, desc=title, leave=False):
        yield to_grey(read_image(record.path))
