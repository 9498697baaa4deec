"""The charts of the dashboard in a browser: drawn from the tables, in the colours of the theme, without a complaint."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.browser import Visitor
from tests.end_to_end.demonstration_site import ADMINISTRATOR, PASSWORD
from tests.end_to_end.processes import Site

pytestmark = [pytest.mark.slow, pytest.mark.browser]

INKS = """
(canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const inks = new Set();
  for (let place = 0; place < pixels.length; place += 4) {
    if (pixels[place + 3] === 255) inks.add(pixels.slice(place, place + 3).join(","));
  }
  return [...inks];
}
"""
"""The solid colours on a canvas."""


@pytest.fixture
def adrian(browser: Browser, hospital: Site):
    """The administrator, signed in."""
    visitor = Visitor.arrive(browser, hospital.url)
    visitor.sign_in(ADMINISTRATOR, PASSWORD)
    yield visitor
    assert visitor.unexpected == []
    visitor.leave()


def inks(page: Page) -> list[set[str]]:
    return [set(canvas.evaluate(INKS)) for canvas in page.locator("figure[data-chart] canvas").all()]


def test_each_chart_is_drawn_and_drawn_again_in_the_other_theme(adrian: Visitor) -> None:
    adrian.go("/")
    page = adrian.page
    expect(page.locator("h1")).to_have_text("Dashboard")
    light = inks(page)
    assert len(light) == 3
    assert all(light), "nothing is drawn on one of them"
    adrian.wear("dark")
    dark = inks(page)
    assert all(before != after for before, after in zip(light, dark, strict=True))


def test_a_chart_has_a_bar_for_each_row_of_its_table(adrian: Visitor) -> None:
    adrian.go("/dashboard/?days=7")
    page = adrian.page
    rows = page.locator("#results-table tbody tr").count()
    drawn = page.evaluate(
        "() => Chart.getChart(document.querySelector('figure[data-table=results-table] canvas')).data.datasets[0].data"
    )
    numbers = page.locator("#results-table tbody td[data-value]").evaluate_all(
        "(cells) => cells.map((cell) => Number(cell.dataset.value))"
    )
    assert len(drawn) == rows
    assert drawn == numbers
    assert sum(drawn) > 0


def test_the_days_are_chosen_by_keyboard_and_kept_in_the_address(adrian: Visitor) -> None:
    adrian.go("/")
    page = adrian.page
    page.get_by_role("link", name="90 days").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**days=90")
    expect(page.locator(".range-choice [aria-current]")).to_have_text("90 days")
