"""The ablation compares like with like: same folds, same images, paired intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ml.ablations import (
    LEAST_PATCH,
    Task,
    as_markdown,
    compare,
    cut_patch,
    image_task,
    lesion_patches,
    patch_task,
    stretched,
)
from ml.data.records import FOLDS, Abnormality, ImageRecord


def made_task(count: int = 120) -> Task:
    labels = np.arange(count) % 2
    return Task(
        name="clinic",
        labels=labels,
        positive=labels == 1,
        classes_positive=(1,),
        folds=np.arange(count) // 2 % FOLDS,
        groups=tuple(str(number // 2) for number in range(count)),
    )


def test_a_step_that_helps_and_one_that_harms_are_told_from_one_that_does_nothing():
    task = made_task()
    random = np.random.default_rng(0)
    noise = random.normal(size=(120, 6)).astype(np.float32)
    signal = task.labels[:, None].astype(np.float32)
    variants = {
        "none": noise + 0.5 * signal,
        "same": noise + 0.5 * signal,
        "helps": noise + 2 * signal,
        "harms": noise,
    }
    heard: list[str] = []
    effects = compare(task, iter(variants.items()), resamples=200, say=heard.append)
    auc = {effect.step: effect for effect in effects if effect.figure == "auc"}
    assert auc["none"].difference == auc["same"].difference == 0
    assert auc["same"].difference_low == auc["same"].difference_high == 0
    assert auc["helps"].difference_low > 0
    assert auc["harms"].difference_high < 0
    assert auc["helps"].n == 120 and auc["helps"].groups == 60
    assert len(heard) == 4
    table = as_markdown(effects)
    assert "### clinic (n = 120, 60 groups)" in table and "| helps |" in table and "| none | " in table


def test_features_of_the_held_out_fold_do_not_reach_the_fit():
    """A feature that is the label in training folds only must not help."""
    task = made_task()
    noise = np.random.default_rng(1).normal(size=(120, 3)).astype(np.float32)
    spoilt = noise.copy()
    spoilt[task.folds == 0] = 1e3
    first = compare(task, iter([("none", noise)]), resamples=5, say=lambda text: None)
    second = compare(task, iter([("none", noise), ("spoilt", spoilt)]), resamples=5, say=lambda text: None)
    assert first[1].value == second[1].value
    assert second[3].value != second[1].value


def test_the_labels_that_are_looked_for_are_the_positive_ones():
    records = [
        ImageRecord(source="s", path=Path(f"{label}.png"), label=label, group=label, fold=0)
        for label in ("benign", "malignant", "normal")
    ]
    assert image_task(records, name="s", positive=("malignant",)).positive.tolist() == [False, True, False]
    assert image_task(records, name="s", positive=("benign", "malignant")).positive.tolist() == [True, True, False]


def film(folder: Path, number: int, findings: tuple[Abnormality, ...]) -> ImageRecord:
    pixels = np.zeros((512, 512), np.uint8)
    pixels[40:470, 0:300] = 120
    path = folder / f"film{number}.png"
    Image.fromarray(pixels).save(path)
    label = findings[0].label if findings else "normal"
    return ImageRecord(
        source="films", path=path, label=label, group=str(number), fold=number % FOLDS, abnormalities=findings
    )


def test_patches_of_normal_tissue_lie_in_the_breast_and_meet_no_finding(tmp_path):
    lesion = Abnormality(kind="CIRC", label="malignant", row=200.0, column=150.0, radius=30.0)
    lost = Abnormality(kind="CALC", label="benign")
    records = [film(tmp_path, 0, (lesion,)), film(tmp_path, 1, ()), film(tmp_path, 2, (lost,))]
    patches = lesion_patches(records, seed=0)
    assert [patch.lesion for patch in patches] == [True, False, False]
    assert {patch.record.key for patch in patches if not patch.lesion} == {"films/film0", "films/film1"}
    for patch in patches[1:]:
        assert 30 <= patch.row <= 480 and patch.column <= 310
        assert patch.side == LEAST_PATCH
    beside = next(patch for patch in patches[1:] if patch.record.key == "films/film0")
    assert max(abs(beside.row - 200), abs(beside.column - 150)) >= LEAST_PATCH
    assert patch_task(patches, name="p").positive.tolist() == [True, False, False]


def test_a_patch_at_the_edge_is_filled_up_with_black(tmp_path):
    lesion = Abnormality(kind="CIRC", label="malignant", row=45.0, column=2.0, radius=30.0)
    patch = lesion_patches([film(tmp_path, 0, (lesion,))], seed=0)[0]
    square = cut_patch(np.full((512, 512), 200, np.uint8), patch)
    assert square.shape == (224, 224)
    assert (square[:, :90] == 0).all() and (square[20:, 130:] == 200).all()


def test_stretching_loses_the_shape():
    assert stretched(np.zeros((100, 300), np.uint8)).shape == (224, 224)
