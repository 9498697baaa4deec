"""Collects what a report says: from the rows and files of one analysis to a ``ReportContext``."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from diagnosis import overlay
from diagnosis.models import Analysis, Report
from diagnosis.report_words import ReportContext
from diagnosis.wording import area_words, check_words, diameter_words
from portal.jobs import State


def of(row: Report, *, drawn: bool = True) -> ReportContext:
    """Return the context of a report row; reads the image and its map from storage.

    Args:
        drawn: with the pictures of what the model drew.

    Raises:
        FileNotFoundError: when a stored file is gone.
        ValueError: when a stored file cannot be decoded, or there is neither a result nor a conclusion.
    """
    analysis = row.analysis
    conclusion = row.assessment
    probabilities = analysis.probabilities
    if analysis.finished_at is None or (probabilities is None and conclusion is None):
        raise ValueError("Only an analysis with a result or with a conclusion has a report.")
    image = analysis.image
    study = image.study
    patient = study.patient
    with image.file.open("rb") as file:
        image_png = file.read()
    pixels = _decoded(image_png)
    overlay_png = outlined_png = b""
    if drawn and analysis.explanation:
        with analysis.explanation.open("rb") as file:
            overlay_png = overlay.composite_png(pixels, _decoded(file.read()))
    lesion = analysis.lesion
    if drawn and (lesion or analysis.marks):
        outlined_png = overlay.outlined_png(pixels, polygons=lesion["outline"] if lesion else (), marks=analysis.marks)
    measures = [("Longest diameter", diameter_words(lesion)), ("Area", area_words(lesion))] if lesion else []
    spacing = ""
    if image.row_spacing_mm and image.column_spacing_mm:
        spacing = f"{image.row_spacing_mm:.3f} x {image.column_spacing_mm:.3f} mm"
    return ReportContext(
        report_id=str(row.pk),
        version=row.version,
        status=row.status,
        verification_code=row.verification_code,
        verification_url=settings.PUBLIC_URL + reverse("verify", args=[row.verification_code]),
        site_name=settings.SITE_NAME,
        generated_at=timezone.now(),
        time_zone=settings.TIME_ZONE,
        synthetic=patient.synthetic,
        patient_name=patient.full_name,
        mrn=patient.mrn,
        birth_date=patient.birth_date,
        sex=patient.get_sex_display(),
        study_id=study.short_id,
        accession_number=study.accession_number,
        modality=study.get_modality_display(),
        laterality=image.get_laterality_display() if image.laterality else "",
        study_created_at=study.created_at,
        clinical_history=study.clinical_history,
        image_id=str(image.pk),
        image_name=image.original_name,
        image_sha256=image.sha256,
        image_width=image.width,
        image_height=image.height,
        frame=image.frame_words,
        device=image.device,
        view=image.get_view_display() if image.view else "",
        pixel_spacing=spacing,
        image_png=image_png,
        overlay_png=overlay_png,
        outlined_png=outlined_png,
        measures=measures,
        marks=[mark["score"] for mark in analysis.marks],
        label=analysis.label,
        no_result=() if probabilities else why_no_result(analysis),
        confidence=analysis.confidence,
        probabilities=probabilities or {},
        suspicion=analysis.suspicion,
        uncertain=analysis.uncertain,
        prevalence=analysis.prevalence,
        own_probabilities=analysis.own_probabilities,
        quality=[(check["name"], check["value"], check["limit"], check["passed"]) for check in analysis.quality],
        model_name=analysis.model_name,
        model_version=analysis.model_version,
        model_sha256=analysis.model_sha256,
        model_status=analysis.model_status,
        analysed_at=analysis.finished_at,
        conclusion=conclusion.conclusion if conclusion else "",
        reader_label=conclusion.label if conclusion else "",
        birads=conclusion.get_birads_display() if conclusion else "",
        signed_by=conclusion.reader.get_full_name() if conclusion else "",
        signed_at=conclusion.created_at if conclusion else None,
        requested_by=image.uploaded_by.get_full_name() if image.uploaded_by else "",
    )


def of_patient(row: Report) -> ReportContext:
    """Return the context of the patient's own copy: the letter, the conclusion, the image as it was taken.

    Nothing that a model said or drew is in it. The moments in it are those of the release, so that the same release
    gives the same bytes.

    Raises:
        FileNotFoundError: when the stored image is gone.
        ValueError: when it cannot be decoded, or the report is not released.
    """
    if not row.is_released or row.released_at is None or row.assessment is None:
        raise ValueError("Only a released report has a copy for the patient.")
    return replace(
        of(row, drawn=False),
        generated_at=row.released_at,
        letter=row.letter,
        released_at=row.released_at,
        no_result=(),
        label="",
        confidence=None,
        probabilities={},
        suspicion=None,
        uncertain=False,
        prevalence=None,
        own_probabilities=None,
        measures=(),
        marks=(),
        quality=(),
        model_name="",
        model_version="",
        model_sha256="",
        model_status="",
    )


def why_no_result(analysis: Analysis) -> list[str]:
    """Why the computer says nothing about an image whose analysis has ended: what refused it, or what went wrong."""
    if analysis.state == State.REJECTED:
        failed = [check_words(check["name"]) for check in analysis.quality if not check["passed"]]
        named = [f"Not passed: {', '.join(failed)}."] if failed else []
        return ["The image was refused before any score was made.", *named, *analysis.reasons]
    if analysis.state == State.CANCELLED:
        return ["The analysis was cancelled before it ended, so no score was made."]
    return [
        "The analysis stopped because of a fault of the system, so no score was made. It says nothing of the image."
    ]


def _decoded(png: bytes) -> np.ndarray:
    """Return the pixels of a stored PNG in OpenCV's order of channels."""
    pixels = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("A stored image could not be decoded.")
    return pixels
