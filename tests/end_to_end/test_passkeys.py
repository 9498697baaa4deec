"""Signing in and staying signed in, in a real browser: passkeys of a virtual authenticator, codes, and time-outs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
import requests
from allauth.mfa.totp.internal import auth as totp
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.end_to_end.browser import Visitor
from tests.end_to_end.processes import ROOT, Site, wait_until
from tests.fixture_sign_in import keep_off_the_edge

pytestmark = [pytest.mark.slow, pytest.mark.browser]
EMAIL = "rachel@test.local"
IDLE_SECONDS = 12.0
KEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def started(folder, **environment: str) -> Site:
    """A site of its own without a worker's work to do. The browser calls it localhost, where passkeys need no TLS."""
    if not (ROOT / "node_modules" / "htmx.org").is_dir():
        pytest.skip("the browser libraries are not installed (make setup)")
    site = Site(folder, **environment)
    try:
        collected = site.manage("collectstatic", "--noinput", "--verbosity", "0")
        assert collected.returncode == 0, collected.stderr
        site.prepare()
        site.start()
    except BaseException:
        site.end()
        raise
    return site


@pytest.fixture(scope="module")
def strict(tmp_path_factory) -> Iterator[Site]:
    """Radiologists need a second factor."""
    site = started(tmp_path_factory.mktemp("strict"), MFA_ROLES="radiologist")
    yield site
    site.end()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory) -> Iterator[Site]:
    """Sessions end after twelve seconds without activity."""
    site = started(tmp_path_factory.mktemp("hasty"), SESSION_IDLE_MINUTES=str(IDLE_SECONDS / 60))
    yield site
    site.end()


def visit(browser: Browser, site: Site) -> Visitor:
    visitor = Visitor.arrive(browser, f"http://localhost:{site.port}")
    visitor.page.set_default_timeout(20_000)
    return visitor


def give_password(visitor: Visitor, site: Site) -> None:
    visitor.go("/account/login/")
    visitor.page.fill("input[name=login]", EMAIL)
    visitor.page.fill("input[name=password]", site.password)
    visitor.page.get_by_role("button", name="Sign in", exact=True).click()


def plug_in_a_key(page: Page) -> CDPSession:
    """A passkey authenticator that says yes, as a telephone whose owner puts a finger on it."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
    return devtools


def test_a_passkey_is_added_as_the_role_demands_and_signs_in_by_itself(browser, strict):
    rachel = visit(browser, strict)
    page = rachel.page
    plug_in_a_key(page)
    give_password(rachel, strict)

    # The policy leads to the set-up from wherever.
    page.wait_for_url("**/account/2fa/")
    rachel.go("/patients/")
    expect(page).to_have_url(re.compile("/account/2fa/$"))
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Telephone")
    page.get_by_role("button", name="Add the passkey").click()
    page.wait_for_url("**/recovery-codes/")
    assert page.locator("#recovery-codes li").count() == 10
    rachel.go("/patients/")
    expect(page).to_have_url(re.compile("/patients/$"))

    # Out, and in again without a password.
    rachel.sign_out()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"http://localhost:{strict.port}/")
    rachel.go("/account/2fa/")
    expect(page.get_by_text("last used")).to_be_visible()

    # The password asks for it as the second step.
    rachel.sign_out()
    give_password(rachel, strict)
    page.wait_for_url("**/account/2fa/code/")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"http://localhost:{strict.port}/")

    # It is the last one: it cannot be removed.
    rachel.go("/account/2fa/")
    page.get_by_role("link", name="Remove Telephone").click()
    page.get_by_role("button", name="Remove the passkey").click()
    expect(page.get_by_text("this is your last one")).to_be_visible()
    assert rachel.barriers() == []
    assert rachel.unexpected == []
    rachel.leave()


def test_a_key_of_somebody_else_opens_nothing(browser, strict):
    stranger = visit(browser, strict)
    page = stranger.page
    plug_in_a_key(page)
    stranger.go("/account/login/")

    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.locator("[data-passkey-error]")).to_contain_text("Nothing was changed")
    stranger.go("/patients/")
    expect(page).to_have_url(re.compile("/account/login/"))
    stranger.leave()


def test_an_app_is_added_with_the_key_that_the_page_shows(browser, hasty):
    rachel = visit(browser, hasty)
    page = rachel.page
    give_password(rachel, hasty)
    page.wait_for_url(f"http://localhost:{hasty.port}/**")
    rachel.go("/account/2fa/app/add/")
    page.get_by_text("Cannot scan it?").click()
    secret = page.locator("#totp-secret").inner_text()

    page.get_by_label("Code that the app shows").fill(_shown(secret))
    page.get_by_role("button", name="Add the app").click()

    page.wait_for_url("**/recovery-codes/")
    assert rachel.unexpected == []
    rachel.go("/account/2fa/app/remove/")
    page.get_by_role("button", name="Remove the app").click()
    page.wait_for_url("**/account/2fa/")
    rachel.leave()


def _shown(secret: str) -> str:
    keep_off_the_edge(5)  # until the browser has typed and sent it
    return totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))


def test_the_session_warns_is_kept_by_the_keyboard_and_ends_with_a_blank_page_in_every_tab(browser, hasty):
    rachel = visit(browser, hasty)
    page = rachel.page
    give_password(rachel, hasty)
    page.wait_for_url(f"http://localhost:{hasty.port}/**")
    rachel.go("/patients/")
    second = rachel.context.new_page()
    second.goto(f"http://localhost:{hasty.port}/account/sessions/")

    # The bell of both pages polls all the while, and yet:
    dialog = page.get_by_role("dialog", name="Are you still there?")
    expect(dialog).to_be_visible(timeout=IDLE_SECONDS * 1000)
    expect(page.get_by_role("button", name="Stay signed in")).to_be_focused()
    assert rachel.barriers() == []
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(second.get_by_role("dialog")).to_be_hidden()
    assert second.request.get("/account/session/", headers={"X-Background": "1"}).json()["seconds"] > IDLE_SECONDS / 2

    # Nobody is there any more.
    expect(dialog).to_be_visible(timeout=IDLE_SECONDS * 1000)
    page.wait_for_url("**/account/login/?next=%2Fpatients%2F", timeout=IDLE_SECONDS * 1000)
    second.wait_for_url("**/account/login/?next=%2Faccount%2Fsessions%2F", timeout=IDLE_SECONDS * 1000)
    page.go_back()
    expect(page).to_have_url(re.compile("/account/login/"))
    assert [one for one in rachel.unexpected if "/account/session/" not in one] == []
    assert _timed_out(hasty) == 1

    # And in again, where she was.
    page.goto(f"http://localhost:{hasty.port}/account/login/?next=%2Fpatients%2F")
    page.fill("input[name=login]", EMAIL)
    page.fill("input[name=password]", hasty.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/patients/")
    rachel.leave()


def test_the_page_is_blank_before_anything_is_fetched(browser, hasty):
    """The server is out of reach when the time is over: what was on the screen is gone all the same."""
    rachel = visit(browser, hasty)
    page = rachel.page
    give_password(rachel, hasty)
    page.wait_for_url(f"http://localhost:{hasty.port}/**")
    rachel.go("/patients/")
    page.route("**/*", lambda route: None)  # never answered

    expect(page.get_by_role("heading", name="You were signed out")).to_be_visible(timeout=IDLE_SECONDS * 2000)

    assert page.title() == "Signed out"
    assert " ".join(page.locator("body").inner_text().split()) == "You were signed out Sign in again"
    assert page.locator("nav, table, footer, .demo-ribbon").count() == 0
    rachel.leave()


def test_keys_and_clicks_keep_the_session_without_a_request_of_the_page(browser, hasty):
    """Reading one picture for minutes: nothing is sent but that somebody is there."""
    rachel = visit(browser, hasty)
    page = rachel.page
    give_password(rachel, hasty)
    page.wait_for_url(f"http://localhost:{hasty.port}/**")
    rachel.go("/patients/")
    until = time.monotonic() + 2 * IDLE_SECONDS
    while time.monotonic() < until:
        page.keyboard.press("Shift")
        page.wait_for_timeout(1000)

    rachel.go("/account/sessions/")
    expect(page).to_have_url(re.compile("/account/sessions/"))
    rachel.leave()


def _timed_out(site: Site) -> int:
    counted = site.manage(
        "shell",
        "--no-imports",
        "--command",
        "from accounts.models import AuditEvent\nprint(AuditEvent.objects.filter(action='user.timed_out').count())",
    )
    return int(counted.stdout.split()[-1])


def test_two_web_processes_count_wrong_passwords_together(tmp_path):
    site = Site(tmp_path)
    site.prepare()
    try:
        site.start(workers=2)
        wait_until(lambda: len(site.web_children()) == 2, what="two web processes")
        statuses = []
        for number in range(24):
            # A connection of its own each time: the system gives it to either process.
            page = requests.Session()
            page.trust_env = False
            form = page.get(f"{site.url}/account/login/", timeout=20)
            token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', form.text)
            assert token is not None
            typed = {"login": EMAIL, "password": f"guess {number}", "csrfmiddlewaretoken": token[1]}
            statuses.append(page.post(f"{site.url}/account/login/", data=typed, timeout=20).status_code)
        assert statuses == [200] * 5 + [429] * 19
    finally:
        site.end()
