"""Collects what a report says: from the rows and files of one analysis to a ``ReportContext``."""

from __future__ import annotations

import cv2
import numpy as np
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from diagnosis import overlay
from diagnosis.models import Report
from diagnosis.report import ReportContext
from diagnosis.wording import area_words, diameter_words


def of(row: Report) -> ReportContext:
    """Return the context of a report row; reads the image and its map from storage.

    Raises:
        FileNotFoundError: when a stored file is gone.
        ValueError: when a stored file cannot be decoded, or the analysis has no result.
    """
    analysis = row.analysis
    confidence, probabilities, suspicion = analysis.confidence, analysis.probabilities, analysis.suspicion
    if confidence is None or probabilities is None or suspicion is None or analysis.finished_at is None:
        raise ValueError("Only an analysis with a result has a report.")
    conclusion = row.assessment
    image = analysis.image
    study = image.study
    patient = study.patient
    with image.file.open("rb") as file:
        image_png = file.read()
    pixels = _decoded(image_png)
    overlay_png = outlined_png = b""
    if analysis.explanation:
        with analysis.explanation.open("rb") as file:
            overlay_png = overlay.composite_png(pixels, _decoded(file.read()))
    lesion = analysis.lesion
    if lesion or analysis.marks:
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
        confidence=confidence,
        probabilities=probabilities,
        suspicion=suspicion,
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


def _decoded(png: bytes) -> np.ndarray:
    """Return the pixels of a stored PNG in OpenCV's order of channels."""
    pixels = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("A stored image could not be decoded.")
    return pixels
