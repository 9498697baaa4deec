"""What a DICOM file says about its image is carried over; what it says wrongly is left out."""

from datetime import date, timedelta, timezone

import numpy as np
import pytest
from pydicom.dataset import Dataset

from diagnosis.intake import receive
from tests.fixture_images import good_dicom


def described(**options):
    return receive(good_dicom(**options), filename="image.dcm")


def region(**elements):
    """A calibrated two-dimensional region, PS3.3 C.8.5.5."""
    item = Dataset()
    defaults = {
        "RegionSpatialFormat": 1, "RegionDataType": 1, "RegionFlags": 0,
        "PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": 0.012, "PhysicalDeltaY": -0.011,
    }  # fmt: skip
    for keyword, value in (defaults | elements).items():
        setattr(item, keyword, value)
    return item


def test_the_patient_is_named():
    identity = described(patient_id="17-4", family_name="Müller", given_name="Ana Maria", sex="F").identity
    assert (identity.patient_id, identity.family_name, identity.given_name) == ("17-4", "Müller", "Ana Maria")
    assert (identity.birth_date, identity.sex) == (date(1970, 3, 1), "F")


def test_an_anonymous_file_has_an_empty_identity():
    identity = described(patient_id="", family_name="", given_name="", birth_date=None, sex="").identity
    assert (identity.patient_id, identity.family_name, identity.birth_date) == ("", "", None)


def test_study_series_and_image_are_identified():
    received = described(seed=3)
    assert received.study_instance_uid.startswith("1.2.826.0.1.3680043.8.498.")
    assert received.accession_number == "A0000003"
    assert received.keep_original
    assert described(StudyInstanceUID="../../etc/passwd").study_instance_uid == ""


def test_the_time_is_local_unless_the_file_says_where():
    local = described().acquired_at
    assert (local.isoformat(), local.tzinfo) == ("2026-03-02T09:16:30.500000", None)
    lisbon = described(TimezoneOffsetFromUTC="+0100").acquired_at
    assert lisbon.tzinfo == timezone(timedelta(hours=1))
    assert described(AcquisitionDateTime="20261399").acquired_at.isoformat() == "2026-03-02T09:15:00"


@pytest.mark.parametrize(("stated", "laterality"), [("L", "L"), ("R", "R"), ("B", ""), ("", ""), ("X", "")])
def test_laterality_is_left_right_or_unknown(stated, laterality):
    assert described(laterality=stated).laterality == laterality


def test_the_image_laterality_wins_over_that_of_the_series():
    assert described(laterality="L", ImageLaterality="R").laterality == "R"


def test_the_view_comes_from_the_position_or_the_code():
    assert described(modality="MG", view="MLO").view == "MLO"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "399162004", "SCT"
    assert described(modality="MG", ViewCodeSequence=[code]).view == "CC"


def test_ultrasound_is_measured_by_its_calibrated_region():
    assert described(SequenceOfUltrasoundRegions=[region()]).pixel_spacing_mm == pytest.approx((0.11, 0.12))


def test_two_scales_or_other_units_give_no_ruler():
    two = [region(), region(PhysicalDeltaX=0.02)]
    assert described(SequenceOfUltrasoundRegions=two).pixel_spacing_mm is None
    assert described(SequenceOfUltrasoundRegions=[region(PhysicalUnitsXDirection=4)]).pixel_spacing_mm is None


def test_a_mammogram_is_measured_in_the_breast_not_at_the_detector():
    elements = {"ImagerPixelSpacing": [0.1, 0.1]}
    assert described(modality="MG", **elements).pixel_spacing_mm == (0.1, 0.1)
    magnified = described(modality="MG", EstimatedRadiographicMagnificationFactor=2, **elements)
    assert magnified.pixel_spacing_mm == (0.05, 0.05)


@pytest.mark.parametrize("spacing", [[0, 0], [-1, 0.1], [1e9, 1e9], [0.1]])
def test_an_impossible_scale_is_no_scale(spacing):
    assert described(PixelSpacing=spacing).pixel_spacing_mm is None


def test_a_damaged_description_does_not_cost_the_image():
    file = good_dicom(PixelSpacing=[0.1, 0.1]).replace(b"0.1\\0.1", b"\xff\xfe\\zz  ")
    file = file.replace(b"19700301", b"99999999")
    received = receive(file, filename="image.dcm")
    assert received.pixel_spacing_mm is None
    assert received.identity.birth_date is None
    assert isinstance(received.pixels, np.ndarray)
