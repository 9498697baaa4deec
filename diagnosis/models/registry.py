"""Which models are installed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

LEAST_PREVALENCE = 0.001
MOST_PREVALENCE = 0.90


class ModelVersion(models.Model):
    """An artefact that was found in the model directory, as its manifest describes it."""

    class Status(models.TextChoices):
        RELEASED = "released", "Released"
        RESEARCH = "research", "Research"

    name = models.CharField(max_length=80)
    version = models.CharField(max_length=40)
    modality = models.CharField(max_length=4)
    status = models.CharField(max_length=10, choices=Status)
    sha256 = models.CharField("SHA-256", max_length=64)
    active = models.BooleanField(default=False, help_text="Analyses new images of its modality.")
    shadow = models.BooleanField(
        default=False, help_text="Also reads the new images of its modality, unseen, to be compared."
    )
    registered_at = models.DateTimeField(auto_now_add=True)
    chosen_because = models.CharField(max_length=300, blank=True)
    chosen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    chosen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["modality", "name", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="model_version_once"),
            models.UniqueConstraint(fields=["modality"], condition=models.Q(active=True), name="one_active_a_modality"),
            models.UniqueConstraint(fields=["modality"], condition=models.Q(shadow=True), name="one_shadow_a_modality"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def is_research(self) -> bool:
        return self.status == self.Status.RESEARCH


class ModelProposal(models.Model):
    """One administrator proposes a change of the model in use; another one confirms it. Then it is done."""

    class Change(models.TextChoices):
        USE = "use", "Use this model"
        ROLL_BACK = "roll_back", "Go back to this model"
        STOP = "stop", "Stop using this research model"

    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="proposals")
    change = models.CharField(max_length=10, choices=Change)
    reason = models.CharField(max_length=300)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(default=timezone.now)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    confirmed_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    replaced = models.ForeignKey(
        ModelVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="What was in use before the confirmed change.",
    )

    class Meta:
        ordering = ["-proposed_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(confirmed_by=None) | ~models.Q(confirmed_by=models.F("proposed_by")),
                name="proposal_confirmed_by_another",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_change_display()}: {self.model}"

    @property
    def is_open(self) -> bool:
        """Whether it waits for a second person."""
        return self.confirmed_at is None and self.withdrawn_at is None


class ModalitySetting(models.Model):
    """What this site has decided about one modality. No row: nothing was decided, the model's own figures hold."""

    modality = models.CharField(max_length=4, unique=True)
    prevalence = models.FloatField(
        null=True,
        blank=True,
        help_text="Share of malignant cases among those examined here (0-1); probabilities are re-based to it.",
    )
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(prevalence=None)
                | models.Q(prevalence__gte=LEAST_PREVALENCE, prevalence__lte=MOST_PREVALENCE),
                name="prevalence_within_reason",
            )
        ]

    def __str__(self) -> str:
        return self.modality
