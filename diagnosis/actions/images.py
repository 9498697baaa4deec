"""Images are filed in a study."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Patient, User
from accounts.permissions import require
from diagnosis.actions.steps import WrongState, no_file_left_on_error, reopen
from diagnosis.intake import IntakeRejected, Limits, Received, Upload, compare_identity, receive, safe_filename
from diagnosis.models import Analysis, Image, Study, View
from diagnosis.upload_limits import require_clean
from portal import jobs

LONGEST_SUFFIX = 5
"""Characters of the end of a file name that the ledger keeps."""


class IdentityMismatch(Exception):
    """The file names another patient, side or modality than the record. Nothing was stored.

    Attributes:
        differences: ``diagnosis.intake.Difference`` each, to be shown and confirmed.
    """

    def __init__(self, differences: tuple[Any, ...]) -> None:
        super().__init__(
            "The file and the record disagree: "
            + " ".join(difference.sentence for difference in differences)
            + " Nothing was stored. Check the patient, then confirm to file it here all the same."
        )
        self.differences = differences


@dataclass(frozen=True, slots=True)
class Filed:
    """What became of one uploaded file.

    Attributes:
        image: the stored image; for a duplicate the one that was there before.
        duplicate: the same bytes (and frame) were already on this patient's record; nothing was stored or analysed.
    """

    image: Image
    duplicate: bool


def add_image(
    *,
    acting_user: User | None,
    study: Study,
    upload: Upload | bytes,
    filename: str,
    declared_type: str = "",
    laterality: str = "",
    view: str = "",
    frame: int | None = None,
    confirm_differences: bool = False,
    limits: Limits | None = None,
) -> Filed:
    """Take one file in: parse, compare with the record, store, enqueue its analysis.

    Raises:
        IntakeRejected: the file is not one we take; nothing is stored, the refusal is in the ledger.
        IdentityMismatch: the file disagrees with the record and ``confirm_differences`` is false; nothing is stored.
        WrongState: the study is signed.
    """
    if acting_user is not None:
        require(acting_user, "image", "add")
    patient = study.patient
    if study.is_frozen:
        raise WrongState("The study is signed: nothing can be added to it. Make a new study.")
    try:
        require_clean(upload)
        received = receive(
            upload, filename=filename, declared_type=declared_type, frame=frame, limits=limits or Limits()
        )
    except IntakeRejected as rejection:
        audit.record(
            "image.refused",
            actor=acting_user,
            target=study,
            patient=patient,
            code=rejection.code,
            suffix=_suffix(filename),
        )
        raise
    present = _already_filed(acting_user=acting_user, study=study, received=received)
    if present is not None:
        return Filed(image=present, duplicate=True)
    differences = compare_identity(
        received,
        mrn=patient.mrn,
        given_name=patient.given_name,
        family_name=patient.family_name,
        birth_date=patient.birth_date,
        sex=patient.sex,
        modality=study.modality,
        laterality=laterality or study.laterality,
    )
    if differences and not confirm_differences:
        audit.record(
            "image.mismatch_shown",
            actor=acting_user,
            target=study,
            patient=patient,
            fields=[difference.field for difference in differences],
        )
        raise IdentityMismatch(differences)
    original = None
    if received.keep_original:
        original = upload if isinstance(upload, bytes) else _whole(upload)
    return _file_image(
        acting_user=acting_user,
        study=study,
        received=received,
        original=original,
        byte_size=len(upload) if isinstance(upload, bytes) else upload.seek(0, os.SEEK_END),
        filename=safe_filename(filename),
        laterality=laterality,
        view=view,
        differences=[
            {"field": one.field, "in_file": one.in_file, "on_record": one.on_record, "sentence": one.sentence}
            for one in differences
        ],
        confirmed_by=acting_user if differences else None,
    )


def _suffix(filename: str) -> str:
    """The kind that a file's name claims. The name itself often is the patient's, and is not kept."""
    suffix = safe_filename(filename).rpartition(".")[2].lower()
    return suffix if suffix.isascii() and suffix.isalnum() and len(suffix) <= LONGEST_SUFFIX else ""


def _aware(moment: datetime | None) -> datetime | None:
    """Read a scanner's local time, which states no offset, as the site's."""
    if moment is None or timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment)


def _whole(upload: Upload) -> bytes:
    upload.seek(0)
    return upload.read()


def _already_filed(*, acting_user: User | None, study: Study, received: Received) -> Image | None:
    """The same image on the same record. One in a study that the person may not see is not shown: theirs is filed."""
    images = Image.objects.all() if acting_user is None else Image.objects.visible_to(acting_user)
    return (
        images.filter(study__patient_id=study.patient_id, sha256=received.sha256, frame_index=received.frame_index)
        .select_related("analysis", "study")
        .first()
    )


def _file_image(
    *,
    acting_user: User | None,
    study: Study,
    received: Received,
    original: bytes | None,
    byte_size: int,
    filename: str,
    laterality: str,
    view: str,
    differences: list[dict[str, str]],
    confirmed_by: User | None,
) -> Filed:
    spacing = received.pixel_spacing_mm or (None, None)
    image = Image(
        study=study,
        original_name=filename,
        source_format=received.source_format,
        sha256=received.sha256,
        pixels_sha256=hashlib.sha256(received.png).hexdigest(),
        byte_size=byte_size,
        width=received.width,
        height=received.height,
        frame_index=received.frame_index,
        frame_count=received.frame_count,
        laterality=laterality or received.laterality or study.laterality,
        view=view or (received.view if received.view in View.values else ""),
        row_spacing_mm=spacing[0],
        column_spacing_mm=spacing[1],
        study_instance_uid=received.study_instance_uid,
        sop_instance_uid=received.sop_instance_uid,
        device=received.device[:200],
        acquired_at=_aware(received.acquired_at),
        differences=differences,
        differences_confirmed_by=confirmed_by,
        uploaded_by=acting_user,
    )
    with no_file_left_on_error() as written, transaction.atomic():
        # One upload a patient at a time decides whether the bytes are there already (PostgreSQL; SQLite's
        # IMMEDIATE transaction has the same effect).
        Patient.objects.select_for_update(no_key=True).get(pk=study.patient_id)
        present = _already_filed(acting_user=acting_user, study=study, received=received)
        if present is not None:
            return Filed(image=present, duplicate=True)
        # It may have been given to another team since it was read; its analysis takes over the team.
        study.refresh_from_db(fields=["team"])
        image.also_on_other_record = Image.objects.filter(sha256=received.sha256).exists()
        image.file.save("", ContentFile(received.png), save=False)
        written.append(image.file)
        if original is not None:
            image.original.save("", ContentFile(original), save=False)
            written.append(image.original)
        image.save(force_insert=True)
        if received.study_instance_uid and not study.study_instance_uid:
            Study.objects.filter(pk=study.pk, study_instance_uid="").update(
                study_instance_uid=received.study_instance_uid
            )
        analysis = Analysis(image=image)
        analysis.save(force_insert=True)
        reopen(study)
        audit.record(
            "image.filed",
            actor=acting_user,
            target=image,
            patient=study.patient,
            sha256=image.sha256,
            confirmed=[one["field"] for one in differences],
        )
        jobs.publish(analysis)
    return Filed(image=image, duplicate=False)


def add_frame(*, acting_user: User, image: Image, frame: int, limits: Limits | None = None) -> Filed:
    """Analyse another frame of a file that is on the record already; what was confirmed stays confirmed, and shown."""
    require(acting_user, "image", "add")
    study = image.study
    if study.is_frozen:
        raise WrongState("The study is signed: nothing can be added to it. Make a new study.")
    if not image.original:
        raise WrongState("Only multi-frame DICOM files hold other frames.")
    with image.original.open("rb") as file:
        data = file.read()
    received = receive(data, filename=image.original_name, frame=frame, limits=limits or Limits())
    present = _already_filed(acting_user=acting_user, study=study, received=received)
    if present is not None:
        return Filed(image=present, duplicate=True)
    return _file_image(
        acting_user=acting_user,
        study=study,
        received=received,
        original=data,
        byte_size=len(data),
        filename=image.original_name,
        laterality=image.laterality,
        view=image.view,
        differences=image.differences,
        confirmed_by=image.differences_confirmed_by,
    )
