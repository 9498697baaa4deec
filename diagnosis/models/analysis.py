"""What the model said about one image."""

from __future__ import annotations

import uuid

from django.db import models

from diagnosis.models.study import Image
from diagnosis.querysets import AnalysisQuerySet
from ml.contract import LABELS
from portal.jobs import LeasedJob, State


def explanation_name(analysis: Analysis, filename: str) -> str:
    key = str(analysis.pk)
    return f"explanations/{key[:2]}/{key}-{filename}"


class Label(models.TextChoices):
    """``ml.contract.LABELS`` as words."""

    BENIGN = "benign", "Benign"
    MALIGNANT = "malignant", "Malignant"
    NORMAL = "normal", "Normal"


class Analysis(LeasedJob):
    """The durable job that analyses one image, and its result (house plan, "States")."""

    task_name = "diagnosis.analyse"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.OneToOneField(Image, on_delete=models.PROTECT, related_name="analysis")

    label = models.CharField(max_length=10, choices=Label, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    probability_benign = models.FloatField(null=True, blank=True)
    probability_malignant = models.FloatField(null=True, blank=True)
    probability_normal = models.FloatField(null=True, blank=True)
    suspicion = models.PositiveSmallIntegerField(null=True, blank=True)
    quality = models.JSONField(default=list, blank=True)
    reasons = models.JSONField(default=list, blank=True)
    timings_ms = models.JSONField(default=dict, blank=True)
    explanation = models.FileField(upload_to=explanation_name, max_length=140, blank=True)
    explanation_sha256 = models.CharField(max_length=64, blank=True)
    model_name = models.CharField(max_length=80, blank=True)
    model_version = models.CharField(max_length=40, blank=True)
    model_sha256 = models.CharField(max_length=64, blank=True)
    model_status = models.CharField(max_length=10, blank=True)

    objects = AnalysisQuerySet.as_manager()

    class Meta:
        ordering = ["-queued_at"]
        verbose_name_plural = "analyses"
        indexes = [
            models.Index(fields=["state", "publish_after"], name="analysis_due"),
            models.Index(fields=["-queued_at", "id"], name="analysis_newest"),
            models.Index(fields=["label", "-queued_at"], name="analysis_by_label"),
            models.Index(fields=["state", "-queued_at"], name="analysis_by_state"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="succeeded", label__in=LABELS, suspicion__range=(1, 10))
                | (~models.Q(state="succeeded") & models.Q(label="", suspicion=None, confidence=None)),
                name="score_if_and_only_if_succeeded",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.get_label_display()}" if self.label else self.get_state_display()

    @property
    def probabilities(self) -> dict[str, float] | None:
        """Label -> calibrated probability, or ``None`` without a score."""
        if self.state != State.SUCCEEDED:
            return None
        return {label: getattr(self, f"probability_{label}") for label in LABELS}

    @property
    def current_report(self):  # type: ignore[no-untyped-def]
        """The newest version of the report, whatever its state; uses a prefetch where there is one."""
        return max(self.reports.all(), key=lambda report: report.version, default=None)
