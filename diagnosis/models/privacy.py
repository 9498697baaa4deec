"""What leaves without names, what is erased, and what is moved between records."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Patient
from diagnosis.models.study import Study
from portal.jobs import LeasedJob


def export_name(export: DeidentifiedExport, filename: str) -> str:
    key = str(export.pk)
    return f"exports/{key[:2]}/{key}-{filename}"


class DeidentifiedExport(LeasedJob):
    """The durable job that packs studies without anything that names a person, and the stored package."""

    task_name = "diagnosis.export_deidentified"
    in_background = True

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    studies = models.ManyToManyField(Study, related_name="+")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    purpose = models.CharField(max_length=500)
    salt = models.CharField(max_length=64, editable=False, help_text="Of the pseudonyms; dropped when it expires.")
    file = models.FileField(upload_to=export_name, max_length=140, blank=True)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    byte_size = models.PositiveBigIntegerField(null=True)
    image_count = models.PositiveIntegerField(null=True)
    left_out = models.JSONField(default=list, blank=True, help_text="Images that were not packed, and why.")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "de-identified export"
        indexes = [models.Index(fields=["state", "publish_after"], name="export_due")]

    def __str__(self) -> str:
        return f"de-identified export of {self.created_at:%Y-%m-%d %H:%M}"


class Erasure(models.Model):
    """That a patient's record was erased. Holds no name: the number leads nowhere any more.

    It is written before anything is removed and closed afterwards, so that a killed erasure is found and finished.
    """

    patient_id = models.UUIDField(unique=True)
    reason = models.CharField(max_length=300)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(default=timezone.now)
    paths = models.JSONField(default=list, blank=True, help_text="Files still to be removed.")
    counts = models.JSONField(default=dict, blank=True, help_text="What was removed, by kind.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-requested_at"]

    def __str__(self) -> str:
        return f"erasure of {self.requested_at:%Y-%m-%d}"


class RecordTransfer(models.Model):
    """Studies moved from one record to another: a merge of two records, or a split of one. Can be undone."""

    class Kind(models.TextChoices):
        MERGE = "merge", "Merge"
        SPLIT = "split", "Split"

    kind = models.CharField(max_length=5, choices=Kind)
    source = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="+")
    target = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="+")
    moved = models.JSONField(default=dict, help_text="Kind of row -> keys of those that were moved.")
    reason = models.CharField(max_length=300)
    done_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    done_at = models.DateTimeField(default=timezone.now)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-done_at"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.done_at:%Y-%m-%d}"
