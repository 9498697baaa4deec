"""What a candidate model says, unseen, about images that another model reads."""

from __future__ import annotations

import uuid

from django.db import models

from diagnosis.models.analysis import Analysis, Label
from diagnosis.models.registry import ModelVersion
from portal.jobs import LeasedJob


class ShadowReading(LeasedJob):
    """The durable job that has the shadow model read one image, and what it said. Never shown beside the result."""

    task_name = "diagnosis.read_in_shadow"
    in_background = True

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="shadow_readings")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="shadow_readings")
    label = models.CharField(max_length=10, choices=Label, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    probability_benign = models.FloatField(null=True, blank=True)
    probability_malignant = models.FloatField(null=True, blank=True)
    probability_normal = models.FloatField(null=True, blank=True)
    suspicion = models.PositiveSmallIntegerField(null=True, blank=True)
    uncertain = models.BooleanField(default=False)
    reasons = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-queued_at"]
        verbose_name = "shadow reading"
        indexes = [models.Index(fields=["state", "publish_after"], name="shadow_reading_due")]
        constraints = [models.UniqueConstraint(fields=["analysis", "model"], name="one_shadow_reading_a_model")]

    def __str__(self) -> str:
        return f"{self.model} in the shadow: {self.get_state_display()}"
