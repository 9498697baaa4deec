"""The PDF report of one analysis, in versions."""

from __future__ import annotations

import secrets
import uuid

from django.conf import settings
from django.db import models

from diagnosis.models.analysis import Analysis
from diagnosis.querysets import ReportQuerySet
from portal.jobs import LeasedJob


def report_name(report: Report, filename: str) -> str:
    key = str(report.pk)
    return f"reports/{key[:2]}/{key}-{filename}"


def new_verification_code() -> str:
    """128 random bits, printed on the paper and looked up at ``/verify/<code>/``."""
    return secrets.token_urlsafe(16)


class Report(LeasedJob):
    """The durable job that renders one version of a report, and the stored file."""

    task_name = "diagnosis.render_report"

    class Status(models.TextChoices):
        PRELIMINARY = "preliminary", "Preliminary"
        FINAL = "final", "Final"
        SUPERSEDED = "superseded", "Superseded"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    analysis = models.ForeignKey(Analysis, on_delete=models.PROTECT, related_name="reports")
    version = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(max_length=12, choices=Status, default=Status.PRELIMINARY)
    verification_code = models.CharField(max_length=32, unique=True, default=new_verification_code, editable=False)
    file = models.FileField(upload_to=report_name, max_length=140, blank=True)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    byte_size = models.PositiveBigIntegerField(null=True)
    page_count = models.PositiveSmallIntegerField(null=True)
    assessment = models.ForeignKey(
        "diagnosis.Assessment", null=True, blank=True, on_delete=models.PROTECT, related_name="reports"
    )
    letter = models.TextField(blank=True, help_text="The result in plain words, as the patient reads it.")
    released_at = models.DateTimeField(null=True, blank=True, help_text="Since when the patient may see it.")
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True, help_text="Since when the patient no longer may.")
    withdrawn_because = models.CharField(max_length=500, blank=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering = ["-version"]
        indexes = [
            models.Index(fields=["state", "publish_after"], name="report_due"),
            models.Index(fields=["released_at"], condition=models.Q(released_at__isnull=False), name="report_released"),
        ]
        constraints = [models.UniqueConstraint(fields=["analysis", "version"], name="one_report_a_version")]

    def __str__(self) -> str:
        return f"Report {self.verification_code}, version {self.version}"

    @property
    def is_released(self) -> bool:
        """Whether the patient may see it."""
        return self.released_at is not None and self.withdrawn_at is None

    @property
    def is_ready(self) -> bool:
        return bool(self.file)
