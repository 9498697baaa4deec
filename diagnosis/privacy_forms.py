"""What is typed on the pages of packages, merges, splits and erasures."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.forms import PatientForm
from accounts.models import Patient, User
from diagnosis.actions import COMPARED

NO_NAMES = "Kept in the ledger, so without the patient's name."


class ExportForm(forms.Form):
    """What a package is for; ``seen`` is how many studies the page showed."""

    purpose = forms.CharField(
        max_length=500,
        label="What the package is for",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Project, recipient, legal ground. " + NO_NAMES,
        error_messages={"required": "Say what the package is for; it is kept."},
    )
    seen = forms.IntegerField(widget=forms.HiddenInput)


class EraseForm(forms.Form):
    """Why, and the MRN typed once more."""

    reason = forms.CharField(
        max_length=300,
        label="Reason",
        help_text=NO_NAMES,
        error_messages={"required": "Say why; it is kept."},
    )
    mrn = forms.CharField(
        max_length=64,
        label="MRN of the record, typed",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Type the MRN of this record."},
    )

    def __init__(self, *args: Any, patient: Patient, **options: Any) -> None:
        super().__init__(*args, **options)
        self.patient = patient

    def clean_mrn(self) -> str:
        typed = self.cleaned_data["mrn"].strip()
        if typed != self.patient.mrn:
            raise ValidationError("This is not the MRN of this record. Nothing was erased.")
        return typed


class OtherRecordForm(forms.Form):
    """The MRN of another record that the person may open."""

    mrn = forms.CharField(
        max_length=64,
        label="MRN of the other record",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, acting_user: User, patient: Patient, **options: Any) -> None:
        super().__init__(*args, **options)
        self.acting_user, self.patient = acting_user, patient
        self.other: Patient | None = None

    def clean_mrn(self) -> str:
        typed = self.cleaned_data["mrn"].strip()
        self.other = Patient.objects.visible_to(self.acting_user).filter(mrn=typed).first()
        if self.other is None:
            raise ValidationError("There is no record with this MRN that you may open.")
        if self.other.pk == self.patient.pk:
            raise ValidationError("This is the same record. Type the MRN of the other one.")
        return typed


class MergeForm(OtherRecordForm):
    """Whose values stay, and why."""

    reason = forms.CharField(
        max_length=300, label="Reason", help_text=NO_NAMES, error_messages={"required": "Say why; it is kept."}
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["mrn"].widget = forms.HiddenInput()
        for name in COMPARED:
            choices = [("target", "this record"), ("source", "the other record")]
            self.fields[f"keep_{name}"] = forms.ChoiceField(choices=choices, required=False, initial="target")

    @property
    def taken(self) -> list[str]:
        """Fields whose value comes from the other record."""
        return [name for name in COMPARED if self.cleaned_data.get(f"keep_{name}") == "source"]


class SplitForm(forms.Form):
    """Which studies belong to somebody else, to whom, and why."""

    TO = (("existing", "A record that exists"), ("new", "A new record"))

    studies = forms.MultipleChoiceField(
        choices=[], error_messages={"required": "Choose the studies that belong to the other record."}
    )
    to = forms.ChoiceField(choices=TO, initial="existing", label="They belong to", widget=forms.RadioSelect)
    mrn = forms.CharField(
        max_length=64,
        required=False,
        label="MRN of that record",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    reason = forms.CharField(
        max_length=300, label="Reason", help_text=NO_NAMES, error_messages={"required": "Say why; it is kept."}
    )

    def __init__(self, *args: Any, acting_user: User, patient: Patient, studies: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.acting_user, self.patient = acting_user, patient
        self.other: Patient | None = None
        self.fields["studies"].choices = [(str(study.pk), str(study)) for study in studies]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("to") == "existing":
            typed = cleaned.get("mrn", "").strip()
            self.other = Patient.objects.visible_to(self.acting_user).filter(mrn=typed).first() if typed else None
            if not typed:
                self.add_error("mrn", "Type the MRN of the record that the studies belong to.")
            elif self.other is None:
                self.add_error("mrn", "There is no record with this MRN that you may open.")
            elif self.other.pk == self.patient.pk:
                self.add_error("mrn", "This is the same record. Type the MRN of the other one.")
        return cleaned


class NewRecordForm(PatientForm):
    """The record that a split makes; its fields stand apart from those of the split."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, prefix="new", **options)
        self.fields["mrn"].widget.attrs.pop("autofocus", None)
        del self.fields["seen"]
        self.helper.layout.fields.pop()
