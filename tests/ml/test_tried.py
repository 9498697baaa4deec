"""What was tried on the ultrasound model: judged on images that nothing was fitted on, beside what is served."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.__main__ import main
from ml.data.readers import read_collections
from ml.data.records import FOLDS, DataError, ImageRecord
from ml.images import Letterbox
from ml.logits import LogitTable
from ml.looks.closeup import CloseUp
from ml.looks.elsewhere_trials import try_elsewhere
from ml.looks.evidence import EVIDENCE_NAMES, lesion_evidence, outline_features
from ml.looks.fusion_trials import nested_ridge, nested_trees
from ml.looks.outline_trials import best_threshold, by_evidence, outlines_of, try_outlines
from ml.looks.passes import OUTLINES, PASSES, THRESHOLDS, Passes
from ml.looks.reading import FirstLook, LookForward, Reading, sigmoid
from ml.looks.tried import compare
from ml.results import Commands, read_results
from ml.side_results import tried_table


def made_reading(mask: np.ndarray) -> Reading:
    """A reading of a square image whose whole look says ``mask`` (logits, 56 x 56), and the close look the middle."""
    forward = LookForward(
        logits=np.zeros(6, np.float32),
        maps=np.zeros((7, 7, 6), np.float32),
        embedding=np.zeros(4, np.float32),
        mask=mask.astype(np.float32),
    )
    first = FirstLook(
        letterbox=Letterbox.fit(height=112, width=112, side=112),
        forward=forward,
        probability=np.kron(sigmoid(forward.mask), np.ones((2, 2), np.float32)),
        square=CloseUp(top=28, left=28, size=56),
    )
    return Reading(first=first, second=replace(forward, mask=forward.mask[14:42, 14:42]))


def spot(high: float, *, radius: float = 6.0) -> np.ndarray:
    rows, columns = np.indices((56, 56)) - 27.5
    return np.where(np.hypot(rows, columns) < radius, high, -6.0)


def evidence_of(mask: np.ndarray) -> dict[str, float]:
    return dict(zip(EVIDENCE_NAMES, lesion_evidence(made_reading(mask)).tolist(), strict=True))


def test_a_clear_lesion_leaves_more_evidence_than_a_faint_one():
    clear, faint = evidence_of(spot(6.0)), evidence_of(spot(0.3))
    assert clear["highest, whole look"] == pytest.approx(1, abs=0.01) and clear["pieces"] == 1
    assert clear["highest, whole look"] > faint["highest, whole look"] > 0.5
    assert clear["mean inside the outline"] > faint["mean inside the outline"]
    doubtful = "logarithm of the doubtful area over the outline's"
    assert clear[doubtful] < faint[doubtful], "a faint lesion is doubtful all over, a clear one at its border"
    assert clear["side of the square over the image's shorter side"] == 0.5


def test_an_image_without_a_lesion_has_evidence_too():
    nothing = evidence_of(np.full((56, 56), -6.0))
    assert np.isfinite(list(nothing.values())).all()
    assert nothing["mean inside the outline"] == 0 and nothing["pieces"] == 0
    assert nothing["logarithm of the outline's area over the image's"] == pytest.approx(np.log(1e-3))


def test_the_own_outline_is_measured_as_the_drawn_one_is():
    from ml.baselines.handcrafted import lesion_features
    from ml.segment import lesion_mask

    grey = np.random.default_rng(0).integers(0, 256, (112, 112)).astype(np.uint8)
    reading = made_reading(spot(6.0))
    drawn = lesion_mask(reading.lesion_probability()) > 0
    np.testing.assert_array_equal(outline_features(grey, reading), lesion_features(grey, drawn))
    # A spot that no pixel would be outlined for is measured at half of its own peak.
    assert np.isfinite(outline_features(grey, made_reading(spot(-2.0)))).all()


def made_table(count: int = 120, *, seed: int = 0) -> LogitTable:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return LogitTable(
        keys=tuple(f"busi/{row}" for row in range(count)),
        sources=("busi",) * count,
        groups=tuple(str(row) for row in range(count)),
        models=("m",) * count,
        labels=labels,
        folds=np.arange(count) // 3 % FOLDS,
        logits=random.normal(size=(count, 2, 3)) + 2 * np.eye(3)[labels][:, None],
        looks=("whole", "close"),
    )


def made_records(table: LogitTable) -> list[ImageRecord]:
    names = ("benign", "malignant", "normal")
    return [
        ImageRecord(source="busi", path=Path(f"{key}.png"), label=names[label], group=group, fold=int(fold))
        for key, label, group, fold in zip(table.keys, table.labels, table.groups, table.folds, strict=True)
    ]


def made_passes(table: LogitTable, *, seed: int = 1) -> Passes:
    random = np.random.default_rng(seed)
    count = len(table.keys)
    lesion = table.labels != 2
    dice = np.where(lesion[:, None, None], random.uniform(0, 1, (count, len(OUTLINES), len(THRESHOLDS))), np.nan)
    return Passes(
        logits=np.repeat(np.tile(table.logits[:, :1], (1, len(PASSES), 1)), 2, axis=2).astype(np.float32),
        evidence=random.normal(size=(count, 12)) + lesion[:, None],
        outline=random.normal(size=(count, 76)),
        dice=dice,
        area=np.full((count, len(OUTLINES), len(THRESHOLDS)), 0.1),
    )


@pytest.mark.parametrize("judge", [nested_ridge, nested_trees])
def test_nothing_of_the_judged_fold_is_fitted(judge):
    table = made_table()
    features = table.logits.reshape(len(table.keys), -1)
    here = table.folds == 2
    turned = replace(table, labels=np.where(here, (table.labels + 1) % 3, table.labels))
    before, after = judge(features, table), judge(features, turned)
    np.testing.assert_array_equal(before[here], after[here])
    assert not np.array_equal(before[~here], after[~here])
    assert (before.argmax(axis=1) == table.labels).mean() > 0.8
    np.testing.assert_allclose(before.sum(axis=1), 1)


def test_the_rules_of_the_outline_do_not_see_the_judged_fold():
    table = made_table()
    passes = made_passes(table)
    shown = np.ones(len(table.keys), dtype=bool)
    here = table.folds == 1
    turned = replace(passes, dice=np.where(here[:, None, None], passes.dice[:, :, ::-1], passes.dice))
    np.testing.assert_array_equal(best_threshold(passes, table)[here], best_threshold(turned, table)[here])
    lying = replace(table, labels=np.where(here, 2 - table.labels, table.labels))
    np.testing.assert_array_equal(by_evidence(passes, table, shown)[here], by_evidence(passes, lying, shown)[here])
    telling = by_evidence(passes, table, table.labels != 2)
    assert telling[table.labels != 2].mean() > telling[table.labels == 2].mean() + 0.5


def test_the_better_mask_threshold_is_found_on_the_other_folds():
    table = made_table()
    passes = made_passes(table)
    better = passes.dice.copy()
    better[:, 0, 3] = np.where(np.isfinite(better[:, 0, 3]), 0.9, np.nan)
    assert set(best_threshold(replace(passes, dice=better), table).tolist()) == {3}


def test_what_is_served_differs_from_itself_by_nothing():
    table = made_table()
    found = try_outlines(made_records(table), table, made_passes(table), resamples=20, say=lambda line: None)
    served = [each for each in found if each.idea.startswith("as served")]
    served_figures = {"dice_mean", "missed_lesions", "false_lesions"}
    assert {each.figure for each in served} == served_figures
    assert all((each.difference, each.difference_low, each.difference_high) == (0, 0, 0) for each in served)
    assert {each.figure: each.n for each in served} == {"dice_mean": 80, "missed_lesions": 80, "false_lesions": 40}
    passes = made_passes(table)
    usual = passes.dice[:, 0, THRESHOLDS.index(0.5)], passes.area[:, 0, THRESHOLDS.index(0.5)]
    other = [("another run", table, usual)]
    found = try_outlines(made_records(table), table, passes, instead=other, resamples=20, say=lambda line: None)
    alike = [each for each in found if each.idea == "another run"]
    assert {each.figure: each.difference for each in alike} == dict.fromkeys(served_figures, 0)
    lone = replace(table, labels=np.zeros_like(table.labels))
    assert try_outlines(made_records(lone), lone, made_passes(lone), resamples=5, say=print) == []


def test_a_difference_is_paired():
    records = made_records(made_table())
    values = np.random.default_rng(0).uniform(0, 1, len(records))
    found = compare(
        "a tenth more",
        passes=3,
        records=records,
        rows=np.arange(30, 90),
        measure=lambda source, rows: {"mean": (values[rows].mean() + 0.1, values[rows].mean())},
        resamples=50,
    )
    assert [(each.set, each.n, each.groups, each.passes) for each in found] == [("busi", 60, 60, 3)]
    assert found[0].value == pytest.approx(values[30:90].mean() + 0.1, abs=1e-4)
    assert found[0].high - found[0].low > 0.05, "the figure itself is uncertain"
    assert (found[0].difference_low, found[0].difference_high) == (0.1, 0.1), "the paired difference is not"


def crossed(table: LogitTable) -> LogitTable:
    """The table as it were of two networks, each trained on one collection and asked about the other."""
    first = np.arange(len(table.keys)) % 2 == 0
    return replace(
        table,
        models=tuple(np.where(first, "train-busbra", "train-busi").tolist()),
        sources=tuple(np.where(first, "busi", "busbra").tolist()),
    )


def test_ideas_are_judged_from_hospital_to_hospital_too():
    served = crossed(made_table())
    records = [
        replace(record, source=source) for record, source in zip(made_records(served), served.sources, strict=True)
    ]
    # The records' keys name their source.
    served = replace(served, keys=tuple(record.key for record in records))
    worse = replace(served, logits=served.logits + np.random.default_rng(3).normal(0, 4, served.logits.shape))
    found = try_elsewhere(records, served, [("worse", worse)], resamples=50, say=lambda line: None)
    assert {each.set for each in found} == {"busbra -> busi", "busi -> busbra"}
    rows = {(each.idea, each.set, each.figure): each for each in found}
    assert rows["as served: whole and close look fused", "busi -> busbra", "accuracy"].difference == 0
    assert rows["worse", "busi -> busbra", "auc_malignant"].difference_high < 0
    assert rows["worse", "busbra -> busi", "accuracy"].n == 60
    with pytest.raises(ValueError, match="no network train-busi"):
        lone = replace(served, models=("train-busbra",) * len(served.keys))
        try_elsewhere(records, served, [("lone", lone)], resamples=5, say=lambda line: None)


def test_ideas_have_a_table_of_their_own(tmp_path):
    figures = {"n": 608, "groups": 462, "value": 0.824, "low": 0.78, "high": 0.86}
    figures |= {"difference": 0.008, "difference_low": -0.002, "difference_high": 0.018}
    idea = {"idea": "ridge", "passes": 2, "set": "busi", "figure": "accuracy", **figures}
    outline = {**idea, "idea": "every image", "figure": "false_lesions", "n": 105}
    content = {"command": "python -m ml tried", "model": "m 1.0.0", "tried": [idea], "outlines": [outline]}
    (tmp_path / "us-tried.json").write_text(json.dumps(content))
    assert read_results(tmp_path) == []
    crossing = {**idea, "set": "busbra -> busi", "figure": "auc_malignant"}
    content["tried"].append(crossing)
    (tmp_path / "us-tried.json").write_text(json.dumps(content))
    text = tried_table(tmp_path, Commands())
    assert "| BUS-BRA → BUSI | ridge | 2 | 608 | - | 0.824, +0.008 (-0.002 to +0.018) | C1 |" in text
    assert "| BUSI | ridge | 2 | 608 | 0.824, +0.008 (-0.002 to +0.018) | - | C1 |" in text
    assert "| BUSI | every image | 2 | 105 | 0.824, +0.008 (-0.002 to +0.018) | C1 |" in text
    assert tried_table(tmp_path / "nothing", Commands()) == ""


def test_the_fold_networks_read_as_the_training_did(two_look_run, collection):
    from ml.looks.folds import FoldNetworks
    from ml.storage import read_arrays

    records = read_collections([collection])
    networks = FoldNetworks(two_look_run, records)
    stored = read_arrays(two_look_run / "fold-1" / "readings.npz")
    own = [records[int(place)] for place in stored["index"]]
    assert own and {record.fold for record in own} == {1}
    from ml.images import read_image, to_grey

    readings = networks.read(1, [to_grey(read_image(record.path)) for record in own])
    for place, reading in enumerate(readings):
        np.testing.assert_allclose(reading.whole_logits, stored["whole_logits"][place], atol=1e-5)
        np.testing.assert_allclose(reading.close_logits, stored["close_logits"][place], atol=1e-5)
    greys = [to_grey(read_image(record.path)) for record in records[:5]]
    np.testing.assert_allclose(networks.probabilities(greys, records[:5]).sum(axis=1), 1)
    with pytest.raises(DataError, match="other images"):
        FoldNetworks(two_look_run, records[::-1])


@pytest.mark.slow
def test_the_command_measures_a_run_and_keeps_its_passes(two_look_run, collection, tmp_path, capsys, monkeypatch):
    from ml.looks.folds import FoldNetworks
    from ml.looks.passes import collect_passes

    out = tmp_path / "us-tried.json"
    table = two_look_run / "out-of-fold.csv"
    options = ["--data", str(collection), "--title", "m 1.0.0", "--out", str(out), "--resamples", "5"]
    arguments = ["tried", "--run", str(two_look_run), *options]
    assert main([*arguments, "--member", f"itself={table}", "--instead", f"again={table}"]) == 0
    content = json.loads(out.read_text())
    rows = {(each["idea"], each["figure"]): each for each in content["tried"]}
    assert rows["again", "accuracy"]["difference"] == 0
    assert rows["fused with itself", "accuracy"]["passes"] == 4
    drawn = outlines_of(two_look_run, read_collections([collection]))
    assert drawn is not None and np.isfinite(drawn[0]).all() and drawn[1].shape == (20,)
    assert outlines_of(tmp_path, []) is None
    assert rows["ridge on everything", "auc_malignant"]["n"] == 20
    assert content["outlines"] == [], "no image of this collection is normal"
    records = read_collections([collection])
    networks = FoldNetworks(two_look_run, records)
    monkeypatch.setattr(networks, "forward", None)
    assert collect_passes(networks, records).logits.shape == (20, len(PASSES), 6), "nothing is run a second time"
    (two_look_run / "fold-3" / "network.npz").unlink()
    assert main(arguments) == 1
    assert "Finish the training of the folds first" in capsys.readouterr().err
    assert main([*arguments, "--member", "nameless"]) == 1
    assert "must be NAME=PATH" in capsys.readouterr().err
