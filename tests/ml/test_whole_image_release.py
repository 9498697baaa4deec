"""What a whole-image artefact is made of: borrowed masks, fitted limits, breasts, and the refusal to flatter."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

from ml.data.readers import read_collections
from ml.data.records import DataError, ImageRecord
from ml.figures import Judged
from ml.quality import QualityLimits
from ml.whole_image.borrowed_masks import borrow_masks, place_mask
from ml.whole_image.exams import breast_figures
from ml.whole_image.limits import fit_limits
from ml.whole_image.recipe import WholeImageRecipe


def padded_film(*, pad: int = 40, side: int = 200):
    """A film between black columns with a round finding, and the finding's centre in the film's own coordinates."""
    film, mask = np.zeros((2, side, side), np.uint8)
    film[:, pad : side - pad] = 90
    cv2.circle(mask, (pad + 30, 120), 12, 255, -1)
    return film, mask


def test_a_mask_follows_the_film_from_padding_to_stretching():
    film, mask = padded_film()
    placed = place_mask(mask, film, shape=(200, 200))
    rows, columns = np.nonzero(placed)
    assert set(np.unique(placed)) == {0, 255}
    assert rows.mean() == pytest.approx(120, abs=1)
    assert columns.mean() == pytest.approx(30 / 120 * 200, abs=2)
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(200 / 120, rel=0.1)


def test_a_thin_arc_along_the_skin_is_left_out_and_the_finding_beside_it_kept():
    film, mask = padded_film()
    alone = place_mask(mask, film, shape=(200, 200))
    cv2.ellipse(mask, (60, 100), (90, 90), 0, -60, 60, 255, 2)
    assert (place_mask(mask, film, shape=(200, 200)) > 0).sum() == pytest.approx((alone > 0).sum(), rel=0.02)


def test_masks_are_found_by_the_name_of_the_view(tmp_path):
    films = tmp_path / "films"
    for name in ("images", "masks"):
        (films / name).mkdir(parents=True)
    film, mask = padded_film()
    cv2.imwrite(str(films / "images" / "P1_L_DM_CC.png"), film)
    cv2.imwrite(str(films / "masks" / "P1_L_DM_CC.png"), mask)
    with (films / "labels.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerows([["image", "mask"], ["images/P1_L_DM_CC.png", "masks/P1_L_DM_CC.png"]])
    records = []
    for name in ("P1_L_CM_CC", "P2_L_CM_CC"):
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), np.full((200, 200), 60, np.uint8))
        records.append(ImageRecord(source="cdd-cesm", path=path, label="malignant", group=name[:2], fold=0))
    found = borrow_masks(records, films=films, out=tmp_path / "borrowed")
    assert found[0].mask is not None
    assert found[1].mask is None
    placed = cv2.imread(str(found[0].mask), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(placed, place_mask(mask, film, shape=(200, 200)))
    with pytest.raises(DataError, match="low-energy"):
        borrow_masks(records, films=tmp_path / "nowhere", out=tmp_path / "borrowed")


def test_a_limit_that_refuses_good_images_is_moved_and_no_other(collection):
    records = read_collections([collection])
    start = QualityLimits(shortest_side=10, least_contrast=1.0, least_detail=0.0, most_detail=0.01)
    limits = fit_limits(records, side=96, start=start)
    assert limits.most_detail > 0.05
    assert limits.least_contrast == start.least_contrast
    assert limits.shortest_side == start.shortest_side
    strict = fit_limits(records, side=96, start=QualityLimits(shortest_side=500))
    assert strict.shortest_side == 96


def test_the_views_of_a_breast_speak_together(tmp_path):
    def view(name, patient, side):
        return ImageRecord(
            source="s", path=tmp_path / name, label="benign", group=patient, fold=0, attributes={"side": side}
        )

    records = [view("a", "1", "L"), view("b", "1", "L"), view("c", "1", "R"), view("d", "2", "L")]
    labels = np.array([1, 0, 2, 0])
    malignant = np.array([0.9, 0.3, 0.2, 0.5])
    judged = Judged(
        labels=labels,
        probabilities=np.stack([1 - malignant, malignant, np.zeros(4)], axis=1),
        thresholds=np.full(4, 0.55),
        groups=("1", "1", "1", "2"),
    )
    figures = breast_figures(records, judged, resamples=10)
    assert (figures["n"], figures["malignant"]) == (3, 1)
    # The mean of 0.9 and 0.3 lies above both other breasts and above the threshold.
    assert figures["auc_malignant"]["value"] == 1
    assert figures["sensitivity"]["value"] == figures["specificity"]["value"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "files", "words"),
    [
        ({"network": "mobilenetv2"}, [], "Finish the training first"),
        ({"network": "mobilenetv2", "head": {"dense": 8}}, ["final/network.npz", "out-of-fold.csv"], "no dense layer"),
        ({"network": "vgg16"}, ["final/network.npz", "out-of-fold.csv"], "Only MobileNetV2"),
    ],
)
def test_a_run_that_cannot_be_released_says_why(collection, tmp_path, capsys, recipe, files, words):
    from ml.commands import fit_release

    run = tmp_path / "run"
    for name in files:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).touch()
    run.mkdir(exist_ok=True)
    described = {
        "recipe": WholeImageRecipe.from_mapping(recipe).as_dict(),
        "images": [record.key for record in read_collections([collection])],
    }
    (run / "run.json").write_text(json.dumps(described))
    out = tmp_path / "models" / "x" / "1.0.0"
    arguments = ["--run", str(run), "--data", str(collection), "--modality", "cesm", "--name", "x"]
    assert fit_release.run([*arguments, "--version", "1.0.0", "--out", str(out)]) == 1
    assert words in capsys.readouterr().err
    assert not out.exists()
