"""The bell in a real browser: by keyboard, refreshed by itself, in both themes, on a telephone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Request

from tests.end_to_end.browser import PHONE, THEMES, Visitor
from tests.end_to_end.processes import ROOT, Site

pytestmark = pytest.mark.browser
EMAIL = "rachel@test.local"
BELL = "/notifications/bell/"
POLL_MS = 46_000
"""A little longer than static/js/bell.js waits."""


@pytest.fixture(scope="module")
def clinic(tmp_path_factory) -> Iterator[Site]:
    """A site with one radiologist and no patient."""
    if not (ROOT / "node_modules" / "htmx.org").is_dir():
        pytest.skip("the browser libraries are not installed (make setup)")
    running = Site(tmp_path_factory.mktemp("clinic"))
    collected = running.manage("collectstatic", "--noinput", "--verbosity", "0")
    assert collected.returncode == 0, collected.stderr
    running.prepare()
    try:
        running.start()
        yield running
    finally:
        running.end()


@pytest.fixture
def rachel(clinic, browser: Browser) -> Iterator[Visitor]:
    """Signed in, with everything read."""
    visitor = Visitor.arrive(browser, clinic.url)
    visitor.sign_in(EMAIL, clinic.password)
    do(clinic, "actions.mark_read(acting_user=rachel)")
    visitor.go("/patients/")
    yield visitor
    assert visitor.unexpected == []
    visitor.leave()


def do(clinic: Site, *lines: str) -> None:
    """Call verbs, as a worker does it."""
    done = clinic.manage(
        "shell",
        "--no-imports",
        "--command",
        "\n".join(
            (
                "from accounts import actions",
                "from accounts.models import User",
                f"rachel = User.objects.get(email={EMAIL!r})",
                *lines,
            )
        ),
    )
    assert done.returncode == 0, done.stderr


def tell(clinic: Site, *texts: str) -> None:
    do(
        clinic,
        f"for text in {texts!r}:",
        "    actions.notify('result_ready', users=[rachel], text=text, path='/notifications/choices/')",
    )


def name_of_the_bell(visitor: Visitor) -> str:
    """What a screen reader says."""
    return " ".join((visitor.page.locator("#bell .visually-hidden").first.text_content() or "").split())


def test_the_number_comes_by_itself_and_is_no_activity(clinic, rachel):
    page, asked = rachel.page, list[Request]()
    page.clock.install()
    page.reload()
    page.on("request", lambda request: asked.append(request) if request.url == clinic.url + BELL else None)
    assert name_of_the_bell(rachel) == "Notifications, none unread"
    tell(clinic, "A result is ready.", "Another is ready.")

    page.clock.fast_forward(POLL_MS)

    page.locator("[data-bell-count]", has_text="2").wait_for()
    assert name_of_the_bell(rachel) == "Notifications, 2 unread"
    assert page.locator("[data-bell-news]").text_content() == "2 unread notifications"
    assert {request.headers.get("x-background") for request in asked} == {"1"}


def test_a_session_that_has_ended_is_asked_no_more(clinic, rachel):
    page, asked = rachel.page, list[Request]()
    page.clock.install()
    page.reload()
    rachel.context.clear_cookies()
    page.on("request", lambda request: asked.append(request) if request.url == clinic.url + BELL else None)
    for _ in range(3):
        page.clock.fast_forward(POLL_MS)
        page.wait_for_timeout(300)
    assert len(asked) == 1
    assert page.url.endswith("/patients/")


def test_by_keyboard_alone(clinic, rachel):
    tell(clinic, "Read this by keyboard.", "And this.")
    page = rachel.page
    page.reload()
    page.locator("#bell").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Unread: And this.").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "Mark all as read"
    page.keyboard.press("Tab")
    assert "And this." in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    page.wait_for_url("**/notifications/choices/")
    assert name_of_the_bell(rachel) == "Notifications, 1 unread"

    page.locator("#bell").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Mark all as read").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Mark all as read").wait_for(state="detached")
    assert name_of_the_bell(rachel) == "Notifications, none unread"
    assert page.evaluate("document.activeElement.outerHTML").startswith('<a class="bell')
    page.keyboard.press("Escape")
    page.locator("#bell-panel").wait_for(state="hidden")


@pytest.mark.parametrize("theme", THEMES)
def test_the_panel_has_no_barrier_and_fits_a_telephone(clinic, rachel, theme):
    tell(clinic, "A result with a line that is long enough to need two of them on a telephone.")
    rachel.resize(PHONE)
    rachel.wear(theme)
    rachel.page.reload()
    rachel.page.locator("#bell").click()
    rachel.page.get_by_role("link", name="All notifications").wait_for()

    box = rachel.page.locator("#bell-panel").bounding_box()

    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]
    assert rachel.overflow == 0, rachel.wide_elements()
    assert rachel.barriers() == []
