"""The ultrasound collections in their publishers' own layouts, on generated files."""

from __future__ import annotations

import csv
from collections import defaultdict

import cv2
import numpy as np
import pytest
from PIL import Image

from ml.data.pixels import lesion_mask
from ml.data.readers import read_published
from ml.data.records import DataError, leaking_groups
from tests.ml.test_data_tables import write_workbook


def varied(seed, *, height=100, width=120):
    """An image unlike those of other seeds in its large structure, as two patients' frames are."""
    random = np.random.default_rng(seed)
    coarse = random.integers(20, 236, (8, 9), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def square(height=100, width=120, *, at=(20, 30), side=10):
    mask = np.zeros((height, width), np.uint8)
    mask[at[0] : at[0] + side, at[1] : at[1] + side] = 255
    return mask


@pytest.fixture
def busi(tmp_path):
    """BUSI: six frames of each label; benign (1) comes again brighter, benign (3) cropped, benign (2) as malignant."""
    top = tmp_path / "Dataset_BUSI_with_GT"
    for offset, label in enumerate(("benign", "malignant", "normal")):
        for number in range(1, 7):
            save(varied(offset * 100 + number), top / label / f"{label} ({number}).png")
            save(square(), top / label / f"{label} ({number})_mask.png")
    save(square(at=(60, 60)), top / "benign" / "benign (1)_mask_1.png")
    save(np.clip(varied(1).astype(int) + 12, 0, 255).astype(np.uint8), top / "benign" / "benign (7).png")
    save(varied(3)[:, :108], top / "benign" / "benign (8).png")
    # The same frame under two labels: nobody knows which is right.
    save(varied(2), top / "malignant" / "malignant (7).png")
    return tmp_path


def test_busi_copies_stay_on_one_side_of_the_split(busi):
    records = read_published(busi)
    by_name = {record.path.name: record for record in records}
    for original, copy in (("benign (1).png", "benign (7).png"), ("benign (3).png", "benign (8).png")):
        assert by_name[original].group == by_name[copy].group
        assert by_name[original].fold == by_name[copy].fold
    assert len({record.group for record in records}) == len(records) - 2
    assert leaking_groups(records) == []
    assert not any("mask" in name for name in by_name)
    assert {record.source for record in records} == {"busi"}
    assert by_name["benign (1).png"].leak_group == "busi:benign (1)"


def test_busi_joins_the_masks_of_several_lesions(busi):
    by_name = {record.path.name: record for record in read_published(busi)}
    assert by_name["benign (1).png"].mask.name == "benign (1)_mask.png"
    assert [path.name for path in by_name["benign (1).png"].more_masks] == ["benign (1)_mask_1.png"]
    assert by_name["benign (7).png"].mask is None
    joined = lesion_mask(by_name["benign (1).png"], height=100, width=120)
    assert np.array_equal(joined, square() | square(at=(60, 60)))


def test_busi_frames_with_two_labels_are_left_out_and_named(busi):
    names = {record.path.name for record in read_published(busi)}
    assert "benign (2).png" not in names
    assert "malignant (7).png" not in names
    assert "malignant (2).png" in names
    faults: list[DataError] = []
    read_published(busi, faults=faults)
    assert {(fault.code, str(fault).split(":")[0].rpartition("/")[2]) for fault in faults} == {
        ("left_out", "benign (2).png"),
        ("left_out", "malignant (7).png"),
    }


def test_a_damaged_busi_frame_is_named(busi):
    damaged = busi / "Dataset_BUSI_with_GT" / "normal" / "normal (1).png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(DataError, match=r"normal \(1\)\.png") as caught:
        read_published(busi)
    assert caught.value.code == "unreadable_image"


@pytest.fixture
def busbra(tmp_path):
    """BUS-BRA: ten patients with two images each; cases 44 and 65 are one patient, as in the real collection."""
    top = tmp_path / "BUSBRA" / "BUSBRA"
    top.mkdir(parents=True)
    with (top / "bus_data.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["ID", "Case", "Histology", "Pathology", "BIRADS", "Device", "Width", "Height", "Side", "BBOX"])
        for case in (44, 65, *range(100, 108)):
            for side, word in (("l", "left"), ("r", "right")):
                identity = f"bus_{case:04d}-{side}"
                pathology = "malignant" if case in (44, 65, 100, 101) else "benign"
                writer.writerow([identity, case, "cyst", pathology, "3", "GE Logiq 7", 80, 60, word, "[1 2 3 4]"])
                save(varied(case, height=60, width=80), top / "Images" / f"{identity}.png")
                save(square(60, 80), top / "Masks" / f"mask_{case:04d}-{side}.png")
    return tmp_path


def test_busbra_keeps_the_images_of_a_patient_together(busbra):
    records = read_published(busbra)
    assert len(records) == 20
    folds = defaultdict(set)
    for record in records:
        folds[record.group].add(record.fold)
        assert record.mask is not None
        assert record.attributes["device"] == "GE Logiq 7"
        assert record.laterality == record.path.stem[-1].upper()
    assert len(folds) == 9
    assert all(len(each) == 1 for each in folds.values())
    assert [record.label for record in records].count("malignant") == 8


def test_a_pathology_that_busbra_does_not_have_is_named_with_its_line(busbra):
    table = busbra / "BUSBRA" / "BUSBRA" / "bus_data.csv"
    table.write_text(table.read_text().replace("malignant", "borderline", 1))
    with pytest.raises(DataError, match="line 2: pathology 'borderline'"):
        read_published(busbra)
    faults: list[DataError] = []
    assert len(read_published(busbra, faults=faults)) == 19
    assert [fault.code for fault in faults] == ["unknown_label"]


_BREAST_HEADER = ["CaseID", "Image_filename", "Mask_tumor_filename", "Mask_other_filename", "Pixel_size", "Age"]
_BREAST_ROWS = [
    [1, "case001.png", "case001_tumor.png", None, 0.0078, 57, "4b", "malignant"],
    [
        2,
        "case002.png",
        "case002_tumor1.png&case002_tumor2.png",
        "case002_other1.png",
        0.0078,
        "not available",
        "3",
        "benign",
    ],
    [45, "case045.png", None, None, 0.0078, 43, "1", "normal"],
]


@pytest.fixture
def breast(tmp_path):
    """BrEaST: three cases, one with two tumours, one normal; the table as Excel workbook."""
    images = tmp_path / "BrEaST-Lesions_USG-images_and_masks"
    for number in (1, 2, 45):
        save(np.dstack([varied(number)] * 3), images / f"case{number:03d}.png")
    for name in ("case001_tumor", "case002_tumor1", "case002_other1"):
        save(square(), images / f"{name}.png")
    save(square(at=(60, 60)), images / "case002_tumor2.png")
    rows = [[*_BREAST_HEADER, "BIRADS", "Classification"], *_BREAST_ROWS]
    write_workbook(
        tmp_path / "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx",
        {"BrEaST-Lesions-USG clinical dat": rows, "Data dictionary": [["name"], ["CaseID"]]},
    )
    return tmp_path


def test_breast_is_read_from_its_workbook_with_every_tumour(breast):
    one, two, normal = read_published(breast)
    assert [record.label for record in (one, two, normal)] == ["malignant", "benign", "normal"]
    assert one.key == "breast/case001"
    assert (one.patient, one.attributes["birads"], one.attributes["age"]) == ("1", "4b", "57")
    assert "age" not in two.attributes
    assert np.array_equal(lesion_mask(two, height=100, width=120), square() | square(at=(60, 60)))
    assert normal.mask is None


def test_breast_is_read_from_a_csv_copy_of_its_table_as_well(breast):
    (breast / "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx").unlink()
    with (breast / "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([[*_BREAST_HEADER, "BIRADS", "Classification"], *_BREAST_ROWS])
    assert [record.key for record in read_published(breast)] == ["breast/case001", "breast/case002", "breast/case045"]
    (breast / "BrEaST-Lesions_USG-images_and_masks" / "case002_tumor2.png").unlink()
    with pytest.raises(DataError, match=r"line 3: case002_tumor2\.png does not exist"):
        read_published(breast)
