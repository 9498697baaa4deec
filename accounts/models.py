"""Users, patients, API tokens and the audit ledger."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils import timezone

from accounts.folding import FoldedField
from accounts.querysets import PatientQuerySet, UserQuerySet
from accounts.roles import Role


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    """Creates users by e-mail address; addresses are compared without case."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person who signs in, by e-mail address, with one role."""

    email = models.EmailField(
        unique=True, error_messages={"unique": "There is already a user with this e-mail address."}
    )
    given_name = models.CharField(max_length=100, blank=True)
    family_name = models.CharField(max_length=100, blank=True)
    role = models.CharField(max_length=20, choices=Role, db_index=True)
    is_active = models.BooleanField("active", default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["role"]

    class Meta:
        ordering = ["family_name", "given_name", "email"]

    def __str__(self) -> str:
        return self.get_full_name()

    def clean(self) -> None:
        super().clean()
        self.email = self.email.strip().lower()

    def get_full_name(self) -> str:
        return f"{self.given_name} {self.family_name}".strip() or self.email

    @property
    def is_staff(self) -> bool:
        """Whether Django's admin site opens (contract: ``/admin/`` for IT staff and administrators)."""
        return self.role in (Role.IT_STAFF, Role.ADMINISTRATOR)

    @property
    def is_superuser(self) -> bool:
        return False

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Django's own permissions are not used: ``accounts.roles`` decides, and each admin class asks it."""
        return False

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_staff


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
        error_messages={"unique": "There is already a patient with this MRN."},
        help_text="Medical record number, unique in this hospital.",
    )
    given_name = models.CharField(max_length=100)
    family_name = models.CharField(max_length=100)
    birth_date = models.DateField("date of birth", validators=[not_in_the_future])
    sex = models.CharField(max_length=1, choices=Sex, default=Sex.UNKNOWN)
    phone = models.CharField(max_length=40, blank=True)
    email = models.EmailField("e-mail", blank=True)
    history = models.TextField(
        "clinical history",
        blank=True,
        validators=[MaxLengthValidator(10_000)],
        help_text="Previous findings, operations, family history, medication.",
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


class ApiToken(models.Model):
    """A bearer token of the REST API. Only its SHA-256 is kept; the token itself is shown once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"token of {self.user}, until {self.expires_at:%Y-%m-%d %H:%M}"


class AuditEvent(models.Model):
    """Who did what to which object, when and from where. Rows are only ever added (``accounts.audit.record``)."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    actor_role = models.CharField(max_length=20, blank=True)
    action = models.CharField(max_length=60, db_index=True)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    patient = models.ForeignKey(Patient, null=True, on_delete=models.PROTECT, related_name="audit_events")
    address = models.GenericIPAddressField(null=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["object_type", "object_id"])]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} {self.object_type} {self.object_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise TypeError("The ledger is append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("The ledger is append-only.")
