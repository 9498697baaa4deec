"""What is typed and chosen on the reading screens."""

from __future__ import annotations

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
