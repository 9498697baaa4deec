"""What happens here when something is corrected elsewhere."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from accounts.models import Patient
from diagnosis import actions


@receiver(post_save, sender=Patient, dispatch_uid="diagnosis.follow_patient")
def follow_patient(sender: type[Patient], instance: Patient, created: bool, **kwargs: Any) -> None:
    if not created:
        actions.follow_patient(patient=instance)
