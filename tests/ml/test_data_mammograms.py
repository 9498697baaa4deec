"""The mammography collections in their publishers' own layouts, on generated files."""

from __future__ import annotations

import csv
import json
import plistlib

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from ml.contract import ImageError
from ml.data.pixels import lesion_mask, read_pixels
from ml.data.readers import read_collections, read_folder, read_published
from ml.data.records import DataError
from tests.ml.test_data_published import save, square, varied
from tests.ml.test_data_tables import write_workbook


def save_dicom(pixels, path, *, inverted=False):
    """A single-frame 16-bit mammogram."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = pydicom.Dataset()
    dataset.file_meta = meta
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture
def mini_mias(tmp_path):
    """mini-MIAS as the archive unpacks: prose, then the list; a film with two findings, one without a place."""
    for number in (1, 2, 3, 4):
        save(varied(number), tmp_path / "all-mias" / f"mdb{number:03d}.pgm")
    (tmp_path / "all-mias" / "Info.txt").write_text(
        "INFORMATION:\n\n1st column: MIAS database reference number.\n\n"
        "mdb001 G CIRC B 535 425 197\nmdb001 G SPIC M 100 1023 10\nmdb002 G NORM\n"
        "mdb003 D CALC M *NOTE 3*\nmdb004 D NORM \n"
    )
    return tmp_path


def test_mini_mias_counts_rows_from_the_top_and_pairs_the_films(mini_mias):
    one, two, three, four = read_published(mini_mias)
    assert [(each.kind, each.label, each.row, each.column, each.radius) for each in one.abnormalities] == [
        ("CIRC", "benign", 598.0, 535.0, 197.0),
        ("SPIC", "malignant", 0.0, 100.0, 10.0),
    ]
    assert [record.label for record in (one, two, three, four)] == ["malignant", "normal", "malignant", "normal"]
    assert not three.abnormalities[0].located
    assert one.leak_group == two.leak_group != three.leak_group == four.leak_group
    assert [record.laterality for record in (one, two, three, four)] == ["R", "L", "R", "L"]
    assert read_pixels(one.path).shape == (100, 120)


def test_a_spoilt_line_of_mini_mias_is_named(mini_mias):
    table = mini_mias / "all-mias" / "Info.txt"
    table.write_text(table.read_text().replace("mdb002 G NORM", "mdb002 G MASS B 1 2 3"))
    with pytest.raises(DataError, match="line 7: 'mdb002 G MASS B 1 2 3' is not a film's entry"):
        read_published(mini_mias)
    (mini_mias / "all-mias" / "mdb004.pgm").unlink()
    faults: list[DataError] = []
    assert len(read_published(mini_mias, faults=faults)) == 2
    assert [(fault.code, fault.line) for fault in faults] == [("bad_line", 7), ("missing_file", 9)]


_CBIS_HEADER = [
    "patient_id", "{density}", "left or right breast", "image view", "abnormality id", "abnormality type",
    "assessment", "pathology", "subtlety", "image file path", "cropped image file path", "ROI mask file path",
]  # fmt: skip
_CBIS_CASES = [
    # table, patient, side, view, abnormality, pathology
    ("mass", "train", "P_00001", "LEFT", "CC", 1, "BENIGN"),
    ("mass", "train", "P_00001", "LEFT", "CC", 2, "MALIGNANT"),
    ("mass", "test", "P_00002", "RIGHT", "MLO", 1, "BENIGN_WITHOUT_CALLBACK"),
    ("calc", "train", "P_00001", "RIGHT", "MLO", 1, "BENIGN"),
]


def cbis_films():
    """Film, abnormality, series of the film and of the abnormality, for each case of the tables."""
    for number, (kind, part, patient, side, view, abnormality, _) in enumerate(_CBIS_CASES):
        film = f"{kind.title()}-{'Training' if part == 'train' else 'Test'}_{patient}_{side}_{view}"
        yield film, f"{film}_{abnormality}", f"1.2.{number // 2 if number < 2 else number}", f"1.3.{number}"


def write_cbis_tables(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("mass", "calc"):
        for part in ("train", "test"):
            # The calcification tables spell the density column in another way.
            density = "breast_density" if kind == "mass" else "breast density"
            rows = [[name.format(density=density) for name in _CBIS_HEADER]]
            for case, (film, finding, series, regions) in zip(_CBIS_CASES, cbis_films(), strict=True):
                if case[:2] == (kind, part):
                    paths = [f"{film}/1.9/{series}/000000.dcm"] + [
                        f"{finding}/1.9/{regions}/00000{i}.dcm\n" for i in (1, 0)
                    ]
                    rows.append([case[2], 3, *case[3:6], kind, 4, case[6], 5, *paths])
            if len(rows) > 1:
                with (folder / f"{kind}_case_description_{part}_set.csv").open("w", newline="") as handle:
                    csv.writer(handle).writerows(rows)


@pytest.fixture
def cbis(tmp_path):
    """CBIS-DDSM as the Data Retriever writes it: crop and mask of an abnormality in one folder, in either order."""
    write_cbis_tables(tmp_path)
    for number, (film, finding, _, _) in enumerate(cbis_films()):
        study = tmp_path / "manifest-1" / "CBIS-DDSM" / film / "08-29-2017-DDSM-NA-1"
        save_dicom(varied(number).astype(np.uint16) * 257, study / "1.000000-full mammogram images-1" / "1-1.dcm")
        regions = tmp_path / "manifest-1" / "CBIS-DDSM" / finding / "08-29-2017-DDSM-NA-2" / "1.0-ROI mask images-2"
        mask = square(at=(20 + 30 * (number % 2), 30)).astype(np.uint16)
        save_dicom(mask, regions / f"1-{1 + number % 2}.dcm")
        save_dicom(varied(number)[:20, :20].astype(np.uint16), regions / f"1-{2 - number % 2}.dcm")
    return tmp_path


def test_cbis_films_are_found_by_folder_and_labelled_by_their_worst_finding(cbis):
    records = {record.name: record for record in read_published(cbis)}
    assert set(records) == {
        "Mass-Training_P_00001_LEFT_CC",
        "Mass-Test_P_00002_RIGHT_MLO",
        "Calc-Training_P_00001_RIGHT_MLO",
    }
    film = records["Mass-Training_P_00001_LEFT_CC"]
    assert film.label == "malignant"
    assert records["Mass-Test_P_00002_RIGHT_MLO"].label == "benign"
    assert (film.laterality, film.view, film.attributes["density"]) == ("L", "CC", "3")
    assert records["Calc-Training_P_00001_RIGHT_MLO"].attributes["density"] == "3"
    assert records["Mass-Test_P_00002_RIGHT_MLO"].attributes["official_split"] == "test"
    assert read_pixels(film.path).shape == (100, 120)
    assert np.array_equal(lesion_mask(film, height=100, width=120), square() | square(at=(50, 30)))


def test_a_cbis_patient_is_the_woman_and_not_the_film(cbis):
    records = {record.name: record for record in read_collections([cbis], layout="cbis-ddsm")}
    mass, calcification = records["Mass-Training_P_00001_LEFT_CC"], records["Calc-Training_P_00001_RIGHT_MLO"]
    assert mass.leak_group == calcification.leak_group == "cbis-ddsm:P_00001"
    assert mass.fold == calcification.fold


def test_a_cbis_film_that_was_not_fetched_is_named_with_its_row(cbis):
    (next((cbis / "manifest-1" / "CBIS-DDSM" / "Mass-Test_P_00002_RIGHT_MLO").rglob("*.dcm"))).unlink()
    with pytest.raises(DataError, match=r"mass_case_description_test_set.csv, line \d+: no image of Mass-Test_P_00002"):
        read_published(cbis)
    faults: list[DataError] = []
    assert len(read_published(cbis, faults=faults)) == 2


def test_the_jpeg_edition_of_cbis_is_joined_by_its_series(tmp_path):
    write_cbis_tables(tmp_path / "csv")
    rows = [["file_path", "image_path", "SeriesInstanceUID", "SeriesDescription"]]
    for number, (_, _, series, regions) in enumerate(cbis_films()):
        for name, uid, shows, pixels in (
            ("1-001", series, "full mammogram images", varied(number)),
            ("1-002", regions, "cropped images", varied(number)[:20, :20]),
            ("1-003", regions, "ROI mask images" if number else "", square(at=(20 + 30 * (number % 2), 30))),
        ):
            save(pixels, tmp_path / "jpeg" / uid / f"{name}.jpg")
            rows.append([f"CBIS-DDSM/dicom/{uid}/{name}.dcm", f"CBIS-DDSM/jpeg/{uid}/{name}.jpg", uid, shows])
    with (tmp_path / "csv" / "dicom_info.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    film = {record.name: record for record in read_published(tmp_path)}["Mass-Training_P_00001_LEFT_CC"]
    assert film.path == tmp_path / "jpeg" / "1.2.0" / "1-001.jpg"
    assert [path.parent.name for path in (film.mask, *film.more_masks)] == ["1.3.0", "1.3.1"]
    joined = lesion_mask(film, height=100, width=120)
    assert joined[25, 35] == joined[55, 35] == 255
    assert joined[90, 110] == 0


@pytest.fixture
def inbreast(tmp_path):
    """INbreast: three women, semicolons, outlines as property lists."""
    top = tmp_path / "INbreast Release 1.0"
    lines = ["Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"]
    for name, patient, side, view, density, grade in (
        ("100", "aaaa", "R", "CC", "2", "1"),
        ("101", "aaaa", "R", "MLO", "     ", "3"),
        ("102", "bbbb", "L", "MLO", "4", "4a"),
        ("103", "cccc", "L", "CC", "1", "6"),
    ):
        lines.append(f"removed;removed;{side};{view};201001;{name};{density};{grade}")
        save_dicom(
            varied(int(name)).astype(np.uint16) * 16, top / "AllDICOMs" / f"{name}_{patient}_MG_{side}_{view}_ANON.dcm"
        )
    (top / "INbreast.csv").write_text("\r\n".join(lines) + "\r\n")
    regions = [
        {"Name": "Mass", "Point_px": ["(30.0, 20.0)", "(39.0, 20.0)", "(39.0, 29.0)", "(30.0, 29.0)"]},
        {"Name": "Calcification", "Point_px": ["(80.500000, 70.400000)"]},
        {"Name": "Unnamed", "Point_px": []},
    ]
    (top / "AllXML").mkdir()
    (top / "AllXML" / "102.xml").write_bytes(plistlib.dumps({"Images": [{"ROIs": regions}]}))
    return tmp_path


def test_inbreast_takes_its_labels_from_the_assessment_and_the_patient_from_the_file_name(inbreast):
    records = read_published(inbreast)
    assert [record.label for record in records] == ["normal", "benign", "malignant", "malignant"]
    assert [record.patient for record in records] == ["aaaa", "aaaa", "bbbb", "cccc"]
    assert records[0].fold == records[1].fold
    assert records[2].key == "inbreast/102"
    assert records[2].attributes["label_basis"] == "BI-RADS assessment"
    assert "density" not in records[1].attributes
    assert (records[1].laterality, records[1].view) == ("R", "MLO")


def test_inbreast_outlines_are_filled_and_points_are_dots(inbreast):
    record = read_published(inbreast)[2]
    assert [outline.kind for outline in record.outlines] == ["Mass", "Calcification"]
    mask = lesion_mask(record, height=100, width=120)
    assert np.array_equal(mask[:50], square()[:50])
    assert mask[70, 80] == 255
    assert 0 < (mask[50:] > 0).sum() < 60


def test_spoilt_outlines_and_grades_of_inbreast_are_named(inbreast):
    top = inbreast / "INbreast Release 1.0"
    (top / "AllXML" / "102.xml").write_text("<plist>no")
    with pytest.raises(DataError, match=r"102\.xml: the outlines cannot be read"):
        read_published(inbreast)
    (top / "INbreast.csv").write_text((top / "INbreast.csv").read_text().replace(";3\n", ";9\n"))
    faults: list[DataError] = []
    assert len(read_published(inbreast, faults=faults)) == 3
    assert [fault.code for fault in faults] == ["unknown_label", "bad_outline"]


@pytest.fixture
def cesm(tmp_path):
    """CDD-CESM: three women, both kinds of images, every shape of the annotator."""
    top = tmp_path / "PKG - CDD-CESM" / "CDD-CESM"
    header = ["Image_name", "Patient_ID", "Side", "Type", "Age", "Breast density (ACR)", "BIRADS", "Findings", "View"]
    rows = [[*header, "Machine", "Pathology Classification/ Follow up"]]
    for patient, pathology in ((1, "Malignant"), (2, "Benign"), (3, "Normal")):
        for kind, code, folder in (
            ("DM", "DM", "Low energy images of CDD-CESM"),
            ("CESM", "CM", "Subtracted images of CDD-CESM"),
        ):
            name = f"P{patient}_L_{code}_MLO"
            density = "C" if kind == "DM" else "_"
            rows.append([f"{name} ", patient, "L", kind, 50, density, "4$2", "Mass", "MLO", 1, pathology])
            save(varied(patient * 10), top / folder / f"{name}.jpg")
    write_workbook(tmp_path / "Radiology-manual-annotations.xlsx", {"all": rows})
    shapes = {
        "P1_L_DM_MLO.jpg": [
            {"name": "polygon", "all_points_x": [30, 39, 39, 30], "all_points_y": [20, 20, 29, 29]},
            {"name": "circle", "cx": 80, "cy": 70, "r": 10},
        ],
        "P2_L_DM_MLO.jpg": [
            {"name": "ellipse", "cx": 60, "cy": 50, "rx": 30, "ry": 10, "theta": np.pi / 2},
            {"name": "rect", "x": 5, "y": 5, "width": 9, "height": 9},
            {"name": "point", "cx": 110, "cy": 90},
        ],
        "P3_L_DM_MLO.jpg": [{}],
    }
    with (tmp_path / "Radiology_hand_drawn_segmentations_v2.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["#filename", "file_size", "file_attributes", "region_count", "region_shape_attributes"])
        for name, regions in shapes.items():
            writer.writerows([[name, 1, "{}", len(regions), json.dumps(region)] for region in regions])
    return tmp_path


def test_the_two_kinds_of_cesm_are_two_collections_of_the_same_patients(cesm):
    subtracted = read_folder(cesm, layout="cdd-cesm")
    low = read_folder(cesm, layout="cdd-cesm-low-energy")
    assert [record.key for record in low] == [f"cdd-cesm-low-energy/P{each}_L_DM_MLO" for each in (1, 2, 3)]
    assert [record.key for record in subtracted] == [f"cdd-cesm/P{each}_L_CM_MLO" for each in (1, 2, 3)]
    assert [record.label for record in low] == ["malignant", "benign", "normal"]
    assert [record.leak_group for record in low] == [record.leak_group for record in subtracted]
    assert [record.fold for record in low] == [record.fold for record in subtracted]
    assert low[0].attributes["density"] == "C"
    assert "density" not in subtracted[0].attributes
    assert {record.source for record in read_published(cesm)} == {"cdd-cesm"}


def test_every_shape_of_the_cesm_annotator_is_drawn(cesm):
    one, two, normal = read_folder(cesm, layout="cdd-cesm-low-energy")
    mask = lesion_mask(one, height=100, width=120)
    assert np.array_equal(mask[:50, :60], square()[:50, :60])
    assert abs(int((mask[50:] > 0).sum()) - np.pi * 100) < 40
    mask = lesion_mask(two, height=100, width=120)
    # The ellipse is turned by a quarter: it stands upright.
    assert mask[25, 60] == mask[75, 60] == 255
    assert mask[50, 35] == 0
    assert mask[9, 9] == mask[90, 110] == 255
    assert normal.outlines == ()


def test_a_cesm_outline_that_makes_no_sense_is_named_with_its_line(cesm):
    table = cesm / "Radiology_hand_drawn_segmentations_v2.csv"
    table.write_text(table.read_text().replace('""ellipse""', '""spline""'))
    with pytest.raises(DataError, match=r"v2\.csv, line 4: the outline of P2_L_DM_MLO\.jpg"):
        read_folder(cesm, layout="cdd-cesm-low-energy")


def test_dicom_pixels_are_shown_with_bright_tissue(tmp_path):
    ramp = np.tile(np.arange(120, dtype=np.uint16) * 500, (100, 1))
    save_dicom(ramp, tmp_path / "plain.dcm")
    save_dicom(ramp, tmp_path / "inverted.dcm", inverted=True)
    plain, inverted = read_pixels(tmp_path / "plain.dcm"), read_pixels(tmp_path / "inverted.dcm")
    assert (plain[0, 0], plain[0, -1], plain.dtype) == (0, 255, np.uint8)
    assert np.array_equal(inverted, 255 - plain)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(b"no dicom"), "not a readable DICOM file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-5000]), "cannot be decoded"),
    ],
)
def test_a_damaged_dicom_file_is_named(tmp_path, spoil, words):
    path = tmp_path / "film.dcm"
    save_dicom(varied(1).astype(np.uint16), path)
    spoil(path)
    with pytest.raises(ImageError, match=words) as caught:
        read_pixels(path)
    assert "film.dcm" in str(caught.value)
