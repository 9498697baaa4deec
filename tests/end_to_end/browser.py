"""Headless Chromium for the tests and for the screenshots: who is signed in, what went wrong, what axe says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
THEMES = ("light", "dark")
SERIOUS = frozenset({"serious", "critical"})
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
"""What a system package calls the browser."""

AXE = Axe()


def executable() -> str | None:
    """The browser that the system's packages installed, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser.

    Raises:
        FileNotFoundError: when no browser is installed; the message says which packages have one.
    """
    path = executable()
    if path is None:
        raise FileNotFoundError(f"No browser is installed: none of {', '.join(NAMES)} is on the PATH.")
    playwright: Playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Visitor:
    """One person's browser: a page of a context of its own, and everything that the browser complained about."""

    url: str
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """Parts of complaints that belong to what is being tested, such as the 415 of a refused file."""
    email: str = ""
    """Who this is; empty before they sign in."""

    @classmethod
    def arrive(cls, browser: Browser, url: str, *, theme: str = "light", size: dict[str, int] | None = None) -> Visitor:
        """A fresh browser without cookies, on no page yet."""
        context = browser.new_context(
            base_url=url,
            viewport=size or DESKTOP,  # type: ignore[arg-type]  a TypedDict with the same two keys
            color_scheme=theme,  # type: ignore[arg-type]  one of THEMES
            locale="en-GB",
            timezone_id="UTC",
            accept_downloads=True,
            reduced_motion="reduce",
        )
        page = context.new_page()
        visitor = cls(url=url.rstrip("/"), context=context, page=page)
        visitor.listen_to(page)
        return visitor

    def listen_to(self, page: Page) -> None:
        """Note what goes wrong on a page; the first page of a visitor is listened to already."""
        # The policy's breaches are console errors too, but not those that a later script swallows.
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " (event) => console.error('CSP ' + event.violatedDirective + ' ' + event.blockedURI))"
        )
        page.on("console", lambda message: self._console(message))
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} {message.location.get('url', '')}")

    @property
    def unexpected(self) -> list[str]:
        return [one for one in self.complaints if not any(part in one for part in self.expected)]

    def go(self, path: str) -> None:
        """Open a page of the site and wait until its images and parts are there."""
        self.page.goto(self.url + path)
        self.page.wait_for_load_state("load")

    def sign_in(self, email: str, password: str) -> None:
        self.go("/account/login/")
        self.page.fill("input[name=login]", email)
        self.page.fill("input[name=password]", password)
        self.page.click("main button[type=submit]")
        self.page.wait_for_url(lambda address: "/account/login/" not in address)
        self.email = email

    def sign_out(self) -> None:
        menu = self.page.locator(".navbar-toggler")
        if menu.is_visible():
            menu.click()
        self.page.locator("button.dropdown-toggle", has_text="Theme").locator("xpath=../following-sibling::li").locator(
            "button.dropdown-toggle"
        ).click()
        self.page.get_by_role("button", name="Sign out").click()
        self.page.wait_for_url("**/account/login/")

    def wear(self, theme: str) -> None:
        """The theme of a person who follows the system, changed without a reload."""
        self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  one of THEMES
        if self.page.url.startswith(self.url):
            self.page.wait_for_function("theme => document.documentElement.dataset.bsTheme === theme", arg=theme)
            # Two frames later every element wears it.
            self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def resize(self, size: dict[str, int]) -> None:
        self.page.set_viewport_size(size)  # type: ignore[arg-type]  a TypedDict with the same two keys

    @property
    def overflow(self) -> int:
        """How many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def wide_elements(self) -> list[str]:
        """What sticks out to the right, for the message of a failed test."""
        found: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll('body *')]
                 .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
                 .slice(0, 8)
                 .map((one) => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 40)}`)"""
        )
        return found

    def barriers(self) -> list[str]:
        """axe's serious and critical findings on this page, one sentence each."""
        answer: dict[str, Any] = AXE.run(self.page).response
        return [
            f"{rule['id']} ({rule['impact']}): {node['html'][:160]} {node.get('failureSummary', '')[:240]}"
            for rule in answer["violations"]
            if rule["impact"] in SERIOUS
            for node in rule["nodes"]
        ]

    def leave(self) -> None:
        self.context.close()
