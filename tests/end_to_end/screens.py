"""Every page of the house, by role: what the accessibility test visits and what the screenshots show."""

from __future__ import annotations

from dataclasses import dataclass

from portal.demonstration import RELEASED
from tests.end_to_end.browser import Visitor
from tests.end_to_end.demonstration_site import ADMINISTRATOR, IT_STAFF, PATIENT, RADIOLOGIST

CASE = "DEMO-0001"
"""The patient whose pages are shown: a mass on one side, nothing on the other."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A page.

    Attributes:
        name: of its screenshots.
        path: its address; ``{patient}``, ``{study}``, ``{result}``, ``{normal}`` and ``{code}`` stand for the case,
            ``{letter}`` for what is released of it.
        small: keep screenshots of a telephone too.
        refused: the status that this page answers with, where it is not 200.
        kept: a picture of it belongs into docs/screenshots.
    """

    name: str
    path: str
    small: bool = False
    refused: int = 0
    kept: bool = True


SCREENS: dict[str, tuple[Screen, ...]] = {
    "": (
        Screen("sign-in", "/account/login/", small=True),
        Screen("password-forgotten", "/account/password/reset/"),
        Screen("join", "/join/", small=True),
        Screen("verify", "/verify/{code}/", small=True),
        Screen("verify-unknown", "/verify/unknown-code/", refused=404),
    ),
    RADIOLOGIST: (
        Screen("reading", "/", small=True),
        Screen("patients", "/patients/", small=True),
        Screen("patients-none", "/patients/?q=nobody"),
        Screen("patient-new", "/patients/new/"),
        Screen("patient", "{patient}", small=True),
        Screen("patient-edit", "{patient}edit/"),
        Screen("study-new", "{patient}studies/new/"),
        Screen("study", "{study}", small=True),
        Screen("result", "{result}", small=True),
        Screen("result-normal", "{normal}"),
        Screen("history", "/history/", small=True),
        Screen("history-none", "/history/?q=nobody"),
        Screen("models", "/models/"),
        Screen("model-card", "{card}"),
        Screen("notifications", "/notifications/", small=True),
        Screen("notification-choices", "/notifications/choices/", kept=False),
        Screen("password-change", "/account/password/change/"),
        Screen("second-factor", "/account/2fa/", small=True),
        Screen("second-factor-app", "/account/2fa/app/add/", kept=False),
        Screen("second-factor-passkey", "/account/2fa/passkeys/add/", kept=False),
        Screen("sessions", "/account/sessions/", small=True),
        Screen("token-new", "/account/tokens/new/", kept=False),
        Screen("confirm-again", "/account/reauthenticate/"),
        Screen("not-found", "/no-such-page/", refused=404),
        Screen("forbidden", "/users/", refused=403),
    ),
    ADMINISTRATOR: (
        Screen("overview", "/", small=True),
        Screen("users", "/users/", small=True),
        Screen("user-new", "/users/new/", kept=False),
        Screen("teams", "/teams/"),
        Screen("team-new", "/teams/new/", kept=False),
        Screen("roles", "/roles/", small=True),
        Screen("emergency-access", "/emergency-access/"),
        Screen("user", "/users/1/", small=True),
        Screen("user-import", "/users/import/"),
        Screen("models-administrator", "/models/", small=True),
        Screen("model-card-administrator", "{card}", kept=False),
        Screen("model-here", "{card}here/"),
        Screen("studies", "/studies/", small=True),
        Screen("ledger", "/ledger/", small=True),
        Screen("ledger-none", "/ledger/?q=nothing-like-it", kept=False),
        Screen("record-accesses", "{patient}access/", small=True),
        Screen("exports", "/exports/", kept=False),
        Screen("export-new", "/exports/new/"),
        Screen("merge", "{patient}merge/", kept=False),
        Screen("split", "{patient}split/", kept=False),
        Screen("transfers", "{patient}transfers/", kept=False),
        Screen("erase", "{patient}erase/"),
    ),
    IT_STAFF: (
        Screen("operations", "/", small=True),
        Screen("operations-users", "/users/", kept=False),
        Screen("admin-site", "/admin/", small=True),
        Screen("admin-jobs", "/admin/diagnosis/analysis/", small=True),
        Screen("admin-mail", "/admin/accounts/outgoingmail/", kept=False),
        Screen("admin-ledger", "/admin/accounts/auditevent/", kept=False),
        Screen("ledger-metadata", "/ledger/", small=True),
        Screen("admin-settings", "/admin/settings/"),
    ),
    PATIENT: (
        Screen("patient-home", "/", small=True),
        Screen("patient-letter", "{letter}", small=True),
        Screen("patient-messages", "/own/messages/"),
        Screen("patient-appointments", "/own/appointments/"),
        Screen("patient-accesses", "/own/accesses/"),
        Screen("patient-consents", "/own/consents/"),
    ),
}


def addresses(radiologist: Visitor) -> dict[str, str]:
    """What stands for the placeholders of :class:`Screen`, found by clicking from page to page."""
    page, found = radiologist.page, {}

    def follow(name: str, selector: str) -> None:
        found[name] = page.locator(selector).first.get_attribute("href") or ""
        radiologist.go(found[name])

    radiologist.go(f"/patients/?q={CASE}")
    follow("patient", "#results tbody th a")
    # The seeded study is the oldest; tests may have added others.
    found["study"] = page.locator(".list-panel tbody th a").last.get_attribute("href") or ""
    radiologist.go(found["study"])
    images = page.locator(".image-name")
    found["result"], found["normal"] = (images.nth(place).get_attribute("href") or "" for place in (0, 1))
    radiologist.go(found["result"])
    verify = page.get_by_role("link", name="Check that it is genuine").get_attribute("href") or ""
    found["code"] = verify.strip("/").rsplit("/", 1)[1]
    # The patient's page of the report that the demonstration has released.
    radiologist.go(f"/history/?q={RELEASED.accession_number}")
    follow("released", "#history-results tbody a[href^='/analyses/']")
    report = page.get_by_role("link", name="Open the report").get_attribute("href") or ""
    found["letter"] = report.replace("/reports/", "/own/reports/").replace(".pdf", "/")
    radiologist.go("/models/")
    found["card"] = page.locator(".list-panel tbody a").first.get_attribute("href") or ""
    return found
