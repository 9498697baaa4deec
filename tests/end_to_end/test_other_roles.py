"""The other people of the house in a browser: who lets people in, who keeps it running, and whom it is for."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from portal.demonstration import CASES
from tests.end_to_end.browser import Visitor
from tests.end_to_end.demonstration_site import ADMINISTRATOR, IT_STAFF, PASSWORD, PATIENT, RADIOLOGIST
from tests.end_to_end.processes import Site
from tests.end_to_end.screens import addresses

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PATIENT_WORDS = [word for case in CASES for word in (case.mrn, f"{case.given_name} {case.family_name}", case.question)]
PAGES_AT_MOST = 400
"""The crawl ends by itself long before; this ends it if a page makes up addresses."""


@pytest.fixture
def arrive(browser: Browser, hospital: Site):
    """``arrive(email)``: that person, signed in."""
    here: list[Visitor] = []

    def signed_in(email: str, password: str = PASSWORD) -> Visitor:
        visitor = Visitor.arrive(browser, hospital.url)
        here.append(visitor)
        visitor.sign_in(email, password)
        return visitor

    yield signed_in
    for visitor in here:
        assert visitor.unexpected == []
        visitor.leave()


def test_an_administrator_lets_a_locum_in_and_out_again(arrive) -> None:
    adrian = arrive(ADMINISTRATOR)
    page = adrian.page
    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_role("link", name="New user").click()
    page.get_by_label("Given name").fill("Lovisa")
    page.get_by_label("Family name").fill("Ångström")
    page.get_by_label("E-mail address").fill("locum@demo.local")
    page.get_by_label("Role").select_option("radiologist")
    page.get_by_role("button", name="Create user").click()
    password = page.locator("#password").inner_text().strip()
    assert len(password) >= 12

    lovisa = arrive("locum@demo.local", password)
    expect(lovisa.page.locator("h1")).to_have_text("Reading")

    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Lovisa Ångström").click()
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_text("Lovisa Ångström is switched off.")).to_be_visible()
    page.get_by_role("link", name="Users", exact=True).first.click()
    expect(page.locator("tr", has_text="Ångström")).to_contain_text("Switched off")

    lovisa.go("/patients/")
    assert "/account/login/" in lovisa.page.url
    assert CASES[0].mrn not in lovisa.page.content()


def test_it_staff_meet_no_patient_on_any_page_that_they_can_reach(arrive) -> None:
    """Every link is followed from the first page on, Django's admin site and its lists included; not every order of
    a list."""
    ines = arrive(IT_STAFF)
    ines.expected = ("status of 40", "status of 503")
    waiting, visited = ["/"], set()
    while waiting:
        path = waiting.pop()
        if path in visited:
            continue
        visited.add(path)
        assert len(visited) <= PAGES_AT_MOST, sorted(visited)
        answer = ines.page.request.get(path)
        if answer.status != 200 or "text/html" not in answer.headers.get("content-type", ""):
            continue
        html = answer.text()
        named = [word for word in PATIENT_WORDS if word in html]
        assert named == [], f"{path} names {named}"
        for link in re.findall(r'href="([^"]+)"', html):
            target = urlsplit(urljoin(ines.url + path, link.replace("&amp;", "&")))
            inside = f"{target.scheme}://{target.netloc}" == ines.url
            if inside and not target.path.startswith("/static/") and "logout" not in target.path:
                waiting.append(target.path)
    assert {"/", "/users/", "/models/", "/admin/"} <= visited


def test_it_staff_who_know_an_address_learn_nothing_from_it(arrive) -> None:
    rosa = arrive(RADIOLOGIST)
    known = addresses(rosa)
    ines = arrive(IT_STAFF)
    for path in (known["patient"], known["study"], known["result"], f"{known['result']}explanation.png"):
        answer = ines.page.request.get(path)
        assert answer.status == 404, path
        assert not any(word in answer.text() for word in PATIENT_WORDS)
    for path in ("/patients/", "/history/", "/history/export.csv"):
        answer = ines.page.request.get(path)
        assert answer.status in (403, 404), path
        assert not any(word in answer.text() for word in PATIENT_WORDS)


def test_a_patient_sees_what_was_released_and_no_score_of_what_was_not(arrive) -> None:
    """Three of their images are analysed; a doctor has signed one report."""
    zofia = arrive(PATIENT)
    expect(zofia.page.locator("h1")).to_have_text("Your reports")
    expect(zofia.page.get_by_role("link", name="Read the letter")).to_have_count(1)
    words = zofia.page.locator("main").inner_text().lower()
    for scored in ("malignant", "benign", "suspicion", "confidence", "probability"):
        assert scored not in words
    entries = ["Home", "Messages", "Appointments", "Who looked", "Consent and data"]
    assert zofia.page.locator(".site-entries a").all_inner_texts() == entries
