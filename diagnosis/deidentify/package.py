"""The package: each image cleaned into a part of its own, and all parts in one ZIP file with a list.

A part is made once and kept in the folder of the package, so that a worker that is killed, or lets others go first,
goes on where it was.
"""

from __future__ import annotations

import csv
import io
import os
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from accounts.spreadsheets import defused
from diagnosis import inference
from diagnosis.deidentify.image import as_dicom, as_png
from diagnosis.deidentify.pseudonyms import Pseudonyms
from diagnosis.dicom.elements import decimal, items
from diagnosis.dicom.reader import read_stored
from diagnosis.intake import IntakeRejected, Limits
from diagnosis.models import Image

OLDEST = 90
"""Completed years from which an age may point at a person: all above are given as this (45 CFR 164.514(b)(2)(i)(C))."""
MOST_BYTES = 2 * 1024**3
"""Of all parts of one package: what a worker packs and a person downloads within minutes."""
COLUMNS = (
    *("file", "patient", "study", "image", "modality", "laterality", "view", "age_years"),
    *("model_label", "model", "assessment", "birads", "known_outcome", "outcome_source"),
)
PRIVATE = 0o600
README = """This package was made without names: pseudonyms instead of names and numbers, dates moved by a secret number
of days for each patient, private and descriptive DICOM attributes removed (PS3.15 annex E, basic profile with clean
pixel data), everything outside the tissue blackened.

The cleaning of the pixels is automatic. It finds bright text, calipers and logos; faint letters written into the tissue
can escape it. Look at every image before you pass it on, and pass on only what the stated purpose needs.

manifest.csv lists the images. age_years is the age at the examination; 90 stands for 90 and more. Empty: not known.
Decision support, not a diagnosis: model_label is what a computer said, assessment what a radiologist said,
known_outcome what turned out to be so.
"""


class TooLarge(Exception):
    """The parts are more than one package can hold."""


@dataclass(frozen=True, slots=True)
class Part:
    """A cleaned image in the folder of its package, or the reason why there is none.

    Attributes:
        file: ``None``: left out.
        reason: empty, or why it was left out, without anything about the patient.
    """

    file: Path | None
    reason: str = ""


def made_part(folder: Path, image: Image) -> Part | None:
    """The part of an image if it was made or given up already."""
    for suffix in (".dcm", ".png"):
        file = folder / f"{image.pk}{suffix}"
        if file.exists():
            return Part(file=file)
    given_up = folder / f"{image.pk}.reason"
    return Part(file=None, reason=given_up.read_text(encoding="utf-8")) if given_up.exists() else None


def make_part(folder: Path, image: Image, *, pseudonyms: Pseudonyms) -> Part:
    """Clean one image into the folder. An image that cannot be cleaned with confidence is given up, with the reason."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        data, suffix = _cleaned(image, pseudonyms=pseudonyms)
    except inference.NotCleanable as refusal:
        return _give_up(folder, image, f"not cleaned with confidence: {refusal}")
    except IntakeRejected:
        return _give_up(folder, image, "the stored DICOM file could not be read")
    except FileNotFoundError:
        return _give_up(folder, image, "the stored file is missing")
    file = folder / f"{image.pk}{suffix}"
    _write(file, data)
    return Part(file=file)


def give_up(folder: Path, image: Image, reason: str) -> Part:
    """Note that an image does not go into the package, and remove its part if it was made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for suffix in (".dcm", ".png"):
        (folder / f"{image.pk}{suffix}").unlink(missing_ok=True)
    return _give_up(folder, image, reason)


def _give_up(folder: Path, image: Image, reason: str) -> Part:
    _write(folder / f"{image.pk}.reason", reason.encode())
    return Part(file=None, reason=reason)


def _write(file: Path, data: bytes) -> None:
    """Under its final name a part is always whole."""
    partial = file.with_name(f".partial-{uuid.uuid4().hex}")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as opened:
        opened.write(data)
    partial.replace(file)


def _cleaned(image: Image, *, pseudonyms: Pseudonyms) -> tuple[bytes, str]:
    with image.file.open("rb") as stored, Pillow.open(stored) as picture:
        shown = np.asarray(picture.convert("L" if picture.mode == "L" else "RGB"))
    if not image.original:
        kept = inference.tissue(shown, modality=image.study.modality)
        return as_png(shown, kept), ".png"
    with image.original.open("rb") as original:
        dataset, module, values = read_stored(original.read(), frame=image.frame_index, limits=Limits())
    kept = inference.tissue(shown, modality=image.study.modality, regions=_regions(dataset, shown.shape))
    if kept.shape != values.shape[:2]:
        raise inference.NotCleanable("the stored values have another size than the image that is shown")
    cleaned = as_dicom(
        dataset,
        values,
        shown,
        kept,
        module=module,
        frame=image.frame_index,
        pseudonyms=pseudonyms,
        patient=image.study.patient_id,
        label=pseudonyms.label("P", image.study.patient_id),
    )
    return cleaned, ".dcm"


def _regions(dataset: Any, shape: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Sequence of Ultrasound Regions (0018,6011), PS3.3 C.8.5.5: the corners of each, both inside the region."""
    found = []
    for region in items(dataset, "SequenceOfUltrasoundRegions"):
        corners = [decimal(region, f"RegionLocation{corner}") for corner in ("MinY0", "MinX0", "MaxY1", "MaxX1")]
        if all(corner is not None for corner in corners):
            top, left, bottom, right = (int(corner or 0) for corner in corners)
            box = (max(0, top), max(0, left), min(shape[0], bottom + 1), min(shape[1], right + 1))
            if box[0] < box[2] and box[1] < box[3]:
                found.append(box)
    return found


def pack(
    target: Path, parts: Iterable[tuple[Image, Part]], *, rows: Mapping[Any, Mapping[str, Any]], pseudonyms: Pseudonyms
) -> int:
    """Write the ZIP file; return how many images it holds.

    Args:
        rows: image key -> the columns of the list that come from the records.

    Raises:
        TooLarge: the parts are more than :data:`MOST_BYTES`.
    """
    packed, size = 0, 0
    listing = io.StringIO(newline="")
    writer = csv.DictWriter(listing, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    opened = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with open(opened, "w+b") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for image, part in parts:
            if part.file is None:
                continue
            size += part.file.stat().st_size
            if size > MOST_BYTES:
                raise TooLarge
            patient = pseudonyms.label("P", image.study.patient_id)
            study, name = pseudonyms.label("S", image.study_id), pseudonyms.label("I", image.pk)
            path = f"{patient}/{study}/{name}{part.file.suffix}"
            _add(archive, path, part.file.read_bytes())
            row = {"file": path, "patient": patient, "study": study, "image": name, **rows[image.pk]}
            writer.writerow({column: defused(row[column]) for column in COLUMNS})
            packed += 1
        _add(archive, "manifest.csv", listing.getvalue().encode())
        _add(archive, "README.txt", README.encode())
    return packed


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Without the time at which the part was made."""
    archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 1)
