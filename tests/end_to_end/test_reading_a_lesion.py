"""The outline of a lesion, the marks of a detector and the doubt of a model, in a real browser."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.browser import DESKTOP, PHONE, THEMES, Visitor
from tests.end_to_end.demonstration_site import PASSWORD, RADIOLOGIST
from tests.end_to_end.processes import Site
from tests.end_to_end.result_pages import filed

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def found(hospital: Site) -> dict[str, str]:
    """Addresses of results that no model was run for."""
    return filed(hospital)


@pytest.fixture
def rosa(browser: Browser, hospital: Site):
    """The radiologist, signed in; nothing unexpected may stand in her browser's console."""
    visitor = Visitor.arrive(browser, hospital.url)
    visitor.sign_in(RADIOLOGIST, PASSWORD)
    yield visitor
    assert visitor.unexpected == []
    visitor.leave()


def cyan(page: Page) -> int:
    """How many pixels of the viewer have the colour of the outline."""
    shot = Image.open(io.BytesIO(page.locator('[data-pane="main"]').screenshot(animations="disabled"))).convert("RGB")
    red, green, blue = np.moveaxis(np.asarray(shot, np.int16), 2, 0)
    return int(((blue > 140) & (green > 120) & (blue - red > 60)).sum())


def test_the_outline_is_shown_hidden_and_faded_by_button_key_and_slider(rosa: Visitor, found: dict[str, str]) -> None:
    rosa.go(found["outlined"])
    page, outline = rosa.page, rosa.page.locator("[data-outline-shape]")
    button = page.locator('[data-act="outline"]')
    page.locator('[data-pane="main"]').focus()
    page.keyboard.press("m")
    expect(outline).to_be_visible()
    expect(button).to_have_attribute("aria-pressed", "true")
    shown = cyan(page)
    assert shown > 200

    page.keyboard.press("o")
    expect(outline).to_be_hidden()
    expect(button).to_have_attribute("aria-pressed", "false")
    assert cyan(page) < shown / 10
    button.click()
    expect(outline).to_be_visible()

    page.locator("#outline-opacity").fill("0")
    assert cyan(page) < shown / 10
    page.keyboard.press("0")
    expect(page.locator("[data-outline-words]")).to_have_text("90 %")
    page.keyboard.press("{")
    expect(page.locator("[data-outline-words]")).to_have_text("80 %")
    page.keyboard.press("}")
    expect(page.locator("[data-outline-words]")).to_have_text("90 %")


def test_the_outline_stays_on_its_place_when_the_image_moves_and_grows(rosa: Visitor, found: dict[str, str]) -> None:
    rosa.go(found["outlined"])
    page = rosa.page

    def place() -> dict[str, float]:
        """Of the outline, relative to the image and in parts of its width."""
        line: dict[str, float] = page.evaluate(
            """() => {
                const of = (selector) => document.querySelector(selector).getBoundingClientRect();
                const image = of('[data-pane="main"] [data-base]');
                const line = of('[data-outline-shape] path:last-child');
                return {
                    x: (line.x - image.x) / image.width,
                    y: (line.y - image.y) / image.height,
                    width: line.width / image.width,
                };
            }"""
        )
        return line

    page.locator('[data-pane="main"]').focus()
    fitted = place()
    for key in ("+", "+", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    assert place() == pytest.approx(fitted, abs=0.01)


def test_marks_are_numbered_circles_that_a_key_hides(rosa: Visitor, found: dict[str, str]) -> None:
    rosa.go(found["marked"])
    page, marks = rosa.page, rosa.page.locator("[data-mark-shapes] text")
    expect(marks).to_have_text(["1", "2"])
    expect(page.locator('[data-act="outline"]')).to_be_hidden()
    page.locator('[data-pane="main"]').focus()
    page.keyboard.press("k")
    expect(page.locator("[data-mark-shapes]")).to_be_hidden()
    page.keyboard.press("k")
    expect(page.locator("[data-mark-shapes]")).to_be_visible()
    expect(page.locator("#analysis-panel")).to_contain_text("never orders the worklist")


def test_an_image_without_a_lesion_offers_no_outline(rosa: Visitor, found: dict[str, str]) -> None:
    rosa.go(found["refused"])
    page = rosa.page
    expect(page.locator("[data-lesion-controls]")).to_be_hidden()
    page.locator('[data-pane="main"]').focus()
    for key in ("o", "k", "{", "}"):
        page.keyboard.press(key)
    expect(page.locator("[data-outline-layer]")).to_be_hidden()
    expect(page.locator("#analysis-panel")).to_contain_text("What to do")


def test_these_pages_put_no_barrier_in_anyones_way(rosa: Visitor, found: dict[str, str]) -> None:
    barriers = []
    for name in ("outlined", "marked", "refused", "mammogram"):
        for size in (DESKTOP, PHONE):
            rosa.resize(size)
            rosa.go(found[name])
            rosa.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            for theme in THEMES:
                rosa.wear(theme)
                barriers += [f"{name}, {theme}: {barrier}" for barrier in rosa.barriers()]
            assert rosa.overflow == 0, (name, rosa.wide_elements())
    assert not barriers, "\n".join(barriers)
