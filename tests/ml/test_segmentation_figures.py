"""Outlines against lesions drawn by hand: agreement, misses and false ones."""

from __future__ import annotations

import numpy as np
import pytest

from ml.card_sections import segmentation_section
from ml.data.readers import read_collections
from ml.segmentation_figures import segmentation_figures, segmentation_of_run
from ml.storage import write_arrays

NOTHING = float("nan")


def figures(dice, iou, area, labels, **changes):
    n = len(labels)
    values = {"sources": ["busi"] * n, "groups": [str(i) for i in range(n)], "resamples": 50, **changes}
    return segmentation_figures(
        dice=np.array(dice), iou=np.array(iou), found_area=np.array(area), labels=labels, **values
    )


def test_figures_are_those_worked_out_by_hand():
    found = figures(
        [0.9, 0.5, 0.0, NOTHING, NOTHING],
        [0.8, 0.3, 0.0, NOTHING, NOTHING],
        [0.1, 0.2, 0.0, 0.0, 0.05],
        ["benign", "malignant", "malignant", "normal", "normal"],
    )["busi"]
    assert found["dice_mean"]["value"] == pytest.approx(1.4 / 3, abs=1e-4)
    assert found["dice_median"]["value"] == 0.5
    assert found["iou_mean"]["value"] == pytest.approx(1.1 / 3, abs=1e-4)
    assert found["missed_lesions"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["missed_lesions"]["n"] == 3
    assert found["false_lesions"] == {**found["false_lesions"], "value": 0.5, "n": 2}
    assert (found["dice_mean_malignant"]["value"], found["dice_mean_malignant"]["n"]) == (0.25, 2)


def test_a_set_without_normal_images_has_no_false_lesions():
    found = figures([0.9, 0.8], [0.8, 0.7], [0.1, 0.1], ["benign", "malignant"])["busi"]
    assert "false_lesions" not in found


def test_images_of_one_patient_are_drawn_together():
    dice = np.repeat(np.random.default_rng(0).random(12), 6)
    together = figures(dice, dice / 2, dice / 3, ["benign"] * 72, groups=[str(i // 6) for i in range(72)])["busi"]
    apart = figures(dice, dice / 2, dice / 3, ["benign"] * 72)["busi"]
    width = {name: each["dice_mean"]["high"] - each["dice_mean"]["low"] for name, each in
             (("together", together), ("apart", apart))}  # fmt: skip
    assert width["together"] > 1.5 * width["apart"]


@pytest.mark.parametrize(
    ("dice", "iou", "labels", "words"),
    [
        ([0.5, 0.5], [0.5], ["benign", "benign"], "one length"),
        ([1.5], [0.5], ["benign"], "within 0-1"),
        ([0.5], [0.5], ["normal"], "normal image"),
        ([0.5], [NOTHING], ["benign"], "go together"),
    ],
)
def test_values_that_make_no_sense_are_refused(dice, iou, labels, words):
    with pytest.raises(ValueError, match=words):
        figures(dice, iou, [0.1] * len(labels), labels)


def test_an_image_judged_normal_loses_its_outline_and_its_lesion_counts_as_missed(collection, tmp_path):
    records = read_collections([collection])
    for fold in range(5):
        index = np.array([i for i, record in enumerate(records) if record.fold == fold])
        one = np.full(len(index), 0.8, np.float32)
        values = {"index": index, "dice": one, "iou": one * 0.8, "dice_whole": one * 0.5, "found_area": one * 0.1}
        write_arrays(tmp_path / f"fold-{fold}" / "readings.npz", values)
    hidden = {record.key for record in records[:4]}
    found = segmentation_of_run(tmp_path, records, judged_normal=hidden, resamples=20)
    assert found["sets"]["clinic"]["missed_lesions"]["value"] == pytest.approx(4 / len(records))
    assert found["before_classification"]["clinic"]["missed_lesions"]["value"] == 0
    assert found["sets"]["clinic"]["dice_mean"]["value"] == pytest.approx(0.8 * 16 / 20)
    assert found["first_look_alone"]["clinic"]["value"] == pytest.approx(0.4)
    # The made masks are of one size, so the one part holds all images.
    (part,) = found["subgroups"]["clinic"].values()
    assert part["dice_mean"] == found["sets"]["clinic"]["dice_mean"]
    assert part["missed_lesions"] == found["sets"]["clinic"]["missed_lesions"]
    section = segmentation_section({"segmentation": found})
    assert "| clinic | lesion area: below 5 % | 20 |" in section
    assert "subgroup" not in segmentation_section({"segmentation": {**found, "subgroups": {}}})
    assert segmentation_of_run(tmp_path / "elsewhere", records, judged_normal=set()) is None
