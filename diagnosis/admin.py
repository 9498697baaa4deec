"""The admin site for background work and models: technical rows. No patient, study, image or result is here."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin_rows import FilledValuesFilter, JobAdmin, RuleBroken, ShownAdmin, moment
from accounts.models import User
from diagnosis import actions
from diagnosis.models import Analysis, DeidentifiedExport, ModelVersion, Report, ShadowReading


class DiagnosisJobAdmin(JobAdmin):
    """Tried again and cancelled by ``diagnosis.actions``."""

    def retry_one(self, request: HttpRequest, row: Any) -> None:
        try:
            actions.retry_job(acting_user=User.objects.get(pk=request.user.pk), job=row)
        except actions.WrongState as wrong:
            raise RuleBroken(str(wrong)) from wrong

    def cancel_one(self, request: HttpRequest, row: Any) -> None:
        try:
            actions.cancel_job(acting_user=User.objects.get(pk=request.user.pk), job=row)
        except actions.WrongState as wrong:
            raise RuleBroken(str(wrong)) from wrong


@admin.register(Analysis)
class AnalysisAdmin(DiagnosisJobAdmin):
    about = "The reading of an image by a model."
    columns = (*JobAdmin.columns, "modality", "model_name", "model_version")
    list_display = (*JobAdmin.list_display, "modality", "model_version")
    list_filter = ("state", ("error_code", FilledValuesFilter), "modality")
    fields = (*JobAdmin.fields, "modality", "model_name", "model_version")


@admin.register(Report)
class ReportAdmin(DiagnosisJobAdmin):
    about = "The rendering of a report as PDF."


@admin.register(ShadowReading)
class ShadowReadingAdmin(DiagnosisJobAdmin):
    about = "The reading of an image by a model that is tried unseen."


@admin.register(DeidentifiedExport)
class DeidentifiedExportAdmin(DiagnosisJobAdmin):
    title = "De-identified packages"
    about = "The packing of studies without names."
    columns = (*JobAdmin.columns, "byte_size", "image_count", "expires_at")
    list_display = (*JobAdmin.list_display, "image_count", "byte_size")
    fields = (*JobAdmin.fields, "image_count", "byte_size", "expires_at")


@admin.register(ModelVersion)
class ModelVersionAdmin(ShownAdmin):
    """What is installed. Which model reads is chosen on the models page, by two administrators."""

    target = "model"
    title = "Installed models"
    about = "What was found in the model folder, and which one reads."
    columns = ("id", "name", "version", "modality", "status", "sha256", "active", "shadow", "registered_at")
    list_display = ("name", "version", "modality", "status", "active", "shadow", "registered")
    list_filter = ("modality", "status", "active")
    search_fields = ("name", "version")
    fields: ClassVar[Any] = ("name", "version", "modality", "status", "sha256", "active", "shadow", "registered")
    registered = moment("registered_at", "found")
