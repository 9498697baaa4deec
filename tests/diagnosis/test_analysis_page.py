"""The result page: every state in words, numbers beside them, and the buttons that fit."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse

from accounts.actions import create_patient
from accounts.models import AuditEvent
from diagnosis import actions
from diagnosis.models import Analysis, Image
from portal import jobs
from tests.fixture_images import good_dicom, good_png, speckle
from tests.fixture_results import failed, filed, rejected, succeeded, with_report


@pytest.fixture
def reading(client, rachel):
    client.force_login(rachel)
    return client


@pytest.fixture
def open_page(reading):
    def get(analysis, name: str = "analysis-detail", **query) -> str:
        response = reading.get(reverse(name, args=[analysis.pk]), query)
        assert response.status_code == 200
        return response.content.decode()

    return get


def test_a_result_is_said_in_words_and_numbers(open_page, study, rachel):
    html = open_page(succeeded(study=study, by=rachel, label="malignant", confidence=0.81, suspicion=7))

    for words in (
        "Suspicious of malignancy",
        "7 of 10",
        "high",
        "81\N{NO-BREAK SPACE}%",
        "Decision support, not a diagnosis.",
        "us-test 1.0.0",
        "all 1 checks passed",
        "Sharpness",
        "412.5",
    ):
        assert words in html


def test_the_image_and_its_map_are_laid_over_each_other(open_page, study, rachel):
    analysis = succeeded(study=study, by=rachel)

    html = open_page(analysis)

    assert reverse("image-file", args=[analysis.image.pk]) in html
    assert f'data-src="{reverse("explanation-file", args=[analysis.pk])}"' in html
    assert 'data-width="128" data-height="96"' in html


def test_the_side_is_always_in_view_and_so_is_the_patient(open_page, study, rachel):
    html = open_page(filed(study=study, by=rachel))

    assert '<span class="corner-side">Left</span>' in html
    for words in ("Anna Żółć", "MRN-001", "17 May 1970"):
        assert words in html


def test_a_synthetic_patient_is_marked_on_the_image_itself(open_page, rachel):
    patient = create_patient(
        acting_user=None, synthetic=True, mrn="S-1", given_name="Syn", family_name="Thetic", birth_date=date(1980, 1, 1)
    )
    study = actions.create_study(acting_user=rachel, patient=patient, modality="US")

    assert "<span>SYNTHETIC</span>" in open_page(filed(study=study, by=rachel))


def test_a_waiting_image_says_its_place_and_can_be_cancelled(open_page, study, rachel):
    filed(study=study, by=rachel, seed=1)
    second = filed(study=study, by=rachel, seed=2)

    html = open_page(second)

    assert "place 2 in the queue" in html
    assert reverse("analysis-cancel", args=[second.pk]) in html
    assert reverse("analysis-retry", args=[second.pk]) not in html
    assert "every 500ms" in html


def test_a_running_analysis_names_its_stage(open_page, study, rachel):
    analysis = filed(study=study, by=rachel)
    claim = jobs.claim(Analysis, analysis.pk)
    claim.extend(stage="analysing the image")

    html = open_page(analysis)

    assert "Being analysed" in html
    assert "Analysing the image" in html


def test_a_refused_image_says_why_and_what_to_do(open_page, study, rachel):
    html = open_page(rejected(study=study, by=rachel))

    for words in ("No score was made for this image.", "Too blurred.", "Take it again.", "1 of 1 checks failed"):
        assert words in html
    assert "of 10" not in html


def test_what_only_lacked_a_model_can_be_tried_again_when_there_is_one(reading, open_page, study, rachel):
    analysis = filed(study=study, by=rachel)
    claim = jobs.claim(Analysis, analysis.pk)
    assert claim is not None
    actions.reject_analysis(claim=claim, code=actions.NO_MODEL, reason="No released model reads this yet.")
    assert "try again" in open_page(analysis)

    reading.post(reverse("analysis-retry", args=[analysis.pk]))

    analysis.refresh_from_db()
    assert (analysis.state, analysis.reasons, analysis.error_code) == ("queued", [], "")


def test_what_was_refused_for_its_quality_is_not_tried_again(study, rachel):
    with pytest.raises(actions.WrongState):
        actions.retry_analysis(acting_user=rachel, analysis=rejected(study=study, by=rachel))


def test_a_failure_says_what_was_kept_and_offers_a_retry(open_page, study, rachel):
    analysis = failed(study=study, by=rachel)

    html = open_page(analysis)

    assert "A fault on our side." in html
    assert reverse("analysis-retry", args=[analysis.pk]) in html
    assert "Traceback: secret" not in html


def test_staff_who_run_the_site_see_the_detail_of_a_failure_but_no_retry(client, study, rachel, adam):
    analysis = failed(study=study, by=rachel)
    client.force_login(adam)

    html = client.get(reverse("analysis-detail", args=[analysis.pk])).content.decode()

    assert "Traceback: secret" in html
    assert reverse("analysis-retry", args=[analysis.pk]) not in html


def test_a_finished_result_with_its_report_asks_no_more(open_page, study, rachel):
    analysis = succeeded(study=study, by=rachel)
    assert "every 500ms" in open_page(analysis, "analysis-panel")

    with_report(analysis)

    assert "every 500ms" not in open_page(analysis, "analysis-panel")


def test_an_unchanged_panel_is_not_sent_again(reading, open_page, study, rachel):
    analysis = filed(study=study, by=rachel)
    seen = open_page(analysis, "analysis-panel").split("?seen=")[1].split('"')[0]
    address = reverse("analysis-panel", args=[analysis.pk])
    assert reading.get(address, {"seen": seen}).status_code == 204

    actions.cancel_analysis(acting_user=rachel, analysis=analysis)

    assert b"Cancelled" in reading.get(address, {"seen": seen}).content


def test_cancel_then_retry(reading, study, rachel):
    analysis = filed(study=study, by=rachel)

    reading.post(reverse("analysis-cancel", args=[analysis.pk]))
    analysis.refresh_from_db()
    assert analysis.state == "cancelled"

    response = reading.post(reverse("analysis-retry", args=[analysis.pk]))
    analysis.refresh_from_db()
    assert response.url == reverse("analysis-detail", args=[analysis.pk])
    assert analysis.state == "queued"


def test_what_is_no_longer_possible_is_said(reading, study, rachel):
    analysis = succeeded(study=study, by=rachel)

    response = reading.post(reverse("analysis-cancel", args=[analysis.pk]), follow=True)

    assert b"already finished" in response.content
    analysis.refresh_from_db()
    assert analysis.state == "succeeded"


@pytest.mark.parametrize("name", ["analysis-cancel", "analysis-retry", "report-reissue"])
def test_changes_need_a_post(reading, study, rachel, name):
    analysis = filed(study=study, by=rachel)

    assert reading.get(reverse(name, args=[analysis.pk])).status_code == 405


@pytest.mark.parametrize("name", ["analysis-cancel", "analysis-retry", "report-reissue"])
@pytest.mark.parametrize("who", ["adam", "ivan", "petra"])
def test_changes_need_a_radiologist(client, study, rachel, name, who, request):
    analysis = filed(study=study, by=rachel)
    client.force_login(request.getfixturevalue(who))

    assert client.post(reverse(name, args=[analysis.pk])).status_code == 404
    analysis.refresh_from_db()
    assert analysis.state == "queued"


@pytest.mark.parametrize("name", ["analysis-detail", "analysis-panel"])
@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 404), ("petra", 404)])
def test_other_roles(client, study, rachel, name, who, status, request):
    analysis = filed(study=study, by=rachel)
    client.force_login(request.getfixturevalue(who))

    assert client.get(reverse(name, args=[analysis.pk])).status_code == status


def test_who_opened_the_result_is_in_the_ledger_but_not_each_refresh(open_page, study, rachel, anna):
    analysis = filed(study=study, by=rachel)

    open_page(analysis)
    open_page(analysis, "analysis-panel")

    event = AuditEvent.objects.get(action="analysis.viewed")
    assert (event.actor, event.patient, event.object_id) == (rachel, anna, str(analysis.pk))


def test_one_steps_through_the_images_of_a_study(open_page, study, rachel):
    first, second, third = (filed(study=study, by=rachel, seed=seed) for seed in (1, 2, 3))

    html = open_page(second)

    assert "image 2 of 3" in html
    assert f'href="{reverse("analysis-detail", args=[first.pk])}" rel="prev"' in html
    assert f'href="{reverse("analysis-detail", args=[third.pk])}" rel="next"' in html


def test_confirmed_differences_are_shown_with_who_confirmed_them(open_page, study, rachel):
    image = actions.add_image(
        acting_user=rachel,
        study=study,
        upload=good_dicom(seed=3),
        filename="other.dcm",
        confirm_differences=True,
    ).image

    html = open_page(image.analysis)

    assert "The file differs from the record" in html
    assert "Filed here all the same by Rachel Radiologist" in html


def test_a_file_that_is_also_on_another_record_is_pointed_out(open_page, study, rachel):
    other = create_patient(
        acting_user=None, mrn="MRN-002", given_name="Other", family_name="Person", birth_date=date(1980, 1, 1)
    )
    elsewhere = actions.create_study(acting_user=rachel, patient=other, modality="US")
    actions.add_image(acting_user=rachel, study=elsewhere, upload=good_png(5), filename="a.png")

    html = open_page(filed(study=study, by=rachel, seed=5))

    assert "The same file is also on another patient" in html
    assert "MRN-002" not in html


@pytest.fixture
def clip(study, rachel) -> Image:
    """Three frames of Anna's."""
    data = good_dicom(
        frames=[speckle(seed) for seed in range(3)],
        patient_id="MRN-001",
        family_name="Żółć",
        given_name="Anna",
        birth_date=date(1970, 5, 17),
        PixelSpacing=[0.1, 0.1],
    )
    return actions.add_image(acting_user=rachel, study=study, upload=data, filename="clip.dcm").image


def test_a_clip_says_which_frame_was_read_and_knows_its_pixel_spacing(open_page, clip):
    html = open_page(clip.analysis)

    assert "frame 2 of 3" in html
    assert "0.100 x 0.100 mm" in html
    assert 'data-row-spacing="0.1' in html


def test_another_frame_of_a_clip_is_analysed_on_request(reading, clip):
    response = reading.post(reverse("image-frame", args=[clip.pk]), {"frame": "3"})

    new = Image.objects.get(frame_index=2)
    assert response.url == reverse("analysis-detail", args=[new.analysis.pk])


def test_another_frame_shows_the_same_confirmed_differences(reading, study, rachel):
    data = good_dicom(frames=[speckle(seed) for seed in range(3)], patient_id="MRN-9", family_name="Other")
    clip = actions.add_image(
        acting_user=rachel, study=study, upload=data, filename="clip.dcm", confirm_differences=True
    ).image

    reading.post(reverse("image-frame", args=[clip.pk]), {"frame": "3"})

    new = Image.objects.get(frame_index=2)
    assert clip.differences
    assert (new.differences, new.differences_confirmed_by) == (clip.differences, rachel)


def test_other_frames_follow_the_limit_of_this_site(reading, clip, settings):
    settings.MAX_IMAGE_BYTES = clip.byte_size - 1

    response = reading.post(reverse("image-frame", args=[clip.pk]), {"frame": "3"}, follow=True)

    assert b"The file is larger than" in response.content


@pytest.mark.parametrize("frame", ["0", "4", "", "x", "99999999999999999999"])
def test_a_frame_that_does_not_exist_is_refused(reading, clip, frame):
    response = reading.post(reverse("image-frame", args=[clip.pk]), {"frame": frame}, follow=True)

    assert response.status_code == 200
    assert Image.objects.count() == 1
    assert b"alert-danger" in response.content


def test_a_single_image_has_no_other_frames(reading, study, rachel):
    analysis = filed(study=study, by=rachel)

    response = reading.post(reverse("image-frame", args=[analysis.image.pk]), {"frame": "1"}, follow=True)

    assert b"Only multi-frame DICOM files hold other frames." in response.content


def test_a_hostile_file_name_is_never_markup(open_page, study, rachel):
    name = '"><svg onload=alert(1)>.png'
    image = actions.add_image(acting_user=rachel, study=study, upload=good_png(9), filename=name).image

    assert "<svg onload" not in open_page(image.analysis)
