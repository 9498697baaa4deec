"""What the model said about one image."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models

from accounts.folding import fold
from accounts.models import Patient, Team
from diagnosis.models.study import Image, Modality
from diagnosis.querysets import AnalysisQuerySet
from ml.contract import LABELS
from portal.jobs import LeasedJob, State


def explanation_name(analysis: Analysis, filename: str) -> str:
    key = str(analysis.pk)
    return f"explanations/{key[:2]}/{key}-{filename}"


def segmentation_name(analysis: Analysis, filename: str) -> str:
    key = str(analysis.pk)
    return f"segmentations/{key[:2]}/{key}-{filename}"


def sorted_as(patient: Patient) -> str:
    """Family name, given name and MRN as lists are sorted by them, whatever the case and the accents."""
    return fold(f"{patient.family_name} {patient.given_name} {patient.mrn}")[:300]


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
    # Copies of the study's and the patient's: lists of 100,000 rows are filtered and sorted by them. A study keeps its
    # patient and modality; a corrected name comes through diagnosis.actions.follow_patient.
    patient = models.ForeignKey(
        Patient, on_delete=models.PROTECT, related_name="analyses", editable=False, db_index=False
    )
    modality = models.CharField(max_length=4, choices=Modality, editable=False)
    patient_name = models.CharField(max_length=300, editable=False)
    team = models.ForeignKey(
        Team, null=True, on_delete=models.PROTECT, related_name="+", editable=False, db_index=False
    )

    label = models.CharField(max_length=10, choices=Label, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    probability_benign = models.FloatField(null=True, blank=True)
    probability_malignant = models.FloatField(null=True, blank=True)
    probability_normal = models.FloatField(null=True, blank=True)
    suspicion = models.PositiveSmallIntegerField(null=True, blank=True)
    uncertain = models.BooleanField(
        default=False, help_text="The model could not tell well enough; the rule is in the model card."
    )
    prevalence = models.FloatField(
        null=True, blank=True, help_text="The site's own, that the probabilities were re-based to; else the model's."
    )
    own_probabilities = models.JSONField(
        null=True, blank=True, help_text="Label -> what the model itself said, where the probabilities were re-based."
    )
    quality = models.JSONField(default=list, blank=True)
    reasons = models.JSONField(default=list, blank=True)
    timings_ms = models.JSONField(default=dict, blank=True)
    explanation = models.FileField(upload_to=explanation_name, max_length=140, blank=True)
    explanation_sha256 = models.CharField(max_length=64, blank=True)
    segmentation = models.FileField(
        upload_to=segmentation_name, max_length=140, blank=True, help_text="Mask of the lesion, 0 or 255."
    )
    segmentation_sha256 = models.CharField(max_length=64, blank=True)
    lesion = models.JSONField(null=True, blank=True, help_text="Measurements, see diagnosis.lesion.Lesion.")
    marks = models.JSONField(default=list, blank=True, help_text="Places that a detector points at, likeliest first.")
    similar_cases = models.JSONField(default=list, blank=True, help_text="Nearest cases of the training sets.")
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
            # "team" comes last where rows are read in an order or counted: whose they are is then read from the index
            # too. One that began with it would tempt SQLite to read all rows of many teams and sort them.
            models.Index(fields=["-queued_at", "id", "team"], name="analysis_newest"),
            models.Index(fields=["label", "-queued_at"], name="analysis_by_label"),
            models.Index(fields=["state", "-queued_at"], name="analysis_by_state"),
            models.Index(fields=["modality", "-queued_at"], name="analysis_by_modality"),
            models.Index(fields=["patient", "-queued_at"], name="analysis_by_patient"),
            models.Index(fields=["patient_name", "-queued_at"], name="analysis_by_patient_name"),
            models.Index(fields=["confidence", "id"], name="analysis_by_confidence"),
            models.Index(fields=["model_name", "model_version", "-queued_at"], name="analysis_by_model"),
            # The summary of the history is read from these alone, without touching the table.
            models.Index(fields=["label", "confidence", "team"], name="analysis_summary"),
            models.Index(fields=["modality", "label", "confidence", "team"], name="analysis_summary_modality"),
            models.Index(fields=["state", "label", "confidence", "team"], name="analysis_summary_state"),
            models.Index(fields=["queued_at", "label", "confidence", "team"], name="analysis_summary_day"),
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

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self.patient_id = self.image.study.patient_id
            self.modality = self.image.study.modality
            self.team_id = self.image.study.team_id
            self.patient_name = sorted_as(self.image.study.patient)
        super().save(*args, **kwargs)

    @property
    def probabilities(self) -> dict[str, float] | None:
        """Label -> calibrated probability, or ``None`` without a score."""
        if self.state != State.SUCCEEDED:
            return None
        return {label: getattr(self, f"probability_{label}") for label in LABELS}

    @property
    def is_research(self) -> bool:
        """Whether a research model spoke: labelled everywhere, and never orders the worklist."""
        return self.model_status == "research"

    @property
    def may_order_worklist(self) -> bool:
        """Whether the suspicion may decide what is read first."""
        return self.suspicion is not None and not self.is_research

    def own_conclusions(self) -> models.QuerySet[Any]:
        """What readers concluded, newest first, without answers to second opinions: those advise."""
        return self.assessments.filter(answered_opinions=None).select_related("reader")

    @property
    def current_report(self):  # type: ignore[no-untyped-def]
        """The newest version of the report, whatever its state; uses a prefetch where there is one."""
        return max(self.reports.all(), key=lambda report: report.version, default=None)
