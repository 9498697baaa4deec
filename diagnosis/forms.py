"""What is typed and chosen on the reading screens."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from diagnosis.models import Laterality, Modality, Study, View

ULTRASOUND_VIEWS = (View.RADIAL, View.ANTIRADIAL, View.TRANSVERSE, View.SAGITTAL)
MAMMOGRAM_VIEWS = (View.CC, View.MLO, View.ML, View.LM)


def views_of(modality: str) -> list[tuple[str, str]]:
    """The projections or scan planes of a modality, as choices."""
    views = ULTRASOUND_VIEWS if modality == Modality.ULTRASOUND else MAMMOGRAM_VIEWS
    return [("", View.UNKNOWN.label), *((view.value, view.label) for view in views)]


class StudyForm(forms.ModelForm):
    """A new examination."""

    class Meta:
        model = Study
        fields = ("modality", "laterality", "clinical_history", "accession_number")
        widgets = {"clinical_history": forms.Textarea(attrs={"rows": 3})}


class BatchForm(forms.Form):
    """What holds for all files of one upload."""

    laterality = forms.ChoiceField(
        choices=[("", "As the file or the study says"), *(c for c in Laterality.choices if c[0])],
        required=False,
        label="Side",
    )
    view = forms.ChoiceField(choices=[], required=False, label="View")
    confirm_differences = forms.BooleanField(required=False)

    def __init__(self, *args: Any, modality: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["view"].choices = views_of(modality)  # type: ignore[attr-defined]
        for name in ("laterality", "view"):
            self.fields[name].widget.attrs["class"] = "form-select"


class FrameForm(forms.Form):
    """Which frame of a multi-frame file, counted from 1."""

    frame = forms.IntegerField(min_value=1)


class ReasonForm(forms.Form):
    """Why an administrator has a model used."""

    reason = forms.CharField(max_length=300, label="Reason", error_messages={"required": "Say why; it is kept."})


class PrevalenceForm(forms.Form):
    """The site's own prevalence of malignancy, in percent; nothing for the model's own."""

    percent = forms.DecimalField(
        min_value=Decimal("0.1"),
        max_value=Decimal(90),
        max_digits=5,
        decimal_places=2,
        required=False,
        label="Prevalence in percent",
    )

    @property
    def prevalence(self) -> float | None:
        """0-1, of a form that is valid."""
        percent = self.cleaned_data["percent"]
        return None if percent is None else float(percent / 100)
