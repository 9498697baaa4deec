"""Which models are installed."""

from __future__ import annotations

from django.db import models


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
    registered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["modality", "name", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="model_version_once"),
            models.UniqueConstraint(fields=["modality"], condition=models.Q(active=True), name="one_active_a_modality"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"
