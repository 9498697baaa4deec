"""Celery tasks: thin. A task claims its job, does it, and hands the end to ``diagnosis.actions``."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from diagnosis import actions, inference, packaging, report, report_context
from diagnosis.models import Analysis, DeidentifiedExport, Report, ShadowReading
from ml.contract import ModelError
from portal import jobs, rounds
from portal.job_task import job_task
from portal.jobs import Claim


@job_task(
    Analysis,
    fail=actions.fail_analysis,
    failure_message="The analysis stopped because of a fault on our side. The image is stored. Try again; "
    "if it fails again, tell IT.",
)
def analyse(claim: Claim) -> None:
    """RUNNING -> SUCCEEDED, REJECTED or FAILED."""
    analysis = Analysis.objects.select_related("image__study").get(pk=claim.pk)
    claim.extend(stage="analysing the image")
    image = analysis.image
    try:
        result = inference.analyse(
            image.file,
            modality=image.study.modality,
            row_spacing_mm=image.row_spacing_mm,
            column_spacing_mm=image.column_spacing_mm,
        )
    except inference.NoModelForModality as missing:
        actions.reject_analysis(claim=claim, code=actions.NO_MODEL, reason=str(missing))
        return
    except ModelError as error:
        actions.fail_analysis(
            claim=claim,
            code=error.code,
            message="The model could not be used, so no score was made. The image is stored. "
            "Tell IT; when the model is repaired, press retry.",
            detail=f"{error} {error.remedy}",
        )
        return
    actions.record_outcome(
        claim=claim,
        outcome=result.outcome,
        explanation=result.explanation,
        lesion=result.lesion,
        prevalence=result.prevalence,
        own_probabilities=result.own_probabilities,
    )


@job_task(
    Report,
    fail=actions.fail_report,
    failure_message="The report could not be made because of a fault on our side. The result is stored; "
    "ask for the report again.",
)
def render_report(claim: Claim) -> None:
    """RUNNING -> SUCCEEDED or FAILED."""
    row = Report.objects.select_related("analysis__image__study__patient", "analysis__image__uploaded_by").get(
        pk=claim.pk
    )
    claim.extend(stage="rendering the report")
    rendered = report.render(report_context.of(row))
    actions.record_report(claim=claim, pdf=rendered.pdf, sha256=rendered.sha256, page_count=rendered.pages)


@job_task(ShadowReading, fail=actions.fail_shadow_reading, failure_message="The candidate could not read this image.")
def read_in_shadow(claim: Claim) -> None:
    """RUNNING -> SUCCEEDED, REJECTED or FAILED. The analysis that it is compared with is not touched."""
    reading = ShadowReading.objects.select_related("model", "analysis__image__study").get(pk=claim.pk)
    claim.extend(stage="reading in the shadow")
    image = reading.analysis.image
    try:
        # The map and the lesion are drawn too, and dropped: run times are compared with those of the model in use.
        result = inference.analyse(
            image.file,
            modality=image.study.modality,
            row_spacing_mm=image.row_spacing_mm,
            column_spacing_mm=image.column_spacing_mm,
            version=reading.model,
        )
    except ModelError as error:
        actions.fail_shadow_reading(
            claim=claim,
            code=error.code,
            message="The candidate could not be used.",
            detail=f"{error} {error.remedy}",
        )
        return
    actions.record_shadow_reading(claim=claim, outcome=result.outcome)


SLICE_SECONDS = 15.0
"""How long a package holds the worker before it lets whoever waits go first."""
PACKING_SECONDS = 900
"""Longest time to pack and store the largest package there is."""


@job_task(
    DeidentifiedExport,
    fail=actions.fail_export,
    failure_message="The package could not be made because of a fault on our side. Nothing left the house. Ask for it "
    "again; if it fails again, tell IT.",
    seconds=PACKING_SECONDS,
)
def export_deidentified(claim: Claim) -> None:
    """RUNNING -> SUCCEEDED or FAILED, or back to QUEUED with a few more images made."""
    export = DeidentifiedExport.objects.get(pk=claim.pk)
    claim.extend(stage="cleaning the images")
    if not packaging.make_parts(export, seconds=SLICE_SECONDS):
        claim.postpone(until=timezone.now())
        return
    claim.extend(stage="packing")
    try:
        packed = packaging.pack_parts(export)
    except packaging.TooLarge as refusal:
        actions.fail_export(claim=claim, code="too_large", message=str(refusal), detail="")
        return
    if packed.image_count == 0:
        actions.fail_export(
            claim=claim,
            code="nothing_left",
            message="No image of these studies could be packed. The reasons are listed below.",
            detail="",
            left_out=packed.left_out,
        )
        return
    stored = actions.record_export(
        claim=claim,
        package=packed.file,
        sha256=packed.sha256,
        image_count=packed.image_count,
        left_out=packed.left_out,
    )
    if stored:
        actions.clear_work(export)


jobs.register(Analysis, on_abandoned=actions.abandon_analysis)
jobs.register(Report, on_abandoned=actions.abandon_report)
jobs.register(ShadowReading, on_abandoned=actions.abandon_shadow_reading)
jobs.register(DeidentifiedExport, on_abandoned=actions.abandon_export)
rounds.register("erasures that were interrupted", actions.finish_erasures, every=timedelta(minutes=1))
rounds.register("packages past their time", actions.expire_exports, every=timedelta(minutes=1))
