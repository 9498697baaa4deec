"""A colleague is invited: from the administrator's form over the e-mail to their own first page."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.end_to_end.browser import Visitor
from tests.end_to_end.demonstration_site import ADMINISTRATOR, PASSWORD
from tests.end_to_end.processes import Site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]
ADDRESS = "invited@demo.local"
OWN_PASSWORD = "a quiet river in november"


def links(folder: Path) -> list[str]:
    """The links in the e-mails to the invited person, in the order in which the worker sent them."""
    found = []
    for file in sorted(folder.glob("*.log"), key=lambda one: one.stat().st_mtime):
        for text in file.read_bytes().split(b"-" * 79):
            message = message_from_bytes(text.lstrip(), policy=policy.default)
            if message["To"] == ADDRESS:
                body = message.get_body(("plain",))
                assert body is not None
                found += re.findall(r"https?://\S+/password/reset/key/\S+", body.get_content())
    return found


def test_the_newest_link_opens_the_site_and_an_older_one_nothing(browser: Browser, hospital: Site) -> None:
    adrian = Visitor.arrive(browser, hospital.url)
    adrian.sign_in(ADMINISTRATOR, PASSWORD)
    page, mails = adrian.page, hospital.data / "mail"
    adrian.go("/users/new/")
    page.get_by_label("Given name").fill("Ingrid")
    page.get_by_label("Family name").fill("Invited")
    page.get_by_label("E-mail address").fill(ADDRESS)
    page.get_by_label("Role").select_option("radiologist")
    page.get_by_label("By an e-mail with a link").check()
    page.get_by_role("button", name="Create user").click()
    expect(page.get_by_text(f"a link is on its way to {ADDRESS}")).to_be_visible()
    wait_until(lambda: len(links(mails)) == 1, what="the invitation", seconds=60)
    page.get_by_role("button", name="Send the link again").click()
    wait_until(lambda: len(links(mails)) == 2, what="the second invitation", seconds=60)
    former, newest = (hospital.url + re.sub(r"^https?://[^/]+", "", link) for link in links(mails))

    ingrid = Visitor.arrive(browser, hospital.url)
    ingrid.page.goto(former)
    expect(ingrid.page.get_by_text("This link no longer works")).to_be_visible()
    ingrid.page.goto(newest)
    ingrid.page.fill("input[name=password1]", OWN_PASSWORD)
    ingrid.page.fill("input[name=password2]", OWN_PASSWORD)
    ingrid.page.get_by_role("button", name="Save the new password").click()
    ingrid.page.wait_for_load_state()
    ingrid.sign_in(ADDRESS, OWN_PASSWORD)
    expect(ingrid.page.locator("h1")).to_have_text("Reading")

    adrian.go("/users/?active=invited")
    expect(page.get_by_text("Nobody found")).to_be_visible()
    for visitor in (adrian, ingrid):
        assert visitor.unexpected == []
        visitor.leave()
