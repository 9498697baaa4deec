"""``/api/v1/studies/{id}/images/``."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import AuditEvent
from diagnosis.models import Analysis, Image, Study
from tests.fixture_hostile import HOSTILE
from tests.fixture_images import good_dicom, good_png, speckle

KEYS = {"code", "detail", "fields", "refused"}


def address(study):
    return f"/api/v1/studies/{study.pk}/images/"


def part(content, name="scan.png", content_type="image/png"):
    return SimpleUploadedFile(name, content, content_type)


def send(client, study, *files, **fields):
    return client.post(address(study), {"file": list(files), **fields}, format="multipart")


def files_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


def test_several_images_are_taken_and_queued(api, rachel, study):
    answer = send(api(rachel), study, part(good_png(1), "one.png"), part(good_png(2), "two.png"))
    assert answer.status_code == 202
    body = answer.json()
    assert set(body) == {"images", "refused"}
    assert body["refused"] == []
    assert len(body["images"]) == 2
    for entry in body["images"]:
        assert set(entry) == {"id", "sha256", "duplicate", "analysis"}
        assert set(entry["analysis"]) == {"id", "state", "url"}
        assert (entry["analysis"]["state"], entry["duplicate"]) == ("queued", False)
        assert api(rachel).get(entry["analysis"]["url"]).json()["image"] == entry["id"]
    assert [image.original_name for image in Image.objects.all()] == ["one.png", "two.png"]


def test_the_same_bytes_come_back_as_a_duplicate_and_are_not_analysed_again(api, rachel, study):
    first = send(api(rachel), study, part(good_png(1))).json()["images"][0]
    answer = send(api(rachel), study, part(good_png(1), "again.png"))
    assert answer.status_code == 202
    assert answer.json()["images"] == [{**first, "duplicate": True}]
    assert Analysis.objects.count() == 1


def test_laterality_and_view_are_kept(api, rachel, study):
    send(api(rachel), study, part(good_png(1)), laterality="R", view="RAD")
    image = Image.objects.get()
    assert (image.laterality, image.view) == ("R", "RAD")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("laterality", "X"),
        ("view", "upside down"),
        ("frame", "-1"),
        ("frame", "x"),
        ("frame", "9" * 5000),
        ("confirm_differences", "perhaps"),
    ],
)
def test_a_field_that_is_not_allowed_is_named_and_no_file_is_taken(api, rachel, study, field, value):
    answer = send(api(rachel), study, part(good_png(1)), **{field: value})
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]
    assert not Image.objects.exists()


def test_a_file_of_another_patient_needs_a_confirmation(api, rachel, study):
    content = good_dicom(patient_id="MRN-777", family_name="Other", given_name="Olga", laterality="L")
    answer = send(api(rachel), study, part(content, "scan.dcm", "application/dicom"))
    assert answer.status_code == 409
    body = answer.json()
    assert set(body) == KEYS
    assert body["code"] == "identity_mismatch"
    (refused,) = body["refused"]
    assert {difference["field"] for difference in refused["differences"]} >= {"mrn", "family_name"}
    assert all(set(one) == {"field", "in_file", "on_record", "sentence"} for one in refused["differences"])
    assert not Image.objects.exists()
    confirmed = send(api(rachel), study, part(content, "scan.dcm", "application/dicom"), confirm_differences="true")
    assert confirmed.status_code == 202
    assert Image.objects.get().differences_confirmed_by == rachel


def test_one_frame_of_a_loop_can_be_chosen(api, rachel, study, anna):
    frames = [speckle(seed) for seed in range(3)]
    content = good_dicom(frames=frames, patient_id=anna.mrn, family_name="Żółć", given_name="Anna", laterality="L")
    client = api(rachel)
    for frame in ("2", "0"):
        answer = send(
            client, study, part(content, "loop.dcm", "application/dicom"), frame=frame, confirm_differences="true"
        )
        assert answer.status_code == 202
    assert sorted(Image.objects.values_list("frame_index", flat=True)) == [0, 2]
    beyond = send(client, study, part(content, "loop.dcm", "application/dicom"), frame="3", confirm_differences="1")
    assert (beyond.status_code, beyond.json()["code"]) == (400, "frame_out_of_range")


def test_a_bad_file_does_not_stop_the_good_ones(api, rachel, study):
    answer = send(
        api(rachel),
        study,
        part(good_png(1), "good.png"),
        part(b"%PDF-1.7 letter", "letter.pdf", "application/pdf"),
        part(good_png(2), "good too.png"),
    )
    assert answer.status_code == 202
    body = answer.json()
    assert len(body["images"]) == 2
    (refused,) = body["refused"]
    assert (refused["file"], refused["code"]) == ("letter.pdf", "unsupported_type")
    assert refused["detail"].endswith(".")


def test_the_status_is_the_first_refusal_s_when_nothing_was_taken(api, rachel, study):
    answer = send(api(rachel), study, part(b"", "empty.png"), part(b"%PDF-1.7", "letter.pdf"))
    assert answer.status_code == 400
    body = answer.json()
    assert set(body) == KEYS
    assert body["code"] == "empty"
    assert [one["code"] for one in body["refused"]] == ["empty", "unsupported_type"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_and_leaves_nothing_behind(api, rachel, study, settings, name):
    hostile = HOSTILE[name]
    answer = send(
        api(rachel),
        study,
        part(hostile.make(), hostile.filename, hostile.content_type),
        part(good_png(1), "good.png"),
    )
    assert answer.status_code == 202
    (refused,) = answer.json()["refused"]
    assert refused["code"] == hostile.code
    assert len(answer.json()["images"]) == 1
    assert files_in(settings.MEDIA_ROOT) == [f"{Image.objects.get().pk}.png"]
    assert files_in(settings.FILE_UPLOAD_TEMP_DIR) == []
    event = AuditEvent.objects.get(action="image.refused")
    assert (event.details["code"], event.actor, event.object_id) == (hostile.code, rachel, str(study.pk))


@pytest.mark.parametrize("name", ["truncated png", "png of 20,000 x 20,000", "animated png"])
def test_a_hostile_file_alone_answers_with_its_status(api, rachel, study, settings, name):
    hostile = HOSTILE[name]
    answer = send(api(rachel), study, part(hostile.make(), hostile.filename, hostile.content_type))
    assert (answer.status_code, answer.json()["code"]) == (hostile.status, hostile.code)
    assert files_in(settings.MEDIA_ROOT) == []
    assert files_in(settings.FILE_UPLOAD_TEMP_DIR) == []


def test_a_file_over_the_limit_is_413_and_is_cut_while_it_streams(api, rachel, study, settings):
    settings.MAX_IMAGE_BYTES = 100_000
    answer = send(api(rachel), study, part(good_png(1) + bytes(5_000_000), "big.png"), part(good_png(2), "good.png"))
    assert answer.status_code == 202
    assert [one["code"] for one in answer.json()["refused"]] == ["too_large"]
    alone = send(api(rachel), study, part(bytes(5_000_000), "big.png"))
    assert (alone.status_code, alone.json()["code"]) == (413, "too_large")
    assert files_in(settings.FILE_UPLOAD_TEMP_DIR) == []


def test_too_many_files_in_one_request_are_413(api, rachel, study, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 3
    answer = send(api(rachel), study, *(part(good_png(number)) for number in range(4)))
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"
    assert not Image.objects.exists()
    assert files_in(settings.FILE_UPLOAD_TEMP_DIR) == []


def test_a_request_without_a_file_says_how_to_send_one(api, rachel, study):
    for answer in (
        api(rachel).post(address(study), {"view": "CC"}, format="multipart"),
        api(rachel).post(address(study), {"image": part(good_png())}, format="multipart"),
        api(rachel).post(address(study), {"file": "text"}, format="multipart"),
    ):
        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == ["file"]


def test_json_is_the_wrong_type_of_body(api, rachel, study):
    answer = api(rachel).post(address(study), {"file": "x"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\xff\xff"),
    ],
)
def test_a_broken_form_is_400(api, rachel, study, content_type, body):
    answer = api(rachel).post(address(study), data=body, content_type=content_type)
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "detail", "fields"}


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\x00b.png", "<script>.png", "\u202egnp.exe", "x" * 400 + ".png"]
)
def test_a_hostile_name_of_a_file_is_harmless(api, rachel, study, settings, name):
    answer = send(api(rachel), study, part(good_png(1), name))
    assert answer.status_code in (202, 400)
    for path in files_in(settings.MEDIA_ROOT):
        assert path == f"{Image.objects.get().pk}.png"


def test_a_signed_study_takes_nothing_more(api, rachel, study):
    Study.objects.filter(pk=study.pk).update(state=Study.State.SIGNED)
    answer = send(api(rachel), study, part(good_png(1)))
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert not Image.objects.exists()


def test_an_administrator_may_look_but_not_add(api, adam, study):
    assert send(api(adam), study, part(good_png(1))).status_code == 403
    nowhere = f"/api/v1/studies/{uuid.uuid4()}/images/"
    unknown = api(adam).post(nowhere, {"file": part(good_png(1))}, format="multipart")
    assert unknown.status_code == 404


def test_who_may_not_see_the_study_gets_404_and_a_stranger_401(api, ivan, study):
    assert send(api(ivan), study, part(good_png(1))).status_code == 404
    assert send(api(), study, part(good_png(1))).status_code == 401
    assert not Image.objects.exists()
