"""A patient and their telephone: from the printed sheet to the letter, by way of real mails of a real worker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from portal.demonstration import CASES
from tests.end_to_end.browser import PHONE, THEMES, Visitor
from tests.end_to_end.demonstration_site import PASSWORD, PATIENT, RADIOLOGIST
from tests.end_to_end.processes import Site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]

AMARA = next(case for case in CASES if case.mrn == "DEMO-0005")
EMAIL = "amara@home.test"
OWN_PASSWORD = "eleven quiet herons"
CONCLUSION = "Simple cyst behind the nipple, 9 mm."
SCORED = ("malignant", "suspicion", "confidence", "probability", "7 of 10")


@pytest.fixture
def arrive(browser: Browser, hospital: Site):
    """``arrive()``: a fresh browser on the site."""
    here: list[Visitor] = []

    def come(**options) -> Visitor:
        visitor = Visitor.arrive(browser, hospital.url, **options)
        here.append(visitor)
        return visitor

    yield come
    for visitor in here:
        assert visitor.unexpected == []
        visitor.leave()


def mails_to(folder: Path, address: str) -> list[str]:
    texts = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.log"))]
    return [text for text in texts if f"To: {address}" in text]


def released_by(page: Page) -> None:
    """Rosa concludes on the first image of the open study and releases the letter that is offered to her."""
    page.locator(".image-name").first.click()
    page.locator("#review").get_by_label("Appearance").select_option("benign")
    page.locator("#review").get_by_label("BI-RADS category").select_option("2")
    page.locator("#review textarea").fill(CONCLUSION)
    page.get_by_role("button", name="Save the conclusion").click()
    release = page.get_by_role("link", name="Write the letter and release")

    def is_there() -> bool:
        page.reload()
        return release.is_visible()

    wait_until(is_there, what="the final report", every=1)
    release.click()
    expect(page.locator("textarea")).to_have_value(re.compile("This letter tells you the result in plain words"))
    page.get_by_role("button", name="Release the report").click()
    expect(page.get_by_text("RELEASED", exact=True)).to_be_visible()


def is_fit(visitor: Visitor) -> None:
    """No page of the way is wider than the telephone, and none puts a barrier in the way."""
    assert visitor.overflow == 0, visitor.wide_elements()
    assert visitor.barriers() == []


def test_from_the_sheet_to_the_letter_on_a_telephone(arrive, hospital: Site) -> None:
    rosa = arrive()
    rosa.sign_in(RADIOLOGIST, PASSWORD)
    rosa.go(f"/patients/?q={AMARA.mrn}")
    rosa.page.locator("#results tbody th a").first.click()
    record = rosa.page.url
    rosa.page.locator(".list-panel tbody th a").last.click()
    released_by(rosa.page)
    rosa.page.goto(record)
    rosa.page.get_by_role("button", name="Invite to the portal").click()
    code = rosa.page.locator("#code").inner_text().strip()
    sheet = rosa.page.locator(".sheet").inner_text()
    assert f"{AMARA.given_name} {AMARA.family_name}" in sheet
    assert rosa.barriers() == []

    amara = arrive(size=PHONE)
    amara.expected = ("status of 422",)
    page = amara.page
    amara.go("/account/login/")
    page.get_by_role("link", name="Set up your access with its code").click()
    page.get_by_label("The code on your sheet").fill(code.lower().replace("-", " "))
    page.get_by_label("Your date of birth").fill("1990-09-06")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("do not open an invitation")).to_be_visible()
    is_fit(amara)
    page.get_by_label("Your date of birth").fill(AMARA.birth_date.isoformat())
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Your e-mail address").fill(EMAIL)
    is_fit(amara)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text(EMAIL)).to_be_visible()
    is_fit(amara)
    mail = wait_until(lambda: mails_to(hospital.data / "mail", EMAIL), what="the e-mail with the number")[0]
    page.get_by_label("The number from the e-mail").fill(re.search(r"Your number is: (\d{6})", mail)[1])
    page.get_by_label("Choose a password").fill(OWN_PASSWORD)
    page.get_by_label("The same password again").fill(OWN_PASSWORD)
    page.get_by_role("button", name="Finish").click()

    expect(page.locator("h1")).to_have_text("Consent and data")
    is_fit(amara)
    amara.go("/")
    expect(page.locator("h1")).to_have_text("Consent and data")
    page.get_by_role("button", name="Yes, I agree").first.click()
    amara.go("/")
    expect(page.locator("h1")).to_have_text("Your reports")
    page.get_by_role("link", name="Read the letter").click()
    letter = page.locator(".letter").inner_text()
    assert letter.startswith(f"Dear {AMARA.given_name} {AMARA.family_name},")
    assert "The result is good." in letter
    for theme in THEMES:
        amara.wear(theme)
        is_fit(amara)
    words = page.locator("main").inner_text().lower()
    assert not any(scored in words for scored in SCORED)
    expect(page.locator(".own-image img")).to_have_attribute("alt", re.compile("told in the letter above"))
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download the report (PDF)").click()
    assert Path(saved.value.path()).read_bytes().startswith(b"%PDF")

    rosa.page.goto(record)
    card = rosa.page.locator(".portal-card")
    expect(card).to_contain_text("Joined")
    expect(card).to_contain_text(EMAIL)
    assert mails_to(hospital.data / "mail", EMAIL)[0].count(AMARA.family_name) == 0


def test_the_demonstrations_patient_finds_letter_messages_and_appointment(arrive) -> None:
    zofia = arrive(size=PHONE)
    zofia.sign_in(PATIENT, PASSWORD)
    page = zofia.page
    expect(page.locator("h1")).to_have_text("Your reports")
    expect(page.get_by_text("Ultrasound of both breasts")).to_be_visible()
    page.get_by_role("link", name="Read the letter").first.click()
    expect(page.locator(".letter")).to_contain_text("The result is good.")
    for path in ("/own/messages/", "/own/appointments/", "/own/accesses/", "/own/consents/"):
        zofia.go(path)
        is_fit(zofia)
        words = page.locator("main").inner_text().lower()
        assert not any(scored in words for scored in SCORED), path
    zofia.go("/own/consents/")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download all my data").click()
    assert saved.value.suggested_filename.endswith(".zip")
    assert Path(saved.value.path()).read_bytes().startswith(b"PK")
