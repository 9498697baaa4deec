"""What the house is for, by hand in a real browser against real processes: from a new patient to a printed report."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import Browser, Download, Locator, Page, expect

from diagnosis.wording import LABEL_PHRASES, percent
from tests.end_to_end.browser import PHONE, Visitor
from tests.end_to_end.demonstration_site import PASSWORD, RADIOLOGIST
from tests.end_to_end.files_to_drop import File, dicom, drop, paste, png
from tests.end_to_end.processes import Site

pytestmark = [pytest.mark.slow, pytest.mark.browser]

MRN, GIVEN, FAMILY, BORN = "E2E-4711", "Łucja", "Żółkiewska-Ørsted", date(1971, 4, 23)
NAME = f"{GIVEN} {FAMILY}"
REFUSED_UPLOADS = ("status of 409", "status of 415", "status of 400")
PATIENCE_MS = 30_000

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def rosa(browser: Browser, hospital: Site):
    """The radiologist, signed in; nothing unexpected may stand in her browser's console."""
    visitor = Visitor.arrive(browser, hospital.url)
    visitor.expected = REFUSED_UPLOADS
    visitor.sign_in(RADIOLOGIST, PASSWORD)
    yield visitor
    assert visitor.unexpected == []
    visitor.leave()


def test_a_radiologist_takes_a_new_patient_from_the_first_image_to_the_signed_out_screen(
    rosa: Visitor, hospital: Site, tmp_path: Path
) -> None:
    page = rosa.page
    puts_a_patient_on_record(page)
    begins_a_study(page)
    worker = hospital.worker_child()
    worker.suspend()
    try:
        drops_five_files_and_decides_about_each(page)
        waiting = opens_a_result_that_is_not_there_yet(rosa)
    finally:
        worker.resume()
    sees_the_result_arrive_by_itself(waiting)
    sees_the_cards_change_without_a_reload(page)
    analysis = finds_every_part_of_the_result_on_the_page(waiting)
    changes_the_map(waiting)
    works_the_viewer_by_keys(waiting)
    downloads_the_report(waiting, analysis, tmp_path)
    waiting.close()
    pastes_an_image(page)
    finds_them_in_the_history(page, analysis["prediction"]["label"], tmp_path)
    leaves_nothing_behind(rosa)


def puts_a_patient_on_record(page: Page) -> None:
    page.get_by_role("link", name="New patient").first.click()
    page.get_by_label("MRN").fill(MRN)
    page.get_by_label("Given name").fill(GIVEN)
    page.get_by_label("Family name").fill(FAMILY)
    page.get_by_label("Date of birth").fill(BORN.isoformat())
    page.get_by_label("Sex").select_option("F")
    page.get_by_label("Clinical history").fill("Żadnych operacji.")
    page.get_by_role("button", name="Put on record").click()
    expect(page.locator("h1")).to_contain_text(NAME)
    expect(page.get_by_text("No studies yet")).to_be_visible()


def begins_a_study(page: Page) -> None:
    page.get_by_role("link", name="New study", exact=True).click()
    page.get_by_label("Laterality").select_option("L")
    page.get_by_label("Clinical question").fill("Guzek, lewa pierś, godz. 2.")
    page.get_by_role("button", name="Create the study").click()
    expect(page.locator(".patient-banner")).to_contain_text(NAME)
    expect(page.locator(".patient-banner")).to_contain_text(MRN)
    expect(page.get_by_text("Guzek, lewa pierś")).to_be_visible()
    expect(page.get_by_text("No images yet")).to_be_visible()
    page.evaluate("window.neverReloaded = true")


def row(page: Page, name: str) -> Locator:
    return page.locator(".upload-row").filter(has=page.get_by_text(name, exact=True))


def drops_five_files_and_decides_about_each(page: Page) -> None:
    mass = png("mass.png", "mass", seed=47_001)
    hers = dicom("hers.dcm", "cyst", seed=47_002, mrn=MRN, given_name=GIVEN, family_name=FAMILY, birth_date=BORN)
    other = dicom(
        "other.dcm",
        "fibroadenoma",
        seed=47_003,
        mrn="E2E-9999",
        given_name="Berta",
        family_name="Sommer",
        birth_date=date(1950, 1, 2),
    )
    notes = File("notes.png", b"Lump on the left, two o'clock. Not an image.\n" * 20, "image/png")
    again = File("mass-again.png", mass.content, mass.media_type)
    drop(page, "[data-drop-zone]", [mass, hers, other, notes, again])

    expect(row(page, "mass.png").locator("[data-state]")).to_have_text("Stored and queued")
    expect(row(page, "hers.dcm").locator("[data-state]")).to_have_text("Stored and queued")
    expect(row(page, "notes.png").locator("[data-state]")).to_have_text("Refused")
    refusal = row(page, "notes.png").locator("[data-detail]").inner_text()
    assert refusal.strip().endswith("."), refusal
    assert len(refusal.split()) > 5, "a refusal is a sentence"
    expect(row(page, "mass-again.png").locator("[data-state]")).to_have_text("Already on record")
    expect(row(page, "mass-again.png")).to_contain_text("It is in this study already.")

    wrong = row(page, "other.dcm")
    expect(wrong.locator("[data-state]")).to_have_text("Does not match the record")
    for words in ("Sommer", "Berta", "E2E-9999", "1950-01-02", FAMILY, MRN, BORN.isoformat()):
        expect(wrong).to_contain_text(words)
    expect(wrong).to_contain_text("Nothing was stored yet.")
    wrong.get_by_role("button", name="File it here all the same").click()
    expect(wrong.locator("[data-state]")).to_have_text("Stored and queued")
    expect(page.locator("[data-upload-summary]")).to_have_text("4 of 5 on record, 1 refused.")

    cards = page.locator(".image-card")
    expect(cards).to_have_count(3)
    expect(cards.filter(has_text="other.dcm")).to_contain_text("Differs from the record, confirmed")
    expect(cards.locator(".state").first).to_have_text(re.compile("Waiting|Being analysed"))


def opens_a_result_that_is_not_there_yet(rosa: Visitor) -> Page:
    """In a second tab, as one does while the others come in."""
    address = rosa.page.locator(".image-card", has_text="mass.png").locator(".image-name").get_attribute("href")
    tab = rosa.context.new_page()
    rosa.listen_to(tab)
    tab.goto(f"{rosa.url}{address}")
    expect(tab.locator("#analysis-panel")).to_contain_text("The result appears here by itself.")
    expect(tab.get_by_role("button", name="Cancel the analysis")).to_be_visible()
    expect(tab.locator("[data-map]")).to_be_hidden()
    tab.evaluate("window.neverReloaded = true")
    return tab


def sees_the_result_arrive_by_itself(tab: Page) -> None:
    expect(tab.locator("#analysis-panel .result").first).to_be_visible()
    expect(tab.get_by_role("link", name="Open the report")).to_be_visible()
    expect(tab.locator("[data-map]")).to_be_visible()
    assert tab.evaluate("window.neverReloaded") is True


def sees_the_cards_change_without_a_reload(page: Page) -> None:
    expect(page.locator(".image-card .result")).to_have_count(3)
    assert page.evaluate("window.neverReloaded") is True


def finds_every_part_of_the_result_on_the_page(tab: Page) -> dict[str, Any]:
    """What the page says is what the API says."""
    key = tab.url.rstrip("/").rsplit("/", 1)[1]
    analysis: dict[str, Any] = tab.request.get(f"/api/v1/analyses/{key}/").json()
    prediction = analysis["prediction"]
    panel = tab.locator("#analysis-panel")
    expect(panel.locator(".result").first).to_have_text(LABEL_PHRASES[prediction["label"]])
    expect(panel).to_contain_text(f"{prediction['suspicion']} of 10")
    expect(panel).to_contain_text(f"Confidence {percent(prediction['confidence'])}", use_inner_text=True)
    for label, probability in prediction["probabilities"].items():
        line = panel.locator(".probabilities tr", has_text=label.capitalize())
        expect(line).to_contain_text(percent(probability))
    expect(panel).to_contain_text(f"all {len(analysis['quality']['checks'])} checks passed")
    expect(panel).to_contain_text(f"{analysis['model']['name']} {analysis['model']['version']}")
    expect(panel).to_contain_text("Decision support, not a diagnosis.")
    expect(tab.locator('[data-pane="main"] .corner-side')).to_have_text("Left")
    return analysis


def seen(tab: Page) -> Image.Image:
    """The pixels of the viewer, without the words on it."""
    whole = Image.open(io.BytesIO(tab.locator('[data-pane="main"]').screenshot(animations="disabled"))).convert("RGB")
    return whole.crop((0, 60, whole.width, whole.height - 60))


def colour(picture: Image.Image) -> float:
    """0 for greys, larger the more colour there is."""
    red, _, blue = picture.split()
    return float(ImageStat.Stat(ImageChops.difference(red, blue)).mean[0])


def changes_the_map(tab: Page) -> None:
    the_map, slider = tab.locator("[data-map]"), tab.locator("#map-opacity")
    assert the_map.evaluate("image => image.complete && image.naturalWidth > 0")
    expect(the_map).to_have_css("opacity", "0.5")
    half = colour(seen(tab))
    slider.fill("100")
    expect(the_map).to_have_css("opacity", "1")
    full = colour(seen(tab))
    slider.fill("0")
    expect(the_map).to_have_css("opacity", "0")
    none = colour(seen(tab))
    assert none < 1 < half < full, (none, half, full)
    slider.fill("50")
    tab.locator('[data-pane="main"]').focus()
    tab.keyboard.press("m")
    expect(the_map).to_be_hidden()
    tab.keyboard.press("m")
    expect(the_map).to_be_visible()
    tab.keyboard.press("]")
    expect(tab.locator("[data-opacity-words]")).to_have_text("55 %")


def works_the_viewer_by_keys(tab: Page) -> None:
    size, keyboard = tab.locator("[data-zoom]"), tab.keyboard
    keyboard.press("0")
    fitted = size.inner_text()
    keyboard.press("1")
    expect(size).to_have_text("100 %")
    keyboard.press("+")
    expect(size).to_have_text("125 %")
    keyboard.press("f")
    expect(size).to_have_text(fitted)

    keyboard.press("m")
    upright = ImageStat.Stat(seen(tab).convert("L"))
    keyboard.press("i")
    expect(tab.locator("[data-window]")).to_contain_text("inverted")
    inverted = ImageStat.Stat(seen(tab).convert("L"))
    # The ground beside the image stays black, so the two means do not add up to white; the difference is plain enough.
    assert abs(upright.mean[0] - inverted.mean[0]) > 5
    keyboard.press("0")
    expect(tab.locator("[data-window]")).not_to_contain_text("inverted")

    keyboard.press("s")
    expect(tab.locator('[data-pane="plain"]')).to_be_visible()
    keyboard.press("s")
    expect(tab.locator('[data-pane="plain"]')).to_be_hidden()
    keyboard.press("?")
    expect(tab.locator("#viewer-help")).to_be_visible()
    expect(tab.locator("#viewer-help")).to_contain_text("Invert black and white")
    keyboard.press("Escape")
    expect(tab.locator("#viewer-help")).to_be_hidden()

    before = tab.url
    keyboard.press("n")
    tab.wait_for_url(lambda address: address != before)
    tab.locator('[data-pane="main"]').focus()
    tab.keyboard.press("b")
    tab.wait_for_url(before)


def words_of(download: Download, folder: Path) -> str:
    """The text of a downloaded PDF."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed (apt-get install poppler-utils)")
    file = folder / download.suggested_filename
    download.save_as(file)
    assert file.read_bytes().startswith(b"%PDF-")
    return subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, text=True, check=True).stdout


def downloads_the_report(tab: Page, analysis: dict[str, Any], folder: Path) -> None:
    with tab.expect_download() as arriving:
        tab.get_by_role("link", name="Download").click()
    assert FAMILY not in arriving.value.suggested_filename
    assert MRN not in arriving.value.suggested_filename
    words = words_of(arriving.value, folder)
    for expected in (GIVEN, FAMILY, MRN, "PRELIMINARY", analysis["model"]["name"], analysis["model"]["version"]):
        assert expected in words
    tab.get_by_role("link", name="Check that it is genuine").click()
    expect(tab.get_by_text("Genuine and current")).to_be_visible()
    assert FAMILY not in tab.content().split("</nav>")[1]


def pastes_an_image(page: Page) -> None:
    paste(page, png("image.png", "normal", seed=47_004))
    expect(row(page, "image.png").locator("[data-state]")).to_have_text("Stored and queued")
    expect(page.locator(".image-card .result")).to_have_count(4)
    assert page.evaluate("window.neverReloaded") is True


def finds_them_in_the_history(page: Page, label: str, folder: Path) -> None:
    page.get_by_role("link", name="History", exact=True).click()
    page.wait_for_url("**/history/")
    # Without the letters that an English keyboard lacks.
    page.get_by_label("Name, MRN or accession number").fill("zolkiewska")
    page.wait_for_url(re.compile(r"/history/\?.*find=gAAAA"))
    rows = page.locator(".history-table tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.first).to_contain_text(FAMILY)

    page.get_by_label("Result").select_option(label)
    page.wait_for_url(re.compile(f"label={label}"))
    expect(rows.filter(has_text="mass.png")).to_have_count(1)
    shown = rows.count()
    page.reload()
    expect(rows).to_have_count(shown)
    expect(page.get_by_label("Result")).to_have_value(label)

    with page.expect_download() as arriving:
        page.get_by_role("link", name=re.compile("as CSV")).click()
    file = folder / "history.csv"
    arriving.value.save_as(file)
    lines = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8-sig"))))
    assert len(lines) == 1 + shown
    assert all(any(FAMILY in cell for cell in line) for line in lines[1:])


def leaves_nothing_behind(rosa: Visitor) -> None:
    page = rosa.page
    rosa.sign_out()
    page.go_back()
    page.wait_for_url("**/account/login/**")
    assert FAMILY not in page.content()


def test_images_are_added_and_read_on_a_telephone(rosa: Visitor) -> None:
    """From the patient's page, with the button: that makes the study of the day."""
    rosa.resize(PHONE)
    page = rosa.page
    rosa.go("/patients/?q=DEMO-0007")
    page.locator("#results tbody th a").first.click()
    image = png("telephone.png", "cyst", seed=47_010)
    page.locator("[data-files]").set_input_files(
        [{"name": image.name, "mimeType": image.media_type, "buffer": image.content}]
    )
    page.wait_for_url("**/studies/**")
    expect(page.locator(".image-card .result")).to_have_count(1)
    assert rosa.overflow == 0, rosa.wide_elements()
    page.locator(".image-link").click()
    expect(page.get_by_role("link", name="Open the report")).to_be_visible()
    # The viewer lays its image out once it has been decoded.
    expect(page.locator("[data-map]")).to_be_visible()
    assert rosa.overflow == 0, rosa.wide_elements()
    frame = page.locator('[data-pane="main"]').bounding_box()
    assert frame is not None
    assert frame["width"] > 0.85 * PHONE["width"], "the image is as wide as the telephone"
