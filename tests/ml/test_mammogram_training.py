"""Probe, figures and run of the mammogram detector: what is fitted on what."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ml.__main__ import main
from ml.artifact import WEIGHTS_FILE
from ml.contract import LABELS, OutcomeState
from ml.data.readers import read_collections
from ml.data.records import FOLDS, ImageRecord, summary
from ml.images import read_image
from ml.mammogram.evaluation import auc_figures, exam_figures, free_response_figures, judge, patch_figures
from ml.mammogram.film import Film
from ml.mammogram.marks import Spot
from ml.mammogram.probe import Samples, sum_moments
from ml.mammogram.reading import FILM_SET, ReadFilm, cross_fitted, fit_calibration
from ml.mammogram.recipe import DetectorRecipe
from ml.mammogram.targets import Cell
from ml.pipeline import analyse
from ml.registry import altered_files, find_model
from ml.runtime import load_folder
from ml.storage import read_arrays, write_arrays
from tests.ml.drawn_mammograms import draw_mammogram, write_film_collection


def made_film(number: int, label: str, finding: float, *, source: str = FILM_SET, hit: bool = True) -> ReadFilm:
    """A film with two marks, the first of them on its lesion if it has one and ``hit``."""
    abnormal = label != "normal"
    record = ImageRecord(
        source=source,
        path=Path(f"film-{number}.png"),
        label=label,
        group=str(number // 2),
        fold=number // 2 % 5,
        patient=str(number // 2),
        laterality="LR"[number % 2],
    )
    return ReadFilm(
        record=record,
        spots=(Spot(100, 100, 24, finding, finding), Spot(400, 100, 24, finding - 2, 0)),
        on=np.array([0 if abnormal and hit else -1, -1]),
        kinds=("CIRC",) if abnormal else (),
        sizes=(40.0,) if abnormal else (),
        placed=True,
        lesion_patches=np.array([finding]) if abnormal else np.array([]),
        tissue_patches=np.array([finding - 3, finding - 4]),
        cells=np.array([finding, finding - 3], np.float32),
        lesion_cells=np.array([abnormal, False]),
        centre_hit=False,
    )


@pytest.fixture
def films() -> list[ReadFilm]:
    random = np.random.default_rng(0)
    made = []
    for number in range(120):
        label = ("normal", "benign", "normal", "malignant")[number % 4]
        made.append(made_film(number, label, float(random.normal(LABELS.index(label) == 1, 1.0))))
    return made


def test_a_fold_s_scalings_do_not_depend_on_its_own_films(films):
    before = cross_fitted(films)
    changed = [
        made_film(number, film.record.label, 9.0) if film.record.fold == 2 else film
        for number, film in enumerate(films)
    ]
    after = cross_fitted(changed)
    assert after[2] == before[2]
    assert after[1] != before[1]


def test_films_of_the_set_without_negatives_do_not_touch_the_calibration(films):
    others = [made_film(1000 + number, "malignant", 5.0, source="cdd-cesm-low-energy") for number in range(40)]
    assert fit_calibration([*films, *others]) == fit_calibration(films)


def test_a_fold_s_threshold_does_not_depend_on_its_own_labels(films):
    judged = judge(films, cross_fitted(films))
    folds = np.array([film.record.fold for film in films])
    assert len(np.unique(judged.thresholds[folds == 0])) == 1
    assert len(np.unique(judged.thresholds)) > 1


def test_every_figure_states_its_n_and_interval(films):
    by_fold = cross_fitted(films)
    figures = auc_figures(judge(films, by_fold), 50)
    marked = free_response_figures([film.marked(by_fold[film.record.fold]) for film in films], 50)
    exams = exam_figures(films, judge(films, by_fold), 50)
    patches = patch_figures(films, 50)
    for figure in (
        figures["auc_malignant"],
        marked["sensitivity_at_false_marks_a_film"]["1"],
        exams["auc_malignant"],
        patches["auc_lesion"],
    ):
        assert figure["n"] > 0 and figure["groups"] > 0
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert exams["exams"] == 60


def test_a_patch_figure_without_lesions_is_undefined_and_not_a_half():
    normals = [made_film(number, "normal", 0.0) for number in range(8)]
    assert patch_figures(normals, 20)["auc_lesion"]["value"] is None


def test_moments_leave_out_the_folds_that_are_held_out():
    random = np.random.default_rng(1)
    samples = Samples(
        films=np.repeat(np.arange(10), 6),
        kinds=np.tile([Cell.TISSUE, Cell.TISSUE, Cell.TISSUE, Cell.BENIGN, Cell.MALIGNANT, Cell.MALIGNANT], 10),
        features=random.normal(size=(60, 4)).astype(np.float16),
    )
    folds = [film % 5 for film in range(10)]
    before = sum_moments(samples, sources=["a"] * 10, folds=folds).of([0, 1, 2, 3], ["a"], (Cell.TISSUE,))
    features = samples.features.copy()
    held_out = np.isin(samples.films, [4, 9])
    features[held_out & (np.arange(60) % 17 != 0)] += 50
    other = Samples(samples.films, samples.kinds, features)
    after = sum_moments(other, sources=["a"] * 10, folds=folds).of([0, 1, 2, 3], ["a"], (Cell.TISSUE,))
    assert before is not None and after is not None
    # The centre is only an origin for the sums: the covariance, and so the direction, does not depend on it.
    assert np.allclose(before.covariance, after.covariance, atol=1e-2)


def test_a_large_lesion_counts_as_one_film_among_others():
    samples = Samples(
        films=np.array([0, 1, 1, 1]),
        kinds=np.full(4, Cell.MALIGNANT, np.uint8),
        features=np.array([[0.0], [4.0], [4.0], [4.0]], np.float16),
    )
    moments = sum_moments(samples, sources=["a", "a"], folds=[0, 0])
    found = moments.of([0], ["a"], (Cell.MALIGNANT,))
    assert found is not None
    assert found.mean[0] + moments.centre[0] == pytest.approx(2.0)


def test_training_without_films_or_with_an_unknown_part_is_refused(tmp_path, capsys):
    data = write_film_collection(tmp_path / "mini-mias", pairs=5)
    common = ["mammogram", "train", "--data", str(data), "--weights", "none", "--out", str(tmp_path / "run")]
    assert main([*common, "--part", "fold-9"]) == 1
    assert "fold-9" in capsys.readouterr().err
    assert main(["mammogram", "train", "--data", str(tmp_path / "nothing"), *common[4:]]) == 1
    assert "nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_training_goes_on_and_scores_only_films_it_never_saw(tmp_path, capsys):
    data = write_film_collection(tmp_path / "mini-mias", pairs=5)
    run = tmp_path / "run"
    command = ["mammogram", "train", "--data", str(data), "--weights", "none", "--out", str(run)]
    command += ["--part", "fold-0", "--views", "1", "--epochs", "1", "--steps", "1", "--window", "8"]
    assert main(command) == 0
    with np.load(run / "fold-0" / "scores.npz") as scores:
        assert set(scores.files) == {"mini-mias/mdb000", "mini-mias/mdb001"}
        assert all(scores[name].shape == (48, 32, 2) for name in scores.files)
    assert main(command) == 1
    assert "--resume" in capsys.readouterr().err
    (run / "fold-0" / "network.npz").unlink()
    assert main([*command, "--resume"]) == 0
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["recipe"]["window"] == 8
    with (run / "fold-0" / "history.csv").open(newline="", encoding="utf-8") as handle:
        assert len(list(csv.DictReader(handle))) == 1


@pytest.fixture
def finished(tmp_path) -> tuple[Path, Path]:
    """Drawn films, and a run on them that holds what the shipped detector says: what `ml mammogram train` leaves."""
    data = write_film_collection(tmp_path / "mini-mias", pairs=10)
    run = tmp_path / "run"
    shipped = find_model("mg-patches")
    detector = load_folder(shipped.folder)
    records = read_collections([data])
    for fold in range(FOLDS):
        films = {record.key: Film.prepare(read_image(record.path)) for record in records if record.fold == fold}
        scores = {key: detector.forward(film.canvas)[0] for key, film in films.items() if film is not None}
        write_arrays(run / f"fold-{fold}" / "scores.npz", scores)
    weights = read_arrays(shipped.folder / WEIGHTS_FILE)
    write_arrays(run / "final" / "network.npz", {name: each.astype(np.float32) for name, each in weights.items()})
    described = {
        "command": "python -m ml mammogram train",
        "recipe": DetectorRecipe().as_dict(),
        "seed": 1,
        "weights_sha256": "random",
        "data": summary(records),
        "images": [record.key for record in records],
    }
    (run / "run.json").write_text(json.dumps(described), encoding="utf-8")
    return data, run


def release(data, run, out, *more):
    command = ["mammogram", "release", "--data", str(data), "--run", str(run), "--out", str(out), "--version", "0.1.0"]
    return main([*command, "--name", "mg-test", "--resamples", "10", *more])


@pytest.mark.slow
def test_a_run_becomes_an_artefact_that_loads_marks_and_documents_itself(finished, tmp_path, collection, capsys):
    out, rows = tmp_path / "models" / "mg-test" / "0.1.0", tmp_path / "rows.json"
    more = ["--foreign", str(collection), "--results", str(rows), "--note", "Made by a test."]
    assert release(*finished, out, *more) == 0, capsys.readouterr().err[-400:]
    installed = find_model("mg-test", root=tmp_path / "models")
    assert altered_files(installed) == []
    assert (installed.status, installed.modality) == ("research", "MG")
    assert [path.name for path in out.parent.iterdir()] == ["0.1.0"], "nothing half-written is left"
    evaluation = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["films"]["mini-mias"]["auc_abnormal"]["n"] == 20
    assert evaluation["refusals"]["other_images"]["clinic"]["n"] == 20
    assert evaluation["parity"]["graph_against_keras_twin"] < 1e-3
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Made by a test." in card and installed.sha256 in card
    assert {row["set"] for row in json.loads(rows.read_text(encoding="utf-8"))} == {"mini-mias"}
    outcome = analyse(draw_mammogram(lesion=(150.0, 90.0, 30.0)), load_folder(out))
    assert outcome.state is OutcomeState.SUCCEEDED


def test_an_unfinished_run_or_one_of_other_films_is_not_released(finished, tmp_path, capsys):
    data, run = finished
    out = tmp_path / "models" / "mg-test" / "0.1.0"
    other = write_film_collection(tmp_path / "other" / "mini-mias", pairs=5)
    assert release(other, run, out) == 1
    assert "other films" in capsys.readouterr().err
    (run / "fold-3" / "scores.npz").unlink()
    assert release(data, run, out) == 1
    assert "no scores of 4 films" in capsys.readouterr().err
    (run / "final" / "network.npz").unlink()
    assert release(data, run, out) == 1
    assert "Finish the training first" in capsys.readouterr().err
    assert not out.parent.exists() or not list(out.parent.iterdir())
