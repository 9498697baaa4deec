"""Records, folds, groups and the shared layout: collections that do not leak."""

from __future__ import annotations

from collections import Counter

import pytest

from ml.data.readers import LAYOUTS, read_collections, read_published, read_shared
from ml.data.records import (
    Abnormality,
    DataError,
    assign_folds,
    class_weights,
    leaking_groups,
    worst_label,
)
from tests.ml.test_data_tables import rewrite_rows


def test_a_shared_collection_keeps_its_folds_groups_and_masks(collection):
    records = read_shared(collection)
    assert len(records) == 20
    assert Counter(record.fold for record in records) == dict.fromkeys(range(5), 4)
    assert {record.group for record in records} == {str(patient) for patient in range(10)}
    assert all(record.mask is not None and record.mask.is_file() for record in records)
    assert leaking_groups(records) == []
    assert records[0].key == "clinic/p00l"
    assert records[0].patient == "0"


def test_a_patient_in_two_folds_stops_the_reading(collection):
    rewrite_rows(collection, lambda rows: rows[0].update(fold="3"))
    with pytest.raises(DataError, match="would leak") as caught:
        read_collections([collection])
    assert caught.value.code == "fold_conflict"


def test_a_fold_outside_the_five_stops_the_reading(collection):
    rewrite_rows(collection, lambda rows: [row.update(fold="7") for row in rows])
    with pytest.raises(DataError, match="outside 0-4"):
        read_collections([collection])


def test_the_same_folder_twice_stops_the_reading(collection):
    with pytest.raises(DataError, match="occur twice"):
        read_collections([collection, collection])


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"labels\.csv"):
        read_collections([tmp_path])


def test_a_folder_of_no_known_layout_is_refused_with_what_is_known(tmp_path):
    with pytest.raises(DataError, match="busi, busbra, breast, mini-mias, cbis-ddsm, inbreast, cdd-cesm"):
        read_published(tmp_path)
    with pytest.raises(DataError, match="Unknown layout"):
        read_collections([tmp_path], layout="nifti")


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("shared", "published")])
def test_a_folder_that_does_not_hold_the_named_collection_is_refused_with_what_it_must_hold(tmp_path, layout):
    with pytest.raises(DataError, match="the folder must hold") as caught:
        read_collections([tmp_path], layout=layout)
    assert caught.value.code == "unknown_layout"


def test_folds_are_even_for_every_label_and_the_same_each_time():
    groups = {f"p{i}": ("malignant" if i % 3 == 0 else "benign") for i in range(100)}
    folds = assign_folds(groups)
    assert folds == assign_folds(dict(reversed(list(groups.items()))))
    for label in ("malignant", "benign"):
        sizes = Counter(folds[group] for group, its in groups.items() if its == label)
        assert max(sizes.values()) - min(sizes.values()) <= 1


def test_class_weights_make_every_label_count_alike():
    labels = ["benign"] * 6 + ["malignant"] * 2 + ["normal"] * 4
    weights = class_weights(labels)
    sums = {label: labels.count(label) * weight for label, weight in weights.items()}
    assert sums == pytest.approx(dict.fromkeys(("benign", "malignant", "normal"), 4.0))
    assert class_weights(["malignant"]) == {"malignant": 1.0}
    with pytest.raises(DataError, match="No labels"):
        class_weights([])


def test_a_group_counts_as_its_worst_label():
    assert worst_label(["normal", "benign"]) == "benign"
    assert worst_label(["benign", "malignant", "normal"]) == "malignant"


@pytest.fixture
def mini_mias(tmp_path):
    """The shared copy of mini-MIAS: two films of one patient, three findings of which one has no place."""
    folder = tmp_path / "mini-mias"
    (folder / "images").mkdir(parents=True)
    for name in ("mdb001.jpg", "mdb002.jpg"):
        (folder / "images" / name).write_bytes(b"")
    (folder / "labels.csv").write_text(
        "image,id,label,patient_pair,side,tissue,abnormalities,fold\n"
        "images/mdb001.jpg,mdb001,malignant,1,right,G,CIRC+CALC,4\n"
        "images/mdb002.jpg,mdb002,normal,1,left,G,NORM,4\n"
    )
    (folder / "abnormalities.csv").write_text(
        "id,file,patient_pair,side,tissue,abnormality,severity,x,y_from_bottom,y_from_top,radius,note\n"
        "mdb001,pgm/mdb001.pgm,1,right,G,CIRC,benign,535.0,425.0,598.0,197.0,\n"
        "mdb001,pgm/mdb001.pgm,1,right,G,CALC,malignant,,,,,*NOTE 3*\n"
        "mdb002,pgm/mdb002.pgm,1,left,G,NORM,normal,,,,,\n"
    )
    return folder


def test_findings_are_located_from_the_top_and_the_film_pair_is_one_group(mini_mias):
    right, left = read_collections([mini_mias])
    assert right.abnormalities == (
        Abnormality(kind="CIRC", label="benign", row=598.0, column=535.0, radius=197.0),
        Abnormality(kind="CALC", label="malignant"),
    )
    assert [each.located for each in right.abnormalities] == [True, False]
    assert left.abnormalities == ()
    assert (right.laterality, left.laterality, right.view) == ("R", "L", "MLO")
    assert right.leak_group == left.leak_group == right.exam


def test_the_two_kinds_of_contrast_images_share_their_patients(tmp_path):
    records = []
    for name, kind, fold in (("cdd-cesm", "CM", 1), ("cdd-cesm-low-energy", "DM", 2)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"P1_L_{kind}_CC.jpg").write_bytes(b"")
        (folder / "labels.csv").write_text(
            f"image,label,patient,side,view,birads,density,fold\nP1_L_{kind}_CC.jpg,malignant,P1,L,CC,5,_,{fold}\n"
        )
        records += read_shared(folder)
    assert records[0].leak_group == records[1].leak_group
    assert leaking_groups(records) == ["cdd-cesm:P1"]
    assert "density" not in records[0].attributes
    assert (records[0].attributes["birads"], records[0].laterality, records[0].view) == ("5", "L", "CC")
    with pytest.raises(DataError, match="would leak"):
        read_collections([tmp_path / "cdd-cesm", tmp_path / "cdd-cesm-low-energy"])


def test_the_real_collections_are_complete_and_their_groups_do_not_leak(shared):
    sizes = {"busi": 608, "busbra": 1500, "mini-mias": 258, "cdd-cesm": 801, "cdd-cesm-low-energy": 260}
    records = read_collections([shared / name for name in sizes])
    assert Counter(record.source for record in records) == sizes
    assert all(record.mask is not None for record in records if record.source not in ("mini-mias", "cdd-cesm"))
    films = [record for record in records if record.source == "mini-mias"]
    assert all(bool(film.abnormalities) == (film.label != "normal") for film in films)
    assert sum(not each.located for film in films for each in film.abnormalities) == 4
