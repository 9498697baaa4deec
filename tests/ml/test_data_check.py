"""``python -m ml data check``: what it counts, what it finds, and when it fails."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from ml.commands import data as data_command
from ml.data.check import check
from ml.data.records import DataError
from tests.ml.test_data_published import busi, save, square, varied  # noqa: F401 - busi is a fixture
from tests.ml.test_data_tables import rewrite_rows


@pytest.fixture
def clinic(tmp_path):
    """Six patients with one image each, three folds, lesion masks for four; every frame is another one."""
    folder = tmp_path / "clinic"
    rows = []
    for patient in range(6):
        name = f"p{patient}.png"
        save(varied(patient), folder / "images" / name)
        mask = f"masks/{name}" if patient < 4 else ""
        if mask:
            save(square(), folder / mask)
        label = ("benign", "malignant", "normal")[patient % 3]
        rows.append([f"images/{name}", mask, label, patient, patient // 2])
    with (folder / "labels.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([["image", "mask", "label", "patient", "fold"], *rows])
    return folder


def run(capsys, *arguments):
    status = data_command.run(["check", *map(str, arguments)])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def test_a_sound_collection_is_counted_and_passes(clinic, capsys):
    status, out, err = run(capsys, clinic)
    assert status == 0
    assert "clinic: benign 2, malignant 2, normal 2, groups 6" in out
    assert "  fold 2: benign 0, malignant 1, normal 1, groups 2" in out
    assert "class weights: benign 1.000, malignant 1.000, normal 1.000" in out
    assert "clinic: 3 of 4 images with a lesion mark" in out
    assert "Sound: no group or copy lies in two folds." in out
    assert err == ""


def test_a_patient_in_two_folds_fails(clinic, capsys):
    rewrite_rows(clinic, lambda rows: rows[5].update(patient="0"))
    status, out, err = run(capsys, clinic)
    assert status == 1
    assert "1 groups in more than one fold (leak):\n  clinic:0" in out
    assert err.startswith("LEAK")


def test_a_copy_in_another_fold_fails_although_the_table_looks_sound(clinic, capsys):
    save(varied(0), clinic / "images" / "p5.png")
    status, out, err = run(capsys, clinic)
    assert status == 1
    assert "1 pairs of identical files" in out
    assert "copies in different folds (leak):\n  clinic/p0 [benign, fold 0] and clinic/p5 [normal, fold 2]" in out
    assert "1 copies with different labels (conflict)" in out
    assert err.startswith("LEAK")
    assert run(capsys, clinic, "--tables-only")[0] == 0


def test_a_copy_in_the_same_fold_and_group_is_no_leak(clinic, capsys):
    Image.open(clinic / "images" / "p0.png").save(clinic / "images" / "p1.png")
    rewrite_rows(clinic, lambda rows: rows[1].update(patient="0", label="benign"))
    status, out, _ = run(capsys, clinic)
    assert status == 0
    assert "1 pairs of identical files" in out
    assert "0 pairs of copies in different groups" in out


def test_copies_with_marks_on_different_places_are_told_apart_from_those_that_agree(clinic, capsys):
    Image.open(clinic / "images" / "p0.png").save(clinic / "images" / "p1.png")
    rewrite_rows(clinic, lambda rows: rows[1].update(patient="0", label="benign"))
    assert "0 pairs of copies on which different lesions are marked." in run(capsys, clinic)[1]
    mask = Image.open(clinic / "masks" / "p0.png")
    elsewhere = np.roll(np.asarray(mask), (mask.height // 2, mask.width // 2), axis=(0, 1))
    Image.fromarray(elsewhere).save(clinic / "masks" / "p1.png")
    status, out, _ = run(capsys, clinic)
    assert status == 0, "a second lesion of one frame is no fault"
    assert "1 pairs of copies on which different lesions are marked:\n  clinic/p0 [benign, fold 0] and clinic/p1" in out


def test_the_limit_of_likeness_can_be_set(clinic, capsys):
    status, out, _ = run(capsys, clinic, "--near", "256")
    assert status == 1
    assert "15 pairs of nearly the same picture" in out
    with pytest.raises(SystemExit) as caught:
        data_command.run(["check", str(clinic), "--near", "257"])
    assert caught.value.code == 2


def test_every_fault_is_listed_and_the_check_goes_on(clinic, capsys):
    def spoil(rows):
        rows[0].update(label="cyst")
        rows[1].update(image="images/none.png")
        rows[2].update(mask="masks/none.png")

    rewrite_rows(clinic, spoil)
    (clinic / "images" / "p3.png").write_bytes(b"no image")
    status, out, err = run(capsys, clinic)
    assert status == 1
    assert "3 faults in tables and files" in out
    for code, line in (("unknown_label", 2), ("missing_file", 3), ("missing_mask", 4)):
        assert f"[{code}]" in out
        assert f"labels.csv, line {line}:" in out
    assert "1 unreadable images:" in out
    assert "p3.png is not a readable image" in out
    assert "something has to be repaired" in err


def test_a_table_that_cannot_be_read_at_all_fails_with_its_name(clinic, capsys):
    (clinic / "labels.csv").write_bytes(b"")
    status, _, err = run(capsys, clinic)
    assert status == 1
    assert err.strip() == f"{clinic}/labels.csv: the table is empty. Restore it from the original."


def test_names_that_occur_twice_over_two_folders_are_listed(clinic, tmp_path, capsys):
    status, out, _ = run(capsys, clinic, clinic)
    assert status == 1
    assert "6 names that occur twice" in out


def test_what_a_reader_leaves_out_is_listed_but_no_fault(busi, capsys):  # noqa: F811
    status, out, _ = run(capsys, busi, "--layout", "published")
    assert status == 0
    assert "2 images left out by the reader" in out
    assert "benign (2).png: benign, but a copy of the same frame has another label" in out


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        check([tmp_path], layout="shared")


def test_the_list_names_licence_and_address_of_every_collection(capsys):
    assert data_command.run(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("busi", "busbra", "breast", "mini-mias", "cbis-ddsm", "inbreast", "cdd-cesm", "cdd-cesm-low-energy"):
        assert f"\n{name} (" in f"\n{out}"
    assert out.count("\n  licence: ") == out.count("\n  address: http") == 8
    assert out.count("research only") >= 2


@pytest.mark.slow
def test_the_shared_ultrasound_collections_hold_the_copies_that_the_documentation_names(shared):
    found = check([shared / "busi", shared / "busbra"], layout="shared")
    crossing = {
        tuple(sorted(found.records[index].path.stem[:8] for index in (pair.first, pair.second)))
        for pair in found.pairs
        if found.records[pair.first].fold != found.records[pair.second].fold
    }
    assert crossing == {("bus_0044", "bus_0065"), ("bus_0056", "bus_0091"), ("bus_0341", "bus_0356")}
    assert found.leaks
    assert not found.faults
    assert not found.unreadable
    assert len(found.pairs) == 185
    assert len(found.elsewhere) == 10
    assert {found.records[pair.first].source for pair in found.elsewhere} == {"busi"}
