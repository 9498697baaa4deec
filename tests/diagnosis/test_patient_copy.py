"""The PDF that a patient gets: letter, conclusion and image; nothing that a machine said or drew."""

from __future__ import annotations

import json
import zipfile
from hashlib import sha256
from io import BytesIO

import cv2
import numpy as np
import pytest
from django.urls import reverse
from pypdf import PdfReader

from diagnosis import actions, overlay, report, report_context
from diagnosis.models import Report
from tests.fixture_images import HEIGHT, WIDTH
from tests.fixture_patients import with_log_in
from tests.fixture_results import MARKS, RESEARCH, concluded, lesion, rejected, released, succeeded
from tests.fixture_sign_in import confirm

MAP = overlay.layer_png(np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH))
MACHINE = (
    "Suspicion",
    "robability",
    "Grad-CAM",
    "us-test",
    "mg-trial",
    "RESEARCH",
    "AI result",
    "81 %",
    "mark 1",
    "diameter",
)


@pytest.fixture
def analysis(study, rachel):
    """A result that says malignant, with all that a model can draw."""
    return succeeded(study=study, by=rachel, explanation=MAP, found=lesion(spacing_mm=0.1), marks=MARKS)


@pytest.fixture
def own(client, anna, petra):
    """Petra, signed in, with Anna's record."""
    client.force_login(with_log_in(anna, petra))
    return client


def words(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(pdf)).pages)


def pictures(pdf: bytes) -> list[np.ndarray]:
    """Every picture of the first page, without the code to scan and single pixels."""
    found = [cv2.imdecode(np.frombuffer(one.data, np.uint8), 1) for one in PdfReader(BytesIO(pdf)).pages[0].images]
    return [one for one in found if one is not None and min(one.shape[:2]) > 60]


def test_the_patient_gets_letter_conclusion_and_image_and_no_verdict_of_the_machine(own, fetch, analysis, rachel):
    row = released(analysis, by=rachel, letter="All is well.\n\nYou need no other test.")

    answer = fetch(own, reverse("report-file", args=[row.pk]) + "?download=1")

    text = words(answer.whole)
    for said in ("All is well.", "You need no other test.", "A cyst.", "Appears benign", "BI-RADS 2", "Anna Żółć"):
        assert said in text
    for word in MACHINE:
        assert word not in text, word
    assert f"report-{row.verification_code}-v{row.version}.pdf" in answer["Content-Disposition"]
    assert answer["Cache-Control"] == "private, no-store"


def test_no_map_outline_or_mark_is_drawn_into_the_patients_picture(own, fetch, analysis, rachel):
    row = released(analysis, by=rachel)

    shown = pictures(fetch(own, reverse("report-file", args=[row.pk])).whole)

    assert all(np.ptp(one.astype(int), axis=2).max() <= 12 for one in shown)
    context = report_context.of_patient(Report.objects.get(pk=row.pk))
    assert (context.overlay_png, context.outlined_png) == (b"", b"")
    with analysis.image.file.open("rb") as stored:
        assert context.image_png == stored.read()


def test_one_release_gives_the_same_bytes_each_time(own, fetch, analysis, rachel):
    row = released(analysis, by=rachel)
    address = reverse("report-file", args=[row.pk])

    first, second = fetch(own, address), fetch(own, address)

    assert first.whole == second.whole
    assert first["ETag"] == f'"{sha256(first.whole).hexdigest()}"'
    assert fetch(own, address, HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 304


def test_doctors_get_the_full_report_and_can_look_at_the_copy(client, fetch, analysis, rachel):
    row = released(analysis, by=rachel)
    client.force_login(rachel)
    address = reverse("report-file", args=[row.pk])

    assert fetch(client, address).whole == b"%PDF-1.7 made by a test"
    assert "Dear patient, all is well." in words(fetch(client, address + "?copy=patient").whole)
    assert f"{address}?copy=patient" in client.get(reverse("analysis-detail", args=[analysis.pk])).content.decode()


def test_before_release_there_is_no_copy(client, fetch, analysis, rachel):
    row = concluded(analysis, by=rachel)
    client.force_login(rachel)

    assert fetch(client, reverse("report-file", args=[row.pk]) + "?copy=patient").status_code == 404
    with pytest.raises(ValueError, match="released"):
        report_context.of_patient(row)


def test_the_api_gives_a_patient_the_same_copy(own, fetch, analysis, rachel):
    released(analysis, by=rachel)

    text = words(fetch(own, reverse("api-analysis-report", args=[analysis.pk])).whole)

    assert "Dear patient, all is well." in text
    for word in MACHINE:
        assert word not in text, word


def test_the_archive_holds_the_copy_and_its_digest(own, analysis, rachel):
    row = released(analysis, by=rachel)
    confirm(own)

    package = zipfile.ZipFile(BytesIO(b"".join(own.post(reverse("own-export")).streaming_content)))

    name = next(one for one in package.namelist() if one.endswith(".pdf"))
    pdf = package.read(name)
    assert "Dear patient, all is well." in words(pdf)
    assert "Suspicion" not in words(pdf)
    entries = [one["resource"] for one in json.loads(package.read("record.json"))["entry"]]
    form = next(one for one in entries if one["resourceType"] == "DiagnosticReport")["presentedForm"][0]
    assert (form["sha256"], form["url"]) == (sha256(pdf).hexdigest(), name)
    assert row.verification_code in name


def test_a_missing_image_is_a_sentence_and_no_fault(own, fetch, analysis, rachel):
    row = released(analysis, by=rachel)
    analysis.image.file.storage.delete(analysis.image.file.name)

    assert fetch(own, reverse("report-file", args=[row.pk])).status_code == 404


def test_an_image_that_was_refused_has_a_copy_too(own, fetch, study, rachel):
    row = released(rejected(study=study, by=rachel), by=rachel)

    text = words(fetch(own, reverse("report-file", args=[row.pk])).whole)

    assert "Dear patient, all is well." in text
    assert "NOT PASSED" not in text


@pytest.mark.parametrize(
    ("reader", "sentence"),
    [
        ("benign", "The model and the radiologist differ. The radiologist's conclusion stands."),
        ("malignant", "The radiologist's conclusion stands, whatever the model says."),
    ],
)
def test_the_report_for_doctors_says_whose_word_counts(study, rachel, reader, sentence):
    row = concluded(succeeded(study=study, by=rachel, model=RESEARCH, explanation=MAP), by=rachel, label=reader)

    text = words(report.render(report_context.of(row)).pdf)

    assert text.index("Conclusion of the radiologist") < text.index(sentence) < text.index("Suspicion 7 of 10")


def test_a_preliminary_report_says_nothing_of_a_conclusion(analysis):
    text = words(report.render(report_context.of(Report.objects.get(analysis=analysis))).pdf)

    assert "conclusion stands" not in text


def test_a_letter_is_text_and_not_markup(own, fetch, analysis, rachel):
    row = actions.release_report(
        acting_user=rachel, report=concluded(analysis, by=rachel), letter="<img src=x> {{ 7 }} & you"
    )

    assert "<img src=x> {{ 7 }} & you" in words(fetch(own, reverse("report-file", args=[row.pk])).whole)
