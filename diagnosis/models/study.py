"""Study and image: what came in at the door."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models

from accounts.models import Patient, Team
from diagnosis.querysets import ImageQuerySet, StudyQuerySet


class Modality(models.TextChoices):
    """DICOM modality (0008,0060); contrast-enhanced mammography is told apart from MG here."""

    ULTRASOUND = "US", "Ultrasound"
    MAMMOGRAM = "MG", "Mammogram"
    CONTRAST_MAMMOGRAM = "CESM", "Contrast-enhanced mammogram"


class Laterality(models.TextChoices):
    """Image laterality, DICOM (0020,0062), PS3.3 C.7.6.16."""

    LEFT = "L", "Left"
    RIGHT = "R", "Right"
    BOTH = "B", "Both"
    UNKNOWN = "", "Not stated"


class View(models.TextChoices):
    """Projection or scan plane, from DICOM View Position (0018,5101) and PS3.16 CID 4014."""

    CC = "CC", "Cranio-caudal"
    MLO = "MLO", "Medio-lateral oblique"
    ML = "ML", "Medio-lateral"
    LM = "LM", "Latero-medial"
    RADIAL = "RAD", "Radial"
    ANTIRADIAL = "ARAD", "Antiradial"
    TRANSVERSE = "TRV", "Transverse"
    SAGITTAL = "SAG", "Sagittal"
    UNKNOWN = "", "Not stated"


class Study(models.Model):
    """One examination of one patient in one modality."""

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        ANALYSED = "analysed", "Analysed"
        IN_REVIEW = "in_review", "In review"
        SIGNED = "signed", "Signed"
        AMENDED = "amended", "Amended"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="studies")
    modality = models.CharField(max_length=4, choices=Modality, default=Modality.ULTRASOUND)
    laterality = models.CharField(max_length=1, choices=Laterality, blank=True, default=Laterality.UNKNOWN)
    clinical_history = models.TextField(
        "clinical question",
        blank=True,
        validators=[MaxLengthValidator(10_000)],
        help_text="Why the examination was asked for.",
    )
    accession_number = models.CharField(
        max_length=64,
        blank=True,
        db_index=True,
        help_text="Number of the order in the hospital's system, if there is one.",
    )
    study_instance_uid = models.CharField("study instance UID", max_length=64, blank=True, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.RECEIVED, db_index=True)
    team = models.ForeignKey(
        Team,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="studies",
        # Lists are read by time, with a look at the team; an index on it alone would make SQLite sort a team's rows.
        db_index=False,
        help_text="Whose radiologists see it; empty: every radiologist.",
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    objects = StudyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "studies"

    def __str__(self) -> str:
        return f"{self.get_modality_display()} of {self.created_at:%Y-%m-%d}"

    @property
    def short_id(self) -> str:
        """The first eight digits, to say on the telephone."""
        return str(self.pk)[:8].upper()

    @property
    def is_frozen(self) -> bool:
        """Whether the study is signed: then nothing but an addendum follows."""
        return self.state in (self.State.SIGNED, self.State.AMENDED)


def image_name(image: Image, filename: str) -> str:
    key = str(image.pk)
    return f"images/{key[:2]}/{key}.png"


def original_name(image: Image, filename: str) -> str:
    key = str(image.pk)
    return f"originals/{key[:2]}/{key}.dcm"


class Image(models.Model):
    """One image of a study: the pixels as they are shown and analysed, and what the file said about them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="images")
    file = models.FileField(upload_to=image_name, max_length=120, help_text="Lossless PNG without any metadata.")
    original = models.FileField(
        upload_to=original_name, max_length=120, blank=True, help_text="The DICOM file as received."
    )
    original_name = models.CharField(max_length=120)
    source_format = models.CharField(max_length=10)
    sha256 = models.CharField("SHA-256", max_length=64, db_index=True, help_text="Of the bytes that were uploaded.")
    pixels_sha256 = models.CharField(max_length=64, help_text="Of the stored PNG file.")
    byte_size = models.PositiveBigIntegerField(help_text="Of the bytes that were uploaded.")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    frame_index = models.PositiveIntegerField(default=0)
    frame_count = models.PositiveIntegerField(default=1)
    laterality = models.CharField(max_length=1, choices=Laterality, blank=True, default=Laterality.UNKNOWN)
    view = models.CharField(max_length=4, choices=View, blank=True, default=View.UNKNOWN)
    row_spacing_mm = models.FloatField(null=True, blank=True)
    column_spacing_mm = models.FloatField(null=True, blank=True)
    study_instance_uid = models.CharField(max_length=64, blank=True)
    sop_instance_uid = models.CharField(max_length=64, blank=True)
    device = models.CharField(max_length=200, blank=True)
    acquired_at = models.DateTimeField(null=True, blank=True)
    differences = models.JSONField(default=list, blank=True, help_text="Where the file and the record disagreed.")
    differences_confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    also_on_other_record = models.BooleanField(
        default=False, help_text="The same file was already on another patient's record when this one came in."
    )
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    objects = ImageQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(fields=["study", "sha256", "frame_index"], name="same_bytes_once_a_study"),
        ]

    def __str__(self) -> str:
        return f"image of {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def frame_words(self) -> str:
        """``frame 12 of 40``, or nothing for a single image."""
        return f"frame {self.frame_index + 1} of {self.frame_count}" if self.frame_count > 1 else ""
