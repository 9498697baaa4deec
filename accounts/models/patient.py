"""Patients, and what gives a person a way to their own or somebody else's record."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils import timezone

from accounts.encryption import EncryptedCharField, EncryptedEmailField
from accounts.folding import FoldedField
from accounts.models.person import User
from accounts.plain_text import one_line
from accounts.querysets import EmergencyAccessQuerySet, PatientQuerySet


class Sex(models.TextChoices):
    """Patient's sex, DICOM (0010,0040), PS3.3 C.7.1.1."""

    FEMALE = "F", "Female"
    MALE = "M", "Male"
    OTHER = "O", "Other"
    UNKNOWN = "U", "Not recorded"


def not_in_the_future(value: Any) -> None:
    if value > timezone.localdate():
        raise ValidationError("The date of birth lies in the future.")


class Patient(models.Model):
    """A person whose images are read. Identified by the medical record number (MRN) of this hospital."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    mrn = models.CharField(
        "MRN",
        max_length=64,
        unique=True,
        validators=[one_line],
        error_messages={"unique": "There is already a patient with this MRN."},
        help_text="Medical record number, unique in this hospital.",
    )
    given_name = models.CharField(max_length=100, validators=[one_line])
    family_name = models.CharField(max_length=100, validators=[one_line])
    birth_date = models.DateField("date of birth", validators=[not_in_the_future])
    sex = models.CharField(max_length=1, choices=Sex, default=Sex.UNKNOWN)
    phone = EncryptedCharField(max_length=40, blank=True)
    email = EncryptedEmailField("e-mail", blank=True)
    history = models.TextField(
        "clinical history",
        blank=True,
        validators=[MaxLengthValidator(10_000)],
        help_text="Previous findings, operations, family history, medication.",
    )
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="merged_from"
    )
    retain_until = models.DateField(
        null=True, blank=True, editable=False, help_text="Not erased by retention before this day; empty: the rule."
    )
    synthetic = models.BooleanField(default=False, editable=False)
    # Lists are searched and sorted by it; the family name comes first for the sorting.
    search_text = FoldedField(sources=("family_name", "given_name", "mrn"))
    user = models.OneToOneField(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="patient")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PatientQuerySet.as_manager()

    class Meta:
        ordering = ["search_text"]
        indexes = [models.Index(fields=["search_text"])]

    def __str__(self) -> str:
        return self.full_name

    def clean(self) -> None:
        super().clean()
        self.mrn = self.mrn.strip()
        self.given_name = self.given_name.strip()
        self.family_name = self.family_name.strip()

    @property
    def full_name(self) -> str:
        return f"{self.given_name} {self.family_name}".strip()

    @property
    def age(self) -> int:
        """Completed years today."""
        today = timezone.localdate()
        before_birthday = (today.month, today.day) < (self.birth_date.month, self.birth_date.day)
        return today.year - self.birth_date.year - before_birthday


class EmergencyAccess(models.Model):
    """Break-glass: a person opened a record that their teams do not open, said why, and for how long it holds."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="emergency_accesses")
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="emergency_accesses")
    reason = models.CharField(max_length=500)
    granted_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    reviewed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    reviewed_at = models.DateTimeField(null=True, blank=True)
    review_note = models.CharField(max_length=500, blank=True)

    objects = EmergencyAccessQuerySet.as_manager()

    class Meta:
        ordering = ["-granted_at"]
        indexes = [models.Index(fields=["user", "patient", "expires_at"], name="emergency_access_held")]
        verbose_name_plural = "emergency accesses"

    def __str__(self) -> str:
        return f"emergency access of {self.user}, {self.granted_at:%Y-%m-%d %H:%M}"

    @property
    def is_running(self) -> bool:
        return self.ended_at is None and self.expires_at > timezone.now()

    @property
    def minutes_left(self) -> int:
        """Whole minutes, begun ones counted."""
        return max(0, -(-int((self.expires_at - timezone.now()).total_seconds()) // 60))
