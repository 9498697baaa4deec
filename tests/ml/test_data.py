"""Collections in each layout, and folds that do not leak."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict

import cv2
import numpy as np
import pytest
from PIL import Image

from ml.bench import synthetic_image
from ml.commands import data as data_command
from ml.data.readers import read_collections, read_published, read_shared
from ml.data.records import DataError, assign_folds, leaking_groups


def rewrite_rows(folder, change):
    path = folder / "labels.csv"
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    change(rows)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_shared_collection_keeps_its_folds_groups_and_masks(collection):
    records = read_shared(collection)
    assert len(records) == 20
    assert Counter(record.fold for record in records) == dict.fromkeys(range(5), 4)
    assert {record.group for record in records} == {str(patient) for patient in range(10)}
    assert all(record.mask is not None and record.mask.is_file() for record in records)
    assert leaking_groups(records) == []
    assert records[0].key == "clinic/p00l"


def test_a_patient_in_two_folds_stops_the_reading(collection):
    rewrite_rows(collection, lambda rows: rows[0].update(fold="3"))
    with pytest.raises(DataError, match="would leak"):
        read_collections([collection])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[3].update(label="cyst"), "line 5"),
        (lambda rows: rows[3].update(fold="x"), "line 5"),
        (lambda rows: rows[3].update(image="images/none.png"), "does not exist"),
        (lambda rows: [row.update(fold="7") for row in rows], "outside 0-4"),
        (lambda rows: rows.append(dict(rows[0])), "occur twice"),
        (lambda rows: [row.pop("fold") for row in rows], "lacks the column fold"),
    ],
)
def test_a_faulty_table_is_refused_with_the_place(collection, change, words):
    rewrite_rows(collection, change)
    with pytest.raises(DataError, match=words):
        read_collections([collection])


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"labels\.csv"):
        read_collections([tmp_path])


def test_folds_are_even_for_every_label_and_the_same_each_time():
    groups = {f"p{i}": ("malignant" if i % 3 == 0 else "benign") for i in range(100)}
    folds = assign_folds(groups)
    assert folds == assign_folds(dict(reversed(list(groups.items()))))
    for label in ("malignant", "benign"):
        sizes = Counter(folds[group] for group, its in groups.items() if its == label)
        assert max(sizes.values()) - min(sizes.values()) <= 1


def varied(seed):
    """An image unlike those of other seeds in its large structure, as two patients' frames are."""
    coarse = np.random.default_rng(seed).integers(20, 236, (5, 6), dtype=np.uint8)
    smooth = cv2.resize(coarse, (120, 100), interpolation=cv2.INTER_CUBIC).astype(float)
    return np.clip(smooth * 0.7 + synthetic_image(height=100, width=120, seed=seed) * 0.3, 0, 255).astype(np.uint8)


@pytest.fixture
def busi(tmp_path):
    """BUSI in its publisher's layout: 12 frames of each label; benign (1) comes again as benign (13), brighter."""
    for offset, label in enumerate(("benign", "malignant", "normal")):
        (tmp_path / label).mkdir()
        for number in range(1, 13):
            image = varied(offset * 100 + number)
            Image.fromarray(image).save(tmp_path / label / f"{label} ({number}).png")
            Image.fromarray(np.zeros_like(image)).save(tmp_path / label / f"{label} ({number})_mask.png")
    again = np.clip(varied(1).astype(int) + 12, 0, 255).astype(np.uint8)
    Image.fromarray(again).save(tmp_path / "benign" / "benign (13).png")
    # The same frame under two labels: nobody knows which is right.
    Image.fromarray(varied(2)).save(tmp_path / "malignant" / "malignant (13).png")
    return tmp_path


def test_busi_repeats_stay_on_one_side_of_the_split(busi):
    records = read_published(busi)
    by_name = {record.path.name: record for record in records}
    assert by_name["benign (1).png"].group == by_name["benign (13).png"].group
    assert by_name["benign (1).png"].fold == by_name["benign (13).png"].fold
    assert leaking_groups(records) == []
    assert not any("mask" in name for name in by_name)
    assert by_name["benign (1).png"].mask.name == "benign (1)_mask.png"
    assert by_name["benign (13).png"].mask is None


def test_busi_frames_with_two_labels_are_left_out(busi):
    names = {record.path.name for record in read_published(busi)}
    assert "benign (2).png" not in names
    assert "malignant (13).png" not in names
    assert "malignant (2).png" in names


@pytest.fixture
def busbra(tmp_path):
    """BUS-BRA in its publisher's layout: ten patients with two images each."""
    for name in ("Images", "Masks"):
        (tmp_path / name).mkdir()
    with (tmp_path / "bus_data.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["ID", "Case", "Histology", "Pathology", "BIRADS", "Device"])
        for case in range(10):
            for side in "lr":
                identity = f"bus_{case:04d}-{side}"
                pathology = "malignant" if case < 4 else "benign"
                writer.writerow([identity, case, "cyst", pathology, "3", "GE Logiq 7"])
                Image.fromarray(synthetic_image(height=60, width=80)).save(tmp_path / "Images" / f"{identity}.png")
                mask = tmp_path / "Masks" / f"mask_{case:04d}-{side}.png"
                Image.fromarray(np.zeros((60, 80), np.uint8)).save(mask)
    return tmp_path


def test_busbra_keeps_the_images_of_a_patient_together(busbra):
    records = read_published(busbra)
    assert len(records) == 20
    folds = defaultdict(set)
    for record in records:
        folds[record.group].add(record.fold)
        assert record.mask is not None
        assert record.attributes["device"] == "GE Logiq 7"
    assert len(folds) == 10
    assert all(len(each) == 1 for each in folds.values())
    assert Counter(record.label for record in records) == {"malignant": 8, "benign": 12}


def test_a_folder_of_neither_layout_is_refused(tmp_path):
    with pytest.raises(DataError, match="neither BUSI"):
        read_published(tmp_path)


def test_the_data_command_counts_and_reports_leaks(collection, capsys):
    assert data_command.run(["check", str(collection)]) == 0
    assert "clinic: benign 10, malignant 10, normal 0, groups 10" in capsys.readouterr().out
    rewrite_rows(collection, lambda rows: rows[0].update(fold="3"))
    assert data_command.run(["check", str(collection)]) == 1
    assert "leak" in capsys.readouterr().err


def test_the_real_collections_do_not_leak(shared):
    records = read_collections([shared / "busi", shared / "busbra"])
    assert Counter(record.source for record in records) == {"busi": 608, "busbra": 1500}
    assert all(record.mask is not None for record in records)
