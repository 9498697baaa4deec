"""DICOM attributes and pixels that leave the house: nothing that names a person, and everything an image needs."""

from __future__ import annotations

import io
from datetime import date

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from diagnosis import inference, phantom
from diagnosis.deidentify.attributes import ACTIONS, clean
from diagnosis.deidentify.image import as_dicom, as_png
from diagnosis.deidentify.pseudonyms import LEAST_SHIFT_DAYS, MOST_SHIFT_DAYS, Pseudonyms, new_salt
from diagnosis.dicom.reader import read, read_stored
from diagnosis.received import Limits
from ml import burned_in
from tests.fixture_images import good_dicom, speckle

SECRET = "KOWALSKA"
PLANTED = {
    "PatientName": f"{SECRET}^Anna",
    "PatientID": f"{SECRET}-MRN",
    "PatientBirthDate": "19700517",
    "PatientAddress": f"{SECRET} Street 1",
    "PatientComments": SECRET,
    "PatientAge": "056Y",
    "OtherPatientIDs": [SECRET, "2"],
    "ReferringPhysicianName": SECRET,
    "PerformingPhysicianName": SECRET,
    "OperatorsName": SECRET,
    "InstitutionName": SECRET,
    "InstitutionAddress": SECRET,
    "StationName": SECRET,
    "DeviceSerialNumber": SECRET,
    "AccessionNumber": SECRET,
    "StudyID": SECRET,
    "StudyDescription": f"US {SECRET}",
    "SeriesDescription": SECRET,
    "ImageComments": SECRET,
    "ProtocolName": SECRET,
    "DerivationDescription": SECRET,
    "AcquisitionTime": "091630.5",
    "ContentTime": "091630",
    "TimezoneOffsetFromUTC": "+0100",
    "SoftwareVersions": SECRET,
    "LossyImageCompressionMethod": "ISO_10918_1",
    "TransducerData": SECRET,
    "EthnicGroup": SECRET,
    "Occupation": SECRET,
    "PatientInsurancePlanCodeSequence": None,
    "CurrentPatientLocation": SECRET,
    "RequestedProcedureDescription": SECRET,
}


def hostile(**more) -> Dataset:
    """A dataset with the name wherever a name can be, as a dataset that was read back."""
    dataset = pydicom.dcmread(io.BytesIO(good_dicom(**{**{k: v for k, v in PLANTED.items() if v is not None}, **more})))
    inner = Dataset()
    inner.CodeValue, inner.CodingSchemeDesignator, inner.CodeMeaning = SECRET, f"99{SECRET}"[:16], SECRET
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 127, 95
    region.add_new(0x00187777, "LO", SECRET)
    region.PatientName = SECRET
    region.ReferencedSOPInstanceUID = "1.2.3.4"
    region.ViewCodeSequence = Sequence([inner])
    dataset.SequenceOfUltrasoundRegions = Sequence([region])
    asked = Dataset()
    asked.RequestedProcedureDescription = SECRET
    dataset.RequestAttributesSequence = Sequence([asked])
    source = Dataset()
    source.ReferencedSOPInstanceUID, source.ReferencedSOPClassUID = "1.2.3.4", dataset.SOPClassUID
    source.add_new(0x00080080, "LO", SECRET)
    dataset.SourceImageSequence = Sequence([source])
    block = dataset.private_block(0x0011, SECRET, create=True)
    block.add_new(0x01, "LO", SECRET)
    dataset.add_new(0x60000022, "LO", SECRET)
    dataset.add_new(0x60000010, "US", 96)
    dataset.add_new(0x50000022, "LO", SECRET)
    dataset.add_new(0x00091001, "UN", SECRET.encode())
    dataset.add_new(0x00189999, "UT", SECRET)
    dataset.add_new(0x00189998, "PN", SECRET)
    dataset.add_new(0x00189997, "OB", SECRET.encode())
    dataset.add_new(0x00189996, "DT", "20260302101112")
    return dataset


def written(dataset: Dataset) -> bytes:
    """All bytes of a dataset as a file would hold them."""
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset, implicit_vr=False, little_endian=True)
    return out.getvalue()


@pytest.fixture
def pseudonyms():
    return Pseudonyms(new_salt())


def test_the_name_is_nowhere_in_the_cleaned_attributes(pseudonyms):
    before = hostile()
    assert written(before).count(SECRET.encode()) > 30

    cleaned = written(clean(before, pseudonyms=pseudonyms, patient="p"))

    for trace in (SECRET, "19700517", "091630", "20260302", "1.2.3.4", "+0100", "056Y"):
        assert trace.encode() not in cleaned, trace


def test_what_an_image_needs_is_kept(pseudonyms):
    before = hostile()
    cleaned = clean(before, pseudonyms=pseudonyms, patient="p")

    assert cleaned.SOPClassUID == before.SOPClassUID
    assert (cleaned.Modality, cleaned.Manufacturer, cleaned.ManufacturerModelName) == ("US", "Senolens", "Phantom")
    assert (cleaned.Rows, cleaned.Columns, cleaned.BitsStored) == (96, 128, 8)
    (region,) = cleaned.SequenceOfUltrasoundRegions
    assert (region.RegionLocationMaxX1, region.RegionLocationMaxY1) == (127, 95)
    assert not [element for element in region if element.VR in ("LO", "PN") and element.value]


def test_uids_are_replaced_the_same_way_in_every_file_of_a_package(pseudonyms):
    first = clean(hostile(), pseudonyms=pseudonyms, patient="p")
    second = clean(hostile(), pseudonyms=pseudonyms, patient="p")
    other = clean(hostile(), pseudonyms=Pseudonyms(new_salt()), patient="p")

    assert first.StudyInstanceUID == second.StudyInstanceUID != hostile().StudyInstanceUID
    assert first.StudyInstanceUID != other.StudyInstanceUID
    reference = first.SourceImageSequence[0].ReferencedSOPInstanceUID
    assert reference == pseudonyms.uid("1.2.3.4")
    assert reference.startswith("2.25.")
    assert len(reference) <= 64
    assert first.SourceImageSequence[0].ReferencedSOPClassUID.startswith("1.2.840.10008.")


def test_days_are_moved_by_the_same_number_for_one_patient_and_times_are_gone(pseudonyms):
    one = clean(hostile(StudyDate="20260302", SeriesDate="20260305"), pseudonyms=pseudonyms, patient="p")
    another = clean(hostile(StudyDate="20260302"), pseudonyms=pseudonyms, patient="q")

    moved, series = (date.fromisoformat(value) for value in (one.StudyDate, one.SeriesDate))
    assert (series - moved).days == 3
    assert LEAST_SHIFT_DAYS <= (date(2026, 3, 2) - moved).days < MOST_SHIFT_DAYS
    assert another.StudyDate != one.StudyDate
    assert one.StudyTime == ""
    assert "AcquisitionDateTime" not in one


@pytest.mark.parametrize("value", ["", "2026", "20261399", "garbage!", "00010101"])
def test_a_date_that_is_none_becomes_empty(pseudonyms, value):
    dataset = hostile()
    dataset.StudyDate = ""
    dataset["StudyDate"]._value = value

    assert clean(dataset, pseudonyms=pseudonyms, patient="p").StudyDate == ""


def test_the_table_is_the_whole_of_the_standard_s():
    """PS3.15 table E.1-1 in edition 2026c; a few rows of each action, read by eye."""
    assert len(ACTIONS) > 600
    for tag, action in {
        (0x0010, 0x0010): "Z",
        (0x0010, 0x0020): "D",
        (0x0010, 0x1010): "X",
        (0x0008, 0x0018): "U",
        (0x0020, 0x000D): "U",
        (0x0008, 0x0080): "D",
        (0x0008, 0x1155): "U",
        (0x0008, 0x0090): "Z",
        (0x0040, 0x0275): "X",
    }.items():
        assert ACTIONS[tag] == action


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x00181164, "DS"),
        (0x00200011, "IS"),
        (0x00180015, "CS"),
        (0x00181164, "LO"),
        (0x00080070, "UT"),
        (0x00189995, "CS"),
        (0x00280008, "UN"),
        (0x00080060, "US"),
    ],
)
def test_text_under_a_number_s_or_a_wrong_name_is_not_handed_on(pseudonyms, tag, vr):
    dataset = hostile()
    value = b"Kowalska Anna "
    dataset._dict[pydicom.tag.Tag(tag)] = pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag(tag), vr, len(value), value, 0, False, True
    )

    assert b"Kowalska" not in written(clean(dataset, pseudonyms=pseudonyms, patient="p"))


# Pixels and the file


def framed(**more) -> tuple[bytes, np.ndarray]:
    """A phantom with a patient's name in the surround, and another written over the tissue; DICOM and its pixels."""
    pixels = cv2.copyMakeBorder(phantom.generate("fibroadenoma", seed=4).pixels, 60, 20, 30, 30, cv2.BORDER_CONSTANT)
    cv2.putText(pixels, "KOWALSKA ANNA", (40, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2, cv2.LINE_AA)
    cv2.putText(pixels, "ANNA K", (120, 200), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 1, cv2.LINE_AA)
    return good_dicom(pixels=pixels, **more), pixels


def cleaned_file(data: bytes, pseudonyms: Pseudonyms, *, regions=()) -> tuple[pydicom.Dataset, np.ndarray, bytes]:
    picture, _ = read(data, frame=0, limits=Limits())
    dataset, module, stored = read_stored(data, frame=0, limits=Limits())
    kept = inference.tissue(picture.pixels, modality="US", regions=regions)
    out = as_dicom(
        dataset, stored, picture.pixels, kept, module=module, frame=0, pseudonyms=pseudonyms, patient="p", label="P-1"
    )
    return pydicom.dcmread(io.BytesIO(out)), kept, out


def test_the_file_is_whole_says_what_was_done_and_holds_no_name(pseudonyms):
    data, pixels = framed()

    made, kept, raw = cleaned_file(data, pseudonyms)

    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID
    assert (str(made.PatientName), made.PatientID, made.PatientBirthDate) == ("P-1", "P-1", "")
    assert (made.PatientIdentityRemoved, made.BurnedInAnnotation) == ("YES", "NO")
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [item.CodeValue for item in made.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101", "113107"]
    assert made.ImageType[0] == "DERIVED"
    assert b"Silva" not in raw
    assert b"MRN-0001" not in raw
    again, _ = read(raw, frame=0, limits=Limits())
    assert again.pixels.shape == pixels.shape
    assert np.array_equal(made.pixel_array[kept], pixels[kept])


def test_letters_outside_and_over_the_tissue_are_black(pseudonyms):
    data, pixels = framed()

    made, kept, _ = cleaned_file(data, pseudonyms)

    shown = made.pixel_array
    assert not shown[:55].any(), "the name in the surround"
    plain = cv2.copyMakeBorder(phantom.generate("fibroadenoma", seed=4).pixels, 60, 20, 30, 30, cv2.BORDER_CONSTANT)
    letters = (pixels == 255) & (plain < 200)
    letters[:60] = False
    assert letters.sum() > 60
    assert shown[letters].astype(bool).mean() < 0.01
    assert kept[60:-20, 30:-30].mean() > 0.6, "the tissue is still there"


def test_regions_of_the_file_bound_what_is_kept(pseudonyms):
    data, _ = framed()

    made, _, _ = cleaned_file(data, pseudonyms, regions=[(100, 60, 300, 300)])

    shown = made.pixel_array
    assert shown[100:300, 60:300].any()
    assert not shown[:100].any()
    assert not shown[:, :60].any()


def test_black_is_the_highest_value_of_an_inverted_image(pseudonyms):
    pixels = cv2.copyMakeBorder(phantom.generate("fibroadenoma", seed=4).pixels, 60, 20, 30, 30, cv2.BORDER_CONSTANT)
    data = good_dicom(pixels=255 - pixels, photometric="MONOCHROME1")

    made, kept, raw = cleaned_file(data, pseudonyms)

    assert made.PhotometricInterpretation == "MONOCHROME1"
    assert set(np.unique(made.pixel_array[~kept])) == {255}
    again, _ = read(raw, frame=0, limits=Limits())
    assert not again.pixels[~kept].any()


def test_sixteen_bits_stay_sixteen(pseudonyms):
    pixels = cv2.copyMakeBorder(phantom.generate("fibroadenoma", seed=4).pixels, 60, 20, 30, 30, cv2.BORDER_CONSTANT)
    data = good_dicom(pixels=pixels.astype(np.uint16) * 16, bits_stored=12)

    made, kept, _ = cleaned_file(data, pseudonyms)

    assert (made.BitsAllocated, made.BitsStored, made.HighBit) == (16, 12, 11)
    assert np.array_equal(made.pixel_array[kept], pixels[kept].astype(np.uint16) * 16)


def test_colour_stays_colour_and_coloured_marks_go(pseudonyms):
    grey = cv2.copyMakeBorder(phantom.generate("fibroadenoma", seed=4).pixels, 60, 20, 30, 30, cv2.BORDER_CONSTANT)
    pixels = np.repeat(grey[..., None], 3, axis=2)
    pixels[150:160, 150:200] = (230, 180, 0)
    data = good_dicom(pixels=pixels, photometric="RGB")

    made, _, _ = cleaned_file(data, pseudonyms)

    assert made.PhotometricInterpretation == "RGB"
    assert not made.pixel_array[150:160, 150:200].any()


def test_a_png_carries_pixels_and_nothing_else():
    pixels = speckle(3).astype(np.uint8)
    kept = np.ones(pixels.shape, bool)
    kept[:10] = False

    data = as_png(pixels, kept)

    assert {data[at + 4 : at + 8] for at in range(8, len(data) - 8) if data[at + 4 : at + 8] in _CHUNKS} == {
        b"IHDR",
        b"IDAT",
        b"IEND",
    }
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decoded[10:], pixels[10:])
    assert not decoded[:10].any()


_CHUNKS = {b"IHDR", b"IDAT", b"IEND", b"tEXt", b"iTXt", b"zTXt", b"tIME", b"eXIf", b"pHYs", b"gAMA"}


# In doubt, left out


def test_an_image_full_of_text_is_left_out():
    page = np.zeros((400, 500), np.uint8)
    for row in range(20, 400, 18):
        cv2.putText(page, "KOWALSKA ANNA 17 MAY 1970 MRN 123", (5, row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 200, 1)

    with pytest.raises(inference.NotCleanable) as refusal:
        inference.tissue(page, modality="US")
    assert "KOWALSKA" not in str(refusal.value)


def test_a_black_image_and_a_mammogram_without_breast_are_left_out():
    with pytest.raises(inference.NotCleanable):
        inference.tissue(np.zeros((300, 300), np.uint8), modality="US")
    with pytest.raises(inference.NotCleanable, match="no breast"):
        inference.tissue(np.zeros((300, 300), np.uint8), modality="MG")


def test_a_label_beside_the_breast_is_no_part_of_it():
    film = np.zeros((600, 400), np.uint8)
    cv2.ellipse(film, (0, 300), (220, 250), 0, 0, 360, 120, -1)
    film = np.where(film > 0, np.clip(film + np.random.default_rng(1).normal(0, 12, film.shape), 0, 255), 0).astype(
        np.uint8
    )
    cv2.putText(film, "KOWALSKA R-CC", (180, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)

    kept = inference.tissue(film, modality="MG")

    assert not kept[:45, 180:].any()
    assert kept[300, 20:150].mean() > 0.9


def test_the_second_look_refuses_what_the_first_did_not_find(monkeypatch):
    pixels = phantom.generate("fibroadenoma", seed=4).pixels.copy()
    for row in range(120, 260, 24):
        cv2.putText(pixels, "KOWALSKA ANNA", (60, row), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 1, cv2.LINE_AA)
    seen = burned_in.overlay_mask
    looks = []

    def blind_at_first(grey, *, margin):
        looks.append(margin)
        return np.zeros(grey.shape, bool) if len(looks) == 1 else seen(grey, margin=margin)

    monkeypatch.setattr(burned_in, "overlay_mask", blind_at_first)

    with pytest.raises(inference.NotCleanable, match="second look"):
        inference.tissue(pixels, modality="US")
