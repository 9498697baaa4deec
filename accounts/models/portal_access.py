"""A patient's own account: how it is tied to the record, what was agreed to, and what is written to and fro."""

from __future__ import annotations

import uuid

from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils import timezone

from accounts.encryption import EncryptedTextField
from accounts.models.patient import Patient
from accounts.models.person import User


class PatientInvitation(models.Model):
    """A one-time code that, with the date of birth, ties a new log-in to a record. Only the code's SHA-256 is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="invitations")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    failed_tries = models.PositiveSmallIntegerField(default=0, help_text="Wrong dates of birth given with this code.")

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"invitation of {self.created_at:%Y-%m-%d}"


class Consent(models.Model):
    """What a patient agreed to, in which words, and whether it was withdrawn. A new answer is a new row."""

    class Purpose(models.TextChoices):
        PORTAL = "portal", "See my reports on this website"
        EMAIL = "email", "Be told by e-mail that a report is ready"
        RESEARCH = "research", "De-identified use of my images for quality and research"

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="consents")
    purpose = models.CharField(max_length=20, choices=Purpose)
    wording = models.TextField(help_text="The sentence that the patient agreed to.")
    given_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-given_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "purpose"],
                condition=models.Q(withdrawn_at=None),
                name="one_standing_consent_a_purpose",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()}, {self.given_at:%Y-%m-%d}"


class Message(models.Model):
    """One message between a patient and the clinic, on the patient's record."""

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="messages")
    author = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    from_patient = models.BooleanField()
    text = EncryptedTextField(validators=[MaxLengthValidator(4_000)])
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True, help_text="First opened by the other side.")

    class Meta:
        ordering = ["created_at", "pk"]
        indexes = [models.Index(fields=["patient", "created_at"], name="message_of_patient")]

    def __str__(self) -> str:
        return f"message of {self.created_at:%Y-%m-%d %H:%M}"


class Appointment(models.Model):
    """When and where a patient is expected."""

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="appointments")
    at = models.DateTimeField()
    place = models.CharField(max_length=200)
    purpose = models.CharField(max_length=200)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["at"]

    def __str__(self) -> str:
        return f"{self.purpose}, {self.at:%Y-%m-%d %H:%M}"
