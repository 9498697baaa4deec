"""Files that a radiologist may drop on a page, and the events by which a page receives them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import date

import cv2
from playwright.sync_api import JSHandle, Page

from diagnosis import phantom
from tests.fixture_images import good_dicom


@dataclass(frozen=True, slots=True)
class File:
    name: str
    content: bytes
    media_type: str = "application/octet-stream"


def png(name: str, kind: phantom.Kind, *, seed: int) -> File:
    """A phantom image without a word about whose it is."""
    done, encoded = cv2.imencode(".png", phantom.generate(kind, seed=seed).pixels)
    assert done
    return File(name, encoded.tobytes(), "image/png")


def dicom(
    name: str, kind: phantom.Kind, *, seed: int, mrn: str, given_name: str, family_name: str, birth_date: date
) -> File:
    """A phantom image as a scanner sends it, with the identity of a patient, of a left breast."""
    content = good_dicom(
        seed=seed,
        pixels=phantom.generate(kind, seed=seed).pixels,
        patient_id=mrn,
        given_name=given_name,
        family_name=family_name,
        birth_date=birth_date,
        sex="F",
        laterality="L",
    )
    return File(name, content, "application/dicom")


def _transfer(page: Page, files: list[File]) -> JSHandle:
    """A DataTransfer that holds the files, as the browser makes one for a drag from the desktop."""
    return page.evaluate_handle(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, type, content] of files) {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type }));
            }
            return transfer;
        }""",
        [[file.name, file.media_type, base64.b64encode(file.content).decode("ascii")] for file in files],
    )


def drop(page: Page, selector: str, files: list[File]) -> None:
    """Drag the files over an element and let go."""
    transfer = _transfer(page, files)
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(selector, event, {"dataTransfer": transfer})


def paste(page: Page, file: File) -> None:
    """What Ctrl-V does with a picture on the clipboard."""
    page.evaluate(
        """(transfer) => document.body.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }))""",
        _transfer(page, [file]),
    )
