"""What a person finds in the PDF of a report, and what must never get into it or out of it."""

from __future__ import annotations

import hashlib
import http.server
import logging
import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from io import BytesIO

import cv2
import numpy as np
import pytest
from pypdf import PdfReader
from xhtml2pdf.config.resources import ResourceAccessError

from diagnosis import report, report_fonts
from diagnosis.wording import UNCERTAIN, UNCERTAIN_MEANING

FAMILY_NAME = "Brzęczyszczykiewicz"


def png(*, height: int = 300, width: int = 400, colour: bool = False) -> bytes:
    rows, columns = np.mgrid[0:height, 0:width]
    grey = ((rows + columns) % 256).astype(np.uint8)
    pixels = cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO) if colour else grey
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture
def context() -> report.ReportContext:
    """A preliminary report of a synthetic patient with every field filled."""
    return report.ReportContext(
        report_id="1042",
        version=3,
        status="preliminary",
        verification_code="K7QM-4XTN",
        verification_url="https://portal.example/verify/K7QM-4XTN/",
        site_name="Saint Anna hospital",
        generated_at=datetime(2026, 11, 21, 13, 5, tzinfo=UTC),
        time_zone="Europe/Warsaw",
        synthetic=True,
        patient_name=f"Anna {FAMILY_NAME}",
        mrn="MRN-001",
        birth_date=date(1970, 5, 17),
        sex="Female",
        study_id="S-8F3K2",
        accession_number="ACC-118",
        modality="Ultrasound",
        laterality="Left",
        study_created_at=datetime(2026, 7, 1, 12, 58, tzinfo=UTC),
        clinical_history="Palpable lump for six weeks.",
        image_id="77",
        image_name="left_0002.png",
        image_sha256="ab" * 32,
        image_width=400,
        image_height=300,
        frame="frame 12 of 40",
        device="Scanner 9",
        view="Radial",
        pixel_spacing="0.080 x 0.080 mm",
        image_png=png(),
        overlay_png=png(colour=True),
        label="malignant",
        confidence=0.8123,
        probabilities={"benign": 0.15, "malignant": 0.8123, "normal": 0.0377},
        suspicion=9,
        quality=[("size", 300, ">= 96 px", True), ("blur", 12.5, ">= 30", False)],
        model_name="us-mobilenetv2",
        model_version="1.2.3",
        model_sha256="cd" * 32,
        model_status="research",
        analysed_at=datetime(2026, 11, 21, 13, 3, tzinfo=UTC),
        requested_by="Rachel Radiologist",
    )


def pages(rendered: report.RenderedReport) -> list[str]:
    """The text of each page, with runs of white space made one space."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(rendered.pdf)).pages]


def text(context: report.ReportContext) -> str:
    return " ".join(pages(report.render(context)))


def fonts(pdf: bytes) -> dict[str, bool]:
    """Each font that a page names, and whether its TrueType outlines are in the file."""
    found = {}
    for page in PdfReader(BytesIO(pdf)).pages:
        for reference in page["/Resources"]["/Font"].values():
            font = reference.get_object()
            found[font["/BaseFont"]] = "/FontFile2" in font.get("/FontDescriptor", {})
    return found


def test_the_result_is_said_in_words_and_numbers(context):
    said = text(context)
    assert "Suspicious of malignancy Probability of this class 81 %" in said
    assert "Suspicion 9 of 10, very high" in said
    for part in ("81 % 0.81", "15 % 0.15", "4 % 0.04"):
        assert part in said


def test_patient_study_image_and_model_are_identified(context):
    said = text(context)
    for part in (
        f"Anna {FAMILY_NAME}", "MRN-001", "17 May 1970", "Female", "S-8F3K2", "ACC-118", "Ultrasound, Left, Radial",
        "Palpable lump for six weeks.", "left_0002.png", "ab" * 32, "400 × 300 pixels", "frame 12 of 40", "Scanner 9",
        "us-mobilenetv2, version 1.2.3 (research)", "cd" * 32, "Rachel Radiologist", "Report 1042, version 3",
        "K7QM-4XTN", "https://portal.example/verify/K7QM-4XTN/",
    ):  # fmt: skip
        assert part in said, part


def test_times_carry_the_offset_of_their_own_day(context):
    said = text(context)
    assert "Analysed 21 Nov 2026, 14:03 UTC+01:00 (Europe/Warsaw)" in said
    assert "Received 1 Jul 2026, 14:58 UTC+02:00 (Europe/Warsaw)" in said


def test_it_says_that_it_is_decision_support_and_not_a_diagnosis_on_every_page(context):
    for page in pages(report.render(context)):
        assert "Decision support, not a diagnosis." in page


def test_a_research_model_is_called_one(context):
    assert "not been released for clinical use" in text(context)
    assert "not been released for clinical use" not in text(replace(context, model_status="released"))


def test_a_research_model_is_banned_from_decisions_at_the_top_of_the_first_page(context):
    first = pages(report.render(context))[0]
    assert first.index("RESEARCH MODEL: not for clinical decisions; never orders the worklist") < first.index("Patient")
    assert "RESEARCH MODEL" not in text(replace(context, model_status="released"))


def test_doubt_is_said_before_the_result_with_what_it_means(context):
    said = text(replace(context, uncertain=True))
    assert said.index(UNCERTAIN) < said.index("Suspicious of malignancy Probability")
    assert UNCERTAIN_MEANING in said
    assert UNCERTAIN not in text(context)


def test_the_outlined_lesion_stands_beside_the_map_with_its_measures(context):
    outlined = replace(
        context,
        outlined_png=png(),
        measures=[("Longest diameter", "16.3 mm"), ("Area", "142.6 mm² (8.1 % of the image)")],
    )
    said = text(outlined)
    assert "Lesion as the model outlines it" in said
    assert "Longest diameter 16.3 mm" in said
    assert "Area 142.6 mm² (8.1 % of the image)" in said
    assert len(pages(report.render(outlined))) == 2
    assert "Lesion as the model" not in text(context)


def test_marked_places_are_listed_by_their_numbers(context):
    said = text(replace(context, outlined_png=png(), marks=[0.74, 0.31]))
    assert "Places that the model marks" in said
    assert "mark 1: 74 %, mark 2: 31 %" in said


def test_a_model_that_draws_no_map_shows_the_image_alone(context):
    said = text(replace(context, overlay_png=b""))
    assert "Image as received" in said
    assert "Where the model looked" not in said


def test_rebased_probabilities_name_the_prevalence_and_the_models_own(context):
    own = {"benign": 0.05, "malignant": 0.93, "normal": 0.02}
    said = text(replace(context, prevalence=0.08, own_probabilities=own))
    assert "re-based to this site's prevalence of malignancy of 8 %" in said
    assert "The model's own: malignant 93 %, benign 5 %, normal 2 %." in said
    assert "re-based" not in text(context)


def test_similar_cases_are_not_printed(context):
    """Whoever holds the paper cannot look them up; a number with an outcome would read as evidence."""
    assert not hasattr(context, "similar_cases")
    assert "imilar case" not in text(context)


def test_an_unsigned_report_is_preliminary_and_says_why(context):
    said = text(context)
    assert "PRELIMINARY AI only, not signed by a physician" in said
    assert "FINAL" not in said


def test_a_signed_report_is_final_and_names_who_signed_and_when(context):
    signed = replace(
        context, status="final", signed_by="Dr Nina Weiß", signed_at=datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
    )
    said = text(signed)
    assert "FINAL Signed by Dr Nina Weiß, 22 Nov 2026, 08:30 UTC+01:00 (Europe/Warsaw)" in said
    assert "PRELIMINARY" not in said


def test_a_superseded_report_says_do_not_use(context):
    assert "SUPERSEDED A later version replaces this report. Do not use this copy." in text(
        replace(context, status="superseded")
    )


def test_a_synthetic_patient_is_marked_on_every_page_and_a_real_one_nowhere(context):
    assert all("SYNTHETIC DATA" in page for page in pages(report.render(context)))
    assert "SYNTHETIC" not in text(replace(context, synthetic=False))


def test_failed_quality_is_said_beside_the_result_and_in_the_table(context):
    first, *_ = pages(report.render(context))
    assert "Not every check of image quality passed" in first
    assert "Sharpness 12.5 at least 30 NOT PASSED" in text(context)
    assert "Size of the image 300 at least 96 px passed" in text(context)


def test_a_probability_is_never_certain(context):
    said = text(
        replace(context, confidence=0.9999, probabilities={"malignant": 0.9999, "benign": 0.0001, "normal": 0.0})
    )
    assert "over 99 %" in said
    assert "under 1 %" in said
    assert "100 %" not in said


def test_every_page_names_the_patient_and_counts_the_pages(context):
    rendered = report.render(replace(context, clinical_history="Long history of many words. " * 280))
    found = pages(rendered)
    assert rendered.pages == len(found) > 2
    for number, page in enumerate(found, start=1):
        assert f"Page {number} of {len(found)}" in page
        assert f"Anna {FAMILY_NAME}, MRN MRN-001" in page


def test_a_long_history_flows_from_page_to_page_and_says_where_it_was_cut(context):
    short, cut = "word " * 1500 + "end.", "word " * 4000
    assert "word end." in text(replace(context, clinical_history=short))
    assert "Cut here: the record in the portal has the rest." in text(replace(context, clinical_history=cut))


@pytest.mark.parametrize(
    "name",
    ["Żółć", "Ümit", "Нина", "Ελένη", "Nguyễn Thị Ánh", "山田花子", "さくら アン", "김민준", "O'Brien & <Søn>"],
)
def test_a_name_comes_out_as_text_and_without_a_mark(context, name):
    rendered = report.render(replace(context, patient_name=name))
    said = " ".join(pages(rendered))
    assert said.count(name) >= 3
    assert report_fonts.MARK not in said


def test_simplified_chinese_comes_out_as_text_where_its_font_is_installed(context, settings):
    if not (settings.NODE_MODULES / report_fonts.CHINESE.regular).is_file():
        pytest.skip("the optional package of simplified Chinese is not installed")
    assert text(replace(context, patient_name="张伟")).count("张伟") >= 3


@pytest.mark.parametrize("name", ["عائشة", "עדי", "नीना", "Anna\u202eevil", "😀"])
def test_what_cannot_be_printed_is_marked_and_explained(context, name):
    said = text(replace(context, patient_name=name))
    assert report_fonts.MARK in said
    assert "A character that this report cannot print appears as" in said
    assert name not in said


def test_all_fonts_are_embedded(context):
    found = fonts(report.render(replace(context, patient_name="Anna 山田 김")).pdf)
    assert len(found) == 4
    assert all(found.values()), found


def test_both_images_the_code_and_no_other_picture_are_inside(context):
    sizes = set()
    for page in PdfReader(BytesIO(report.render(context).pdf)).pages:
        for reference in page["/Resources"].get("/XObject", {}).values():
            picture = reference.get_object()
            sizes.add((int(picture["/Width"]), int(picture["/Height"]), str(picture["/ColorSpace"])))
    assert {(400, 300, "/DeviceGray"), (400, 300, "/DeviceRGB")} <= sizes
    assert len(sizes) == 4  # the two images, the QR code, the single pixel that bars are made of


@pytest.mark.parametrize(("height", "width"), [(20, 3000), (3000, 20), (1, 1), (4000, 3000)])
def test_an_image_of_any_shape_fits_its_place(context, height, width):
    rendered = report.render(
        replace(
            context, image_png=png(height=height, width=width), overlay_png=png(height=height, width=width, colour=True)
        )
    )
    assert rendered.pages <= 3
    assert len(rendered.pdf) < 2_000_000


def test_missing_fields_are_said_to_be_missing(context):
    empty = replace(
        context, patient_name="", mrn="", birth_date=None, sex="", accession_number="", laterality="", view="",
        clinical_history="", device="", pixel_spacing="", requested_by="", image_name="", frame="", quality=[],
    )  # fmt: skip
    said = text(empty)
    for part in ("Patient not given", "Born not given", "None given.", "Device not given", "No check was recorded."):
        assert part in said


def test_very_long_fields_are_cut_visibly_and_do_not_break_the_page(context):
    rendered = report.render(replace(context, patient_name="W" * 400, mrn="9" * 400, image_name="x" * 400))
    said = " ".join(pages(rendered))
    assert said.count("[...]") >= 3
    assert "Page 1 of" in said


class _CountingHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.hits.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format, *args):
        """Print nothing."""


@pytest.fixture
def outside():
    """An HTTP server that remembers who asked."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _CountingHandler)
    server.hits = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def _hostile(port: int, secret: str) -> list[str]:
    return [
        f'<img src="http://127.0.0.1:{port}/img">',
        f'<img src="file://{secret}">',
        f'<img src="{secret}">',
        f'<pdf:insertpdf src="{secret}">',
        f"<style>@import url(http://127.0.0.1:{port}/css);</style>",
        f'<p style="background: url(http://127.0.0.1:{port}/bg)">x</p>',
        "{% include 'base.html' %}{{ settings.SECRET_KEY }}",
        "<pdf:nextpage>",
        "&lt;b&gt;",
    ]


def test_markup_in_a_record_is_printed_and_never_obeyed(context, outside, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP-SECRET", encoding="utf-8")
    for hostile in _hostile(outside.server_port, str(secret)):
        rendered = report.render(replace(context, patient_name=hostile, clinical_history=hostile, device=hostile))
        said = "".join(pages(rendered)).replace(" ", "")
        assert said.count(hostile.replace(" ", "")) >= 3
        assert "TOP-SECRET" not in said
        assert rendered.pages == 2
    assert outside.hits == []


def test_even_a_template_that_names_other_sources_gets_none(context, outside, tmp_path, monkeypatch):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(height=77, width=91))
    for source in (f"http://127.0.0.1:{outside.server_port}/x.png", secret.as_uri(), str(secret)):
        markup = f'<img src="{source}"><p style="background-image: url({source})">Text</p>'
        monkeypatch.setattr(report, "render_to_string", lambda *_, markup=markup: markup)
        try:
            pdf = report.render(context).pdf
        except report.ReportError:
            continue
        assert all(not page.images for page in PdfReader(BytesIO(pdf)).pages)
    assert outside.hits == []


def test_the_policy_alone_refuses_files_and_the_network(outside, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png())
    with pytest.raises(ResourceAccessError):
        report.POLICY.check_path(secret)
    with pytest.raises(ResourceAccessError):
        report.POLICY.check_url(f"http://127.0.0.1:{outside.server_port}/")


@pytest.mark.parametrize(
    "name", [FAMILY_NAME, f"{FAMILY_NAME} عائشة 😀", f"<img src='{FAMILY_NAME}.png'>{FAMILY_NAME}"]
)
def test_nothing_of_the_patient_reaches_a_log_at_any_level(context, name, caplog, capfd):
    for logger in ("", "xhtml2pdf", "xhtml2pdf.context", "xhtml2pdf.document", "reportlab", "PIL", "fontTools"):
        caplog.set_level(logging.DEBUG, logger=logger)
    report.render(replace(context, patient_name=name, clinical_history=name, image_name=name, device=name))
    printed = capfd.readouterr()
    assert FAMILY_NAME not in caplog.text + printed.out + printed.err
    assert "PRELIMINARY" not in caplog.text + printed.out + printed.err


def test_a_failure_is_a_sentence_without_the_patient_and_without_the_cause(context, caplog, capfd, monkeypatch):
    caplog.set_level(logging.DEBUG)

    def burst(html, *_, **__):
        raise RuntimeError(f"cannot lay out {html}")

    monkeypatch.setattr(report, "pisaDocument", burst)
    with pytest.raises(report.ReportError) as caught:
        report.render(context)
    assert "ask for the report again" in str(caught.value)
    assert "RuntimeError in burst" in caught.value.__notes__[0]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    printed = capfd.readouterr()
    assert FAMILY_NAME not in str(caught.value) + caplog.text + printed.out + printed.err


@pytest.mark.parametrize("field", ["image_png", "overlay_png"])
def test_a_broken_image_is_a_report_error_not_a_report_without_the_image(context, field):
    with pytest.raises(report.ReportError):
        report.render(replace(context, **{field: b"not an image"}))


def test_missing_fonts_are_said_with_what_to_run(context, settings, tmp_path):
    settings.NODE_MODULES = tmp_path
    with pytest.raises(report.ReportError, match="npm ci"):
        report.render(context)


def test_the_digest_is_of_the_bytes_and_the_same_context_gives_the_same_bytes(context):
    first, second = report.render(context), report.render(context)
    assert first.sha256 == hashlib.sha256(first.pdf).hexdigest()
    assert first.pdf == second.pdf


def test_properties_of_the_file_name_the_report_and_not_the_patient(context):
    reader = PdfReader(BytesIO(report.render(context).pdf))
    assert reader.metadata.title == "Report 1042"
    assert reader.metadata.creation_date == context.generated_at
    assert reader.trailer["/Root"]["/Lang"] == "en"
    assert not any(FAMILY_NAME in str(value) or "MRN-001" in str(value) for value in reader.metadata.values())
