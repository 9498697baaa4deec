"""Comparison systems are measured on the given folds, and the leaky split really leaks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ml.__main__ import main
from ml.baselines.classical import CLASSICAL, classifier, logistic_regression
from ml.baselines.comparison import as_markdown, measure, out_of_fold, random_folds, splits_of
from ml.data.records import FOLDS, DataError, ImageRecord
from ml.results import ResultRow


def made_records(patients: int, *, images: int = 2) -> list[ImageRecord]:
    """Images without files: ``images`` of each patient, labels and folds dealt in turn."""
    return [
        ImageRecord(
            source="clinic",
            path=Path(f"p{patient}-{image}.png"),
            label=("benign", "malignant")[patient % 2],
            group=str(patient),
            fold=patient // 2 % FOLDS,
        )
        for patient in range(patients)
        for image in range(images)
    ]


def by_name(rows: list[ResultRow]) -> dict[str, ResultRow]:
    return {row.figure: row for row in rows}


def test_no_image_is_judged_by_a_classifier_that_was_fitted_on_it():
    records = made_records(30)
    folds = splits_of(records, seed=0)["leak-safe"]
    seen = []

    def fit_predict(train, held_out):
        assert not {records[place].group for place in train} & {records[place].group for place in held_out}
        seen.extend(held_out.tolist())
        return np.zeros((len(held_out), 3))

    assert np.isfinite(out_of_fold(folds, fit_predict)).all()
    assert sorted(seen) == list(range(len(records)))


def test_the_leaky_split_tears_patients_apart_and_keeps_the_labels_even():
    records = made_records(60)
    folds = random_folds(records, seed=0)
    torn = sum(folds[2 * patient] != folds[2 * patient + 1] for patient in range(60))
    assert torn > 30
    labels = np.array([record.label for record in records])
    for label in ("benign", "malignant"):
        assert np.ptp(np.bincount(folds[labels == label], minlength=FOLDS)) <= 1
    assert np.array_equal(folds, random_folds(records, seed=0))
    assert not np.array_equal(folds, random_folds(records, seed=1))


def test_memorised_patients_look_good_under_the_leaky_split_alone():
    """Features that tell the patient and nothing else: chance when leak-safe, good when leaky."""
    records = made_records(100)
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(100, 12)), 2, axis=0) + random.normal(size=(200, 12)) * 0.05
    labels = np.array([record.label_index for record in records])
    auc = {}
    for split, folds in splits_of(records, seed=0).items():
        scores = out_of_fold(folds, classifier(CLASSICAL["k-NN"], features, labels))
        rows = measure(
            system="k-NN", split=split, records=records, scores=scores, command="python -m ml x", resamples=20
        )
        auc[split] = by_name(rows)["auc_malignant"].value
    assert auc["leaky"] > 0.85
    assert auc["leak-safe"] < 0.7


@pytest.mark.parametrize("name", [*CLASSICAL, "logistic regression"])
def test_every_classifier_learns_what_can_be_learnt(name):
    make = CLASSICAL.get(name, logistic_regression)
    records = made_records(80)
    labels = np.array([record.label_index for record in records])
    features = np.random.default_rng(0).normal(size=(160, 4)) + labels[:, None] * 5.0
    scores = out_of_fold(splits_of(records, seed=0)["leak-safe"], classifier(make, features, labels))
    rows = by_name(
        measure(system=name, split="leak-safe", records=records, scores=scores, command="python -m ml x", resamples=50)
    )
    assert rows["accuracy"].value > 0.95
    assert rows["auc_malignant"].low > 0.9
    assert rows["accuracy"].n == 160
    assert (scores.argmax(axis=1) != 2).all(), "normal never occurs, so it is never said"


def test_rows_fit_the_one_table_of_all_results():
    records = made_records(20)
    rows = measure(
        system="coin",
        split="leaky",
        records=records,
        scores=np.random.default_rng(0).random((40, 3)),
        command="python -m ml x",
        resamples=20,
    )
    assert [ResultRow.from_mapping(row.as_dict()) for row in rows] == rows
    assert {row.set for row in rows} == {"clinic"}
    table = as_markdown(rows)
    assert "| coin | leaky | clinic | 40 |" in table


def test_one_fold_for_everything_is_refused():
    with pytest.raises(DataError, match="one fold"):
        out_of_fold(np.zeros(10, np.intp), lambda train, held_out: np.zeros((len(held_out), 3)))


def test_the_command_measures_a_folder_with_and_without_outlines(collection, tmp_path, capsys):
    out = tmp_path / "rows.json"
    assert main(["baselines", "--data", str(collection), "--out", str(out), "--resamples", "5"]) == 0
    rows = [ResultRow.from_mapping(row) for row in json.loads(out.read_text())]
    assert {row.split for row in rows} == {"leak-safe", "leaky"}
    assert {row.set for row in rows} == {"clinic", "clinic, outlined lesions"}
    assert len({row.system for row in rows}) == 2 * len(CLASSICAL)
    assert all(row.command.startswith("python -m ml baselines") for row in rows)
    assert "random forest" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "nowhere"], "does not exist"),
        (["--weights", "nowhere.h5", "--cache", "cache"], "does not exist"),
        (["--cache", "cache"], "belong together"),
    ],
)
def test_wrong_options_are_named(arguments, says, collection, tmp_path, capsys):
    data = [] if "--data" in arguments else ["--data", str(collection)]
    assert main(["baselines", *data, *arguments, "--out", str(tmp_path / "x.json")]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_the_published_recipe_trains_from_kept_features(collection, tmp_path, capsys):
    """Random weights say nothing about breasts, but the whole path runs, and the second run finds its features."""
    from ml.baselines.frozen import FeatureStore
    from ml.baselines.paper import PaperRecipe, paper_rows
    from ml.data.readers import read_collections

    records = read_collections([collection])
    recipe = PaperRecipe(epochs=1, views=1)
    tables = []
    for _ in range(2):
        store = FeatureStore(tmp_path / "cache", weights=None)
        found = paper_rows(records, store, command="python -m ml paper", seed=1, recipe=recipe, resamples=5)
        tables.append([row.as_dict() for row in found])
        assert len(list((tmp_path / "cache").glob("*.npz"))) == 2
    assert tables[0] == tables[1]
    assert {row["split"] for row in tables[0]} == {"leaky", "leak-safe"}
