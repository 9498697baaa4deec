"""``/api/v1/analyses/{id}/``."""

from __future__ import annotations

import uuid

import pytest

from accounts.models import AuditEvent
from diagnosis import actions
from diagnosis.models import Analysis
from portal import jobs
from tests.fixture_images import good_png
from tests.fixture_results import (
    MARKS,
    MODEL,
    RESEARCH,
    SIMILAR,
    failed,
    filed,
    lesion,
    rejected,
    succeeded,
    with_report,
)

KEYS = {
    "id",
    "state",
    "attempts",
    "image",
    "study",
    "model",
    "prediction",
    "quality",
    "explanation_url",
    "segmentation_url",
    "lesion",
    "marks",
    "similar_cases",
    "report_url",
    "error",
    "queued_at",
    "started_at",
    "finished_at",
}


def address(analysis, tail=""):
    return f"/api/v1/analyses/{analysis.pk}/{tail}"


def test_a_queued_analysis_has_no_invented_values(api, rachel, study):
    analysis = filed(study=study, by=rachel)
    body = api(rachel).get(address(analysis)).json()
    assert set(body) == KEYS
    assert (body["id"], body["state"], body["attempts"]) == (str(analysis.pk), "queued", 0)
    assert (body["image"], body["study"]) == (str(analysis.image_id), str(study.pk))
    nothing = KEYS - {"id", "state", "attempts", "image", "study", "queued_at"}
    assert {key: body[key] for key in nothing} == dict.fromkeys(nothing)


def test_a_result_comes_with_model_probabilities_quality_and_map(api, rachel, study):
    analysis = succeeded(study=study, by=rachel, label="malignant", confidence=0.8, suspicion=7)
    body = api(rachel).get(address(analysis)).json()
    assert set(body) == KEYS
    assert body["state"] == "succeeded"
    assert body["model"] == {
        "name": MODEL.name,
        "version": MODEL.version,
        "sha256": MODEL.sha256,
        "status": "released",
    }
    assert body["prediction"] == {
        "label": "malignant",
        "confidence": 0.8,
        "probabilities": pytest.approx({"benign": 0.1, "malignant": 0.8, "normal": 0.1}),
        "suspicion": 7,
        "uncertain": False,
        "prevalence": None,
        "model_probabilities": None,
    }
    assert body["quality"] == {"passed": True, "checks": [{"name": "blur", "value": 412.5, "passed": True}]}
    assert body["error"] is None
    assert body["report_url"] is None
    assert (body["segmentation_url"], body["lesion"], body["marks"], body["similar_cases"]) == (None, None, [], [])
    assert body["explanation_url"].endswith(address(analysis, "explanation.png"))
    assert body["queued_at"] <= body["started_at"] <= body["finished_at"]


def test_the_report_appears_when_it_is_stored_and_is_sent_with_its_digest(api, rachel, study):
    analysis = succeeded(study=study, by=rachel)
    client = api(rachel)
    early = client.get(address(analysis, "report.pdf"))
    assert (early.status_code, early.json()["code"]) == (404, "no_report")
    report = with_report(analysis, pdf=b"%PDF-1.7 first")
    url = client.get(address(analysis)).json()["report_url"]
    answer = client.get(url)
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content) == b"%PDF-1.7 first"
    assert answer["Content-Type"] == "application/pdf"
    assert answer["ETag"] == f'"{report.sha256}"'
    assert answer["Content-Disposition"].startswith("attachment")
    assert client.get(url, headers={"If-None-Match": answer["ETag"]}).status_code == 304
    assert AuditEvent.objects.filter(action="report.downloaded", actor=rachel, object_id=report.pk).count() == 2


def test_the_newest_report_that_is_ready_is_sent(api, rachel, study):
    analysis = succeeded(study=study, by=rachel)
    with_report(analysis, pdf=b"%PDF-1.7 first")
    actions.reissue_report(acting_user=rachel, analysis=analysis)
    client = api(rachel)
    assert b"".join(client.get(address(analysis, "report.pdf")).streaming_content) == b"%PDF-1.7 first"
    with_report(analysis, pdf=b"%PDF-1.7 second")
    assert b"".join(client.get(address(analysis, "report.pdf")).streaming_content) == b"%PDF-1.7 second"


def test_the_map_is_sent_as_a_picture_whatever_accept_says(api, rachel, study):
    analysis = succeeded(study=study, by=rachel, seed=3)
    client = api(rachel)
    answer = client.get(address(analysis, "explanation.png"), headers={"Accept": "image/png"})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "image/png"
    assert b"".join(answer.streaming_content) == good_png(1003)
    assert answer["ETag"] == f'"{analysis.explanation_sha256}"'


def test_the_outlined_lesion_comes_with_its_measures_and_its_mask(api, rachel, study):
    found = lesion(spacing_mm=0.1)
    analysis = succeeded(study=study, by=rachel, found=found)
    client = api(rachel)
    body = client.get(address(analysis)).json()
    assert body["lesion"] == {
        "area_share": pytest.approx(961 / (96 * 128), abs=1e-4),
        "area_mm2": 9.6,
        "longest_diameter_px": 42.4,
        "longest_diameter_mm": 4.2,
        "box": [20, 40, 51, 71],
    }
    assert body["segmentation_url"].endswith(address(analysis, "segmentation.png"))
    answer = client.get(body["segmentation_url"])
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert answer["Cache-Control"] == "private, no-store"
    assert b"".join(answer.streaming_content) == found.mask_png


def test_without_pixel_spacing_nothing_is_said_in_millimetres(api, rachel, study):
    analysis = succeeded(study=study, by=rachel, found=lesion())
    measures = api(rachel).get(address(analysis)).json()["lesion"]
    assert (measures["area_mm2"], measures["longest_diameter_mm"]) == (None, None)
    assert measures["longest_diameter_px"] == 42.4


def test_an_image_without_a_lesion_has_no_mask(api, rachel, study):
    answer = api(rachel).get(address(succeeded(study=study, by=rachel), "segmentation.png"))
    assert (answer.status_code, answer.json()["code"]) == (404, "no_segmentation")


def test_marks_similar_cases_doubt_and_prevalence_are_told(api, rachel, study):
    own = {"benign": 0.05, "malignant": 0.93, "normal": 0.02}
    analysis = succeeded(
        study=study,
        by=rachel,
        model=RESEARCH,
        marks=MARKS,
        similar=SIMILAR,
        uncertain=True,
        prevalence=0.08,
        own_probabilities=own,
    )
    body = api(rachel).get(address(analysis)).json()
    assert body["marks"][0] == {"row": 30.0, "column": 60.0, "radius": 12.0, "score": 0.74}
    assert body["similar_cases"][1] == {
        "case": "busbra/bus-0007-l",
        "source": "busbra",
        "label": "benign",
        "similarity": 0.71,
    }
    assert body["prediction"]["uncertain"] is True
    assert (body["prediction"]["prevalence"], body["prediction"]["model_probabilities"]) == (0.08, own)
    assert body["model"]["status"] == "research"


def test_an_analysis_without_result_has_no_map(api, rachel, study):
    answer = api(rachel).get(address(filed(study=study, by=rachel), "explanation.png"))
    assert (answer.status_code, answer.json()["code"]) == (404, "no_explanation")


def test_a_file_that_is_gone_from_the_storage_is_404(api, rachel, study):
    analysis = succeeded(study=study, by=rachel)
    analysis.explanation.storage.delete(analysis.explanation.name)
    answer = api(rachel).get(address(analysis, "explanation.png"))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_refusal_has_reasons_and_the_failed_check_but_no_score(api, rachel, study):
    body = api(rachel).get(address(rejected(study=study, by=rachel))).json()
    assert body["state"] == "rejected"
    assert body["prediction"] is None
    assert body["error"] == {"code": "refused", "message": "Too blurred. Take it again."}
    assert body["quality"] == {"passed": False, "checks": [{"name": "blur", "value": 3.25, "passed": False}]}
    assert body["model"]["name"] == MODEL.name


def test_a_failure_has_a_sentence_for_the_person_and_hides_the_detail(api, rachel, study):
    answer = api(rachel).get(address(failed(study=study, by=rachel)))
    assert answer.json()["error"] == {"code": "internal_error", "message": "A fault on our side."}
    assert "secret" not in answer.content.decode()


def test_a_failed_analysis_can_be_tried_again_once(api, rachel, study):
    analysis = failed(study=study, by=rachel)
    client = api(rachel)
    answer = client.post(address(analysis, "retry/"))
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["error"], answer.json()["attempts"]) == ("queued", None, 0)
    again = client.post(address(analysis, "retry/"))
    assert again.status_code == 409
    assert again.json() == {
        "code": "wrong_state",
        "detail": "Only a failed or cancelled analysis can be tried again.",
        "fields": {},
    }


def test_a_running_analysis_is_cancelled_and_its_worker_writes_nothing(api, rachel, study):
    analysis = filed(study=study, by=rachel)
    claim = jobs.claim(Analysis, analysis.pk)
    client = api(rachel)
    answer = client.post(address(analysis, "cancel/"))
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert not claim.finish(state=jobs.State.FAILED)
    assert client.post(address(analysis, "cancel/")).status_code == 409
    assert client.post(address(analysis, "retry/")).json()["state"] == "queued"


@pytest.mark.parametrize("tail", ["retry/", "cancel/"])
def test_a_finished_analysis_is_neither_tried_again_nor_cancelled(api, rachel, study, tail):
    analysis = succeeded(study=study, by=rachel)
    answer = api(rachel).post(address(analysis, tail))
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    analysis.refresh_from_db()
    assert analysis.label == "malignant"


def test_an_administrator_sees_the_analysis_so_the_verbs_are_403(api, rachel, adam, study):
    analysis = failed(study=study, by=rachel)
    client = api(adam)
    assert client.get(address(analysis)).status_code == 200
    assert client.post(address(analysis, "retry/")).status_code == 403
    assert client.post(f"/api/v1/analyses/{uuid.uuid4()}/retry/").status_code == 404


def test_it_staff_do_not_learn_that_the_analysis_exists(api, rachel, ivan, study):
    analysis = succeeded(study=study, by=rachel)
    with_report(analysis)
    client = api(ivan)
    for tail in ("", "explanation.png", "report.pdf"):
        assert client.get(address(analysis, tail)).status_code == 404
    for tail in ("retry/", "cancel/"):
        assert client.post(address(analysis, tail)).status_code == 404


def test_a_patient_does_not_get_a_preliminary_report(api, rachel, petra, study):
    analysis = succeeded(study=study, by=rachel)
    with_report(analysis)
    client = api()
    client.force_login(petra)
    assert client.get(address(analysis, "report.pdf")).status_code == 404
    assert client.get(address(analysis)).status_code == 404


def test_following_an_analysis_costs_few_queries(api, rachel, study, django_assert_max_num_queries):
    analysis = succeeded(study=study, by=rachel)
    client = api(rachel)
    client.get(address(analysis))
    with django_assert_max_num_queries(5):  # token, teams, analysis, reports, ledger
        client.get(address(analysis))
