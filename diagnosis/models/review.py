"""What people said about an image, and what turned out to be true."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils import timezone

from diagnosis.models.analysis import Analysis, Label
from diagnosis.models.study import Laterality, Study


class BiRads(models.TextChoices):
    """Assessment category, ACR BI-RADS Atlas, 5th edition (2013)."""

    INCOMPLETE = "0", "0: incomplete, needs additional imaging"
    NEGATIVE = "1", "1: negative"
    BENIGN = "2", "2: benign"
    PROBABLY_BENIGN = "3", "3: probably benign"
    LOW_SUSPICION = "4A", "4A: low suspicion of malignancy"
    MODERATE_SUSPICION = "4B", "4B: moderate suspicion of malignancy"
    HIGH_SUSPICION = "4C", "4C: high suspicion of malignancy"
    HIGHLY_SUGGESTIVE = "5", "5: highly suggestive of malignancy"
    PROVEN = "6", "6: known biopsy-proven malignancy"


class Assessment(models.Model):
    """A radiologist's own conclusion on one analysed image. A second thought is a new row; the newest counts."""

    analysis = models.ForeignKey(Analysis, on_delete=models.PROTECT, related_name="assessments")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=10, choices=Label)
    birads = models.CharField("BI-RADS category", max_length=2, choices=BiRads)
    conclusion = models.TextField(validators=[MaxLengthValidator(10_000)])
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["analysis", "-created_at"], name="assessment_of_analysis")]

    def __str__(self) -> str:
        return f"BI-RADS {self.birads}, {self.get_label_display()}"


class KnownOutcome(models.Model):
    """What an examined breast turned out to have. The newest row of a study and side counts."""

    class Source(models.TextChoices):
        HISTOLOGY = "histology", "Histology"
        FOLLOW_UP = "follow_up", "Follow-up imaging"
        CLINICAL = "clinical", "Clinical course"

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="known_outcomes")
    laterality = models.CharField(max_length=1, choices=Laterality, blank=True, default=Laterality.UNKNOWN)
    label = models.CharField(max_length=10, choices=Label)
    source = models.CharField(max_length=10, choices=Source)
    determined_on = models.DateField()
    entered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-entered_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.get_label_display()} by {self.get_source_display().lower()}"


class SecondOpinion(models.Model):
    """One radiologist asks another about an analysed image."""

    analysis = models.ForeignKey(Analysis, on_delete=models.PROTECT, related_name="second_opinions")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_of = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="second_opinions_asked"
    )
    question = models.CharField(max_length=500)
    asked_at = models.DateTimeField(default=timezone.now)
    answer = models.ForeignKey(
        Assessment, null=True, blank=True, on_delete=models.PROTECT, related_name="answered_opinions"
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-asked_at"]
        indexes = [models.Index(fields=["asked_of", "answered_at"], name="second_opinion_waiting")]

    def __str__(self) -> str:
        return f"second opinion asked on {self.asked_at:%Y-%m-%d}"
