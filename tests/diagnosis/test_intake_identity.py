"""A file of another patient is noticed; another spelling of the same patient is not one."""

from datetime import date

import pytest

from diagnosis.intake import compare_identity, receive
from tests.fixture_images import good_dicom, good_png

ANA = {
    "mrn": "MRN-0001",
    "given_name": "Ana",
    "family_name": "Silva",
    "birth_date": date(1970, 3, 1),
    "sex": "F",
    "modality": "US",
    "laterality": "L",
}


def differences(record=(), **file):
    received = receive(good_dicom(**file), filename="image.dcm")
    return {each.field: each for each in compare_identity(received, **(ANA | dict(record)))}


def test_the_same_patient_has_no_differences():
    assert differences() == {}


def test_a_picture_without_identity_is_compared_with_nothing():
    assert compare_identity(receive(good_png(), filename="a.png"), **ANA) == ()


@pytest.mark.parametrize(
    ("family", "given", "on_record"),
    [
        ("SILVA", "ANA", ("Silva", "Ana")),
        ("Silva", "Ana Maria", ("Silva", "Ana")),
        ("Silva", "Ana M", ("Silva", "Ana Maria")),
        ("Silva", "Ana", ("da Silva", "Ana")),
        ("MULLER", "ZOE", ("Müller", "Zoë")),
        ("MUELLER", "ZOE", ("Müller", "Zoe")),
        ("OBRIEN", "MARY", ("O'Brien", "Mary")),
        ("Garcia-Lopez", "Eva", ("García López", "Eva")),
        ("Ana Silva", "", ("Silva", "Ana")),
        ("Ana", "Silva", ("Silva", "Ana")),
        ("", "", ("Silva", "Ana")),
    ],
)
def test_forms_of_one_name_agree(family, given, on_record):
    record = {"family_name": on_record[0], "given_name": on_record[1]}
    assert differences(record, family_name=family, given_name=given) == {}


@pytest.mark.parametrize(
    ("file", "field"),
    [
        ({"family_name": "Santos"}, "family_name"),
        ({"given_name": "Rita"}, "given_name"),
        ({"given_name": "Anabela"}, "given_name"),
        ({"family_name": "Rita Santos", "given_name": ""}, "family_name"),
        ({"patient_id": "MRN-0002"}, "mrn"),
        ({"birth_date": date(1970, 1, 3)}, "birth_date"),
        ({"sex": "M"}, "sex"),
        ({"modality": "MG"}, "modality"),
        ({"laterality": "R"}, "laterality"),
    ],
)
def test_another_value_is_a_difference(file, field):
    found = differences(**file)
    assert list(found) == [field]
    assert "The file says" in found[field].sentence
    assert found[field].in_file in found[field].sentence
    assert found[field].on_record in found[field].sentence


def test_words_and_codes_of_the_record_are_both_understood():
    record = {"sex": "female", "laterality": "left", "birth_date": "1970-03-01", "mrn": "mrn 0001"}
    assert differences(record) == {}


def test_contrast_mammograms_arrive_as_mammograms():
    assert differences({"modality": "CESM"}, modality="MG") == {}


def test_a_study_of_both_breasts_takes_either():
    assert differences({"laterality": "B"}) == {}
