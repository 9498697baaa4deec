"""Photographs every page of the demonstration hospital: ``python -m tests.end_to_end.screenshots``.

The pictures go to docs/screenshots. Patients and images are synthetic. Each picture is reduced to few colours; the
command fails when one is too large.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect

from tests.end_to_end import demonstration_site, result_pages
from tests.end_to_end.browser import DESKTOP, PHONE, THEMES, Visitor, chromium
from tests.end_to_end.files_to_drop import File, dicom, drop, png
from tests.end_to_end.processes import ROOT
from tests.end_to_end.result_pages import SCREENS_OF_RESULTS
from tests.end_to_end.screens import SCREENS, Screen, addresses

FOLDER = ROOT / "docs" / "screenshots"
LARGEST_BYTES = 250_000
ALL_BYTES = 9_000_000
GOOD_BYTES = 150_000
"""An image full of speckle gets fewer colours until it is this small."""
COLOURS = (256, 128, 64, 48)
REPORT_DPI = 80


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="senolens-screenshots-") as folder:
        hospital = demonstration_site.opened(Path(folder))
        try:
            filed = result_pages.filed(hospital)
            with chromium() as browser:
                photograph_all(browser, hospital.url, filed)
        finally:
            hospital.end()
    sizes = {file.name: file.stat().st_size for file in sorted(FOLDER.glob("*.png"))}
    large = [f"{name} ({size} bytes)" for name, size in sizes.items() if size > LARGEST_BYTES]
    print(f"{len(sizes)} pictures, {sum(sizes.values()) / 1e6:.1f} MB, in {FOLDER}")
    if large or sum(sizes.values()) > ALL_BYTES:
        sys.exit(f"Too large: {', '.join(large) or 'all together'}.")


def photograph_all(browser: Browser, url: str, filed: dict[str, str]) -> None:
    """Every screen.

    Args:
        browser: headless.
        url: of the running hospital.
        filed: addresses of the results that no model was run for.
    """
    found: dict[str, str] = {}
    # The radiologist comes first: she finds the addresses of the case that is shown.
    for email in sorted(SCREENS, key=lambda one: one != demonstration_site.RADIOLOGIST):
        visitor = Visitor.arrive(browser, url)
        if email:
            visitor.sign_in(email, demonstration_site.PASSWORD)
        if not found:
            found = addresses(visitor)
            photograph_report(visitor, found["result"])
        for screen in (one for one in SCREENS[email] if one.kept):
            photograph(visitor, screen, screen.path.format(**found))
        if email == demonstration_site.RADIOLOGIST:
            photograph_side_by_side(visitor, found["result"])
            photograph_upload(visitor)
            for screen in SCREENS_OF_RESULTS:
                photograph(visitor, screen, screen.path.format(**filed))
        visitor.leave()


def photograph(visitor: Visitor, screen: Screen, path: str) -> None:
    """One page in both themes, and as a telephone shows it."""
    visitor.resize(DESKTOP)
    visitor.go(path)
    take(visitor, screen.name)
    if screen.small:
        visitor.resize(PHONE)
        visitor.go(path)
        take(visitor, f"{screen.name}-phone")


def take(visitor: Visitor, name: str) -> None:
    # The address field of a page that opens with its first field in hand would otherwise blink.
    visitor.page.wait_for_load_state("networkidle")
    for theme in THEMES:
        visitor.wear(theme)
        picture = visitor.page.screenshot(animations="disabled", caret="hide")
        keep(Image.open(io.BytesIO(picture)), f"{name}-{theme}.png")
    visitor.wear(THEMES[0])


def keep(picture: Image.Image, name: str) -> None:
    for colours in COLOURS:
        # Maximum coverage keeps the few coloured pixels of a mark; the median would spend all colours on the greys.
        reduced = picture.convert("RGB").quantize(colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        reduced.save(FOLDER / name, optimize=True)
        if (FOLDER / name).stat().st_size <= GOOD_BYTES:
            return


def photograph_side_by_side(visitor: Visitor, result: str) -> None:
    visitor.resize(DESKTOP)
    visitor.go(result)
    visitor.page.locator('[data-pane="main"]').focus()
    visitor.page.keyboard.press("s")
    expect(visitor.page.locator('[data-pane="plain"]')).to_be_visible()
    take(visitor, "result-side-by-side")


def photograph_upload(visitor: Visitor) -> None:
    """Files of every fate on a study: stored, already known, refused, and of another patient."""
    page = visitor.page
    visitor.go("/patients/?q=DEMO-0002")
    page.locator("#results tbody th a").first.click()
    page.locator(".list-panel tbody th a").first.click()
    good = png("left-breast-2.png", "fibroadenoma", seed=81)
    wrong = dicom(
        "IM-0007.dcm",
        "cyst",
        seed=82,
        mrn="DEMO-0999",
        given_name="Berta",
        family_name="Sommer",
        birth_date=date(1950, 1, 2),
    )
    letter = File("letter.png", b"Dear colleague, thank you for referring this patient.\n" * 9, "image/png")
    again = File("left-breast-2 copy.png", good.content, good.media_type)
    drop(page, "[data-drop-zone]", [good, wrong, letter, again])
    expect(page.locator(".upload-row .state-running, .upload-row .state-queued")).to_have_count(0)
    expect(page.locator(".image-card .result")).to_have_count(2)
    take(visitor, "upload")


def photograph_report(visitor: Visitor, result: str) -> None:
    """The first page of the printed report."""
    if shutil.which("pdftoppm") is None:
        sys.exit("pdftoppm is not installed: apt-get install poppler-utils")
    visitor.go(result)
    address = visitor.page.get_by_role("link", name="Open the report").get_attribute("href") or ""
    answer = visitor.page.request.get(address)
    drawn = subprocess.run(
        ["pdftoppm", "-png", "-r", str(REPORT_DPI), "-f", "1", "-l", "1", "-"],
        input=answer.body(),
        capture_output=True,
        check=True,
    )
    keep(Image.open(io.BytesIO(drawn.stdout)), "report.png")


if __name__ == "__main__":
    main()
