"""Every page, for every role, in both themes and on a telephone: open to all, and without a fault in the console."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.end_to_end.browser import DESKTOP, PHONE, THEMES, Visitor
from tests.end_to_end.demonstration_site import PASSWORD, RADIOLOGIST
from tests.end_to_end.processes import Site
from tests.end_to_end.screens import SCREENS, addresses

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def found(browser: Browser, hospital: Site) -> dict[str, str]:
    """The addresses of the case that is shown."""
    radiologist = Visitor.arrive(browser, hospital.url)
    radiologist.sign_in(RADIOLOGIST, PASSWORD)
    places = addresses(radiologist)
    radiologist.leave()
    return places


@pytest.fixture(params=list(SCREENS), ids=lambda email: email.split("@")[0] or "nobody", scope="module")
def visitor(request: pytest.FixtureRequest, browser: Browser, hospital: Site):
    """Each role in turn, and nobody."""
    someone = Visitor.arrive(browser, hospital.url)
    if request.param:
        someone.sign_in(request.param, PASSWORD)
    yield someone
    someone.leave()


def test_no_page_puts_a_barrier_in_anyones_way(visitor: Visitor, found: dict[str, str]) -> None:
    barriers = []
    visitor.resize(DESKTOP)
    for screen in SCREENS[visitor.email]:
        visitor.go(screen.path.format(**found))
        for theme in THEMES:
            visitor.wear(theme)
            barriers += [f"{screen.name}, {theme}: {barrier}" for barrier in visitor.barriers()]
    assert not barriers, "\n".join(barriers)


def test_no_page_is_wider_than_a_telephone(visitor: Visitor, found: dict[str, str]) -> None:
    wide = []
    visitor.resize(PHONE)
    for screen in SCREENS[visitor.email]:
        visitor.go(screen.path.format(**found))
        if visitor.overflow:
            wide.append(f"{screen.name}: {visitor.overflow} pixels, {visitor.wide_elements()}")
        wide += [f"{screen.name}: {barrier}" for barrier in visitor.barriers()]
    assert not wide, "\n".join(wide)


def test_no_page_complains_in_the_console(visitor: Visitor, found: dict[str, str]) -> None:
    visitor.resize(DESKTOP)
    for screen in SCREENS[visitor.email]:
        visitor.complaints.clear()
        # The browser reports the refused page itself; anything beside it is a fault.
        visitor.expected = (f"status of {screen.refused}",) if screen.refused else ()
        answer = visitor.page.goto(visitor.url + screen.path.format(**found))
        assert answer is not None
        assert answer.status == (screen.refused or 200), screen.name
        visitor.page.wait_for_load_state("load")
        assert visitor.unexpected == [], screen.name
