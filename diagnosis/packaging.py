"""From the row of a de-identified package to its ZIP file: what the worker does, a slice at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from django.conf import settings

from accounts.models import Consent
from diagnosis.actions.privacy import work_folder
from diagnosis.deidentify import package
from diagnosis.deidentify.package import OLDEST, Part, give_up, made_part, make_part
from diagnosis.deidentify.pseudonyms import Pseudonyms
from diagnosis.models import DeidentifiedExport, Image, KnownOutcome

CONSENT_MISSING = "the patient's agreement was taken back meanwhile"


class TooLarge(Exception):
    """Words for the person who asked."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A package that is ready to be stored.

    Attributes:
        left_out: ``{"study", "image", "reason"}`` each, under the pseudonyms of the package.
    """

    file: Path
    sha256: str
    image_count: int
    left_out: list[dict[str, str]] = field(default_factory=list)


def _images(export: DeidentifiedExport) -> list[Image]:
    images = Image.objects.filter(study__in=export.studies.all()).select_related("study__patient", "analysis")
    return list(images.order_by("study_id", "created_at", "pk"))


def _who_agreed(images: list[Image]) -> set[Any] | None:
    """Patients who agree at this moment; ``None``: the site does not ask."""
    if not settings.EXPORT_NEEDS_CONSENT:
        return None
    agreed = Consent.objects.filter(purpose=Consent.Purpose.RESEARCH, withdrawn_at=None)
    return set(
        agreed.filter(patient__in={image.study.patient_id for image in images}).values_list("patient", flat=True)
    )


def make_parts(export: DeidentifiedExport, *, seconds: float) -> bool:
    """Clean images until all are, or the time is up; True when all are."""
    until = monotonic() + seconds
    folder, pseudonyms = work_folder(export), Pseudonyms(export.salt)
    images = _images(export)
    agreed = _who_agreed(images)
    for image in images:
        if agreed is not None and image.study.patient_id not in agreed:
            give_up(folder, image, CONSENT_MISSING)
        elif made_part(folder, image) is None:
            if monotonic() > until:
                return False
            make_part(folder, image, pseudonyms=pseudonyms)
    return True


def pack_parts(export: DeidentifiedExport) -> Packed:
    """Put the parts together.

    Raises:
        TooLarge: for one package.
    """
    folder, pseudonyms = work_folder(export), Pseudonyms(export.salt)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    images = _images(export)
    parts: list[tuple[Image, Part]] = [
        (image, made_part(folder, image) or make_part(folder, image, pseudonyms=pseudonyms)) for image in images
    ]
    target = folder / "package.zip"
    try:
        count = package.pack(target, parts, rows=_rows(images), pseudonyms=pseudonyms)
    except package.TooLarge as error:
        most = package.MOST_BYTES // 1024**3
        raise TooLarge(f"The images are more than {most} GB, which one package holds. Choose fewer studies.") from error
    with target.open("rb") as packed:
        digest = hashlib.file_digest(packed, "sha256").hexdigest()
    left_out = [
        {
            "study": pseudonyms.label("S", image.study_id),
            "image": pseudonyms.label("I", image.pk),
            "reason": part.reason,
        }
        for image, part in parts
        if part.file is None
    ]
    return Packed(file=target, sha256=digest, image_count=count, left_out=left_out)


def _rows(images: list[Image]) -> dict[Any, dict[str, Any]]:
    """What the list says about each image: nothing that names a person, a place or a day."""
    outcomes: dict[tuple[Any, str], KnownOutcome] = {}
    for outcome in KnownOutcome.objects.filter(study__in={image.study_id for image in images}).order_by(
        "entered_at", "pk"
    ):
        outcomes[(outcome.study_id, outcome.laterality)] = outcome
    found = {}
    for image in images:
        analysis = getattr(image, "analysis", None)
        assessment = analysis.own_conclusions().first() if analysis else None
        known = outcomes.get((image.study_id, image.laterality)) or outcomes.get((image.study_id, ""))
        found[image.pk] = {
            "modality": image.study.modality,
            "laterality": image.laterality,
            "view": image.view,
            "age_years": _age(image),
            "model_label": analysis.label if analysis else "",
            "model": f"{analysis.model_name} {analysis.model_version}".strip() if analysis else "",
            "assessment": assessment.label if assessment else "",
            "birads": assessment.birads if assessment else "",
            "known_outcome": known.label if known else "",
            "outcome_source": known.source if known else "",
        }
    return found


def _age(image: Image) -> int:
    """Completed years when the image was taken, at most :data:`OLDEST`."""
    born, day = image.study.patient.birth_date, (image.acquired_at or image.study.created_at).date()
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    return min(OLDEST, max(0, years))
