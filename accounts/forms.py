"""What people type about people. Each form checks and describes; ``accounts.actions`` writes."""

from __future__ import annotations

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.encryption import Sealed
from accounts.models import Patient

EARLIEST_BIRTH = "1850-01-01"
"""A date before this is a typing mistake."""


def note_refusal(form: forms.BaseForm, refusal: ValidationError) -> None:
    """Show on ``form`` what an action refused: at its field where the form has it, else above the form."""
    by_field = refusal.message_dict if hasattr(refusal, "error_dict") else {"__all__": refusal.messages}
    for name, sentences in by_field.items():
        for sentence in sentences:
            form.add_error(name if name in form.fields else None, sentence)


class PatientForm(forms.ModelForm):
    """A patient's record; ``seen`` is the version of it that the person had before their eyes."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Patient
        fields = ["mrn", "given_name", "family_name", "birth_date", "sex", "phone", "email", "history"]
        labels = {"phone": "Telephone", "email": "E-mail address"}
        widgets = {
            "birth_date": forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "min": EARLIEST_BIRTH}),
            "phone": forms.TextInput(attrs={"type": "tel"}),
            "history": forms.Textarea(attrs={"rows": 5}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"
        self.fields["birth_date"].widget.attrs["max"] = timezone.localdate().isoformat()
        self.fields["seen"].initial = "" if self.instance._state.adding else self._version
        if self.instance._state.adding:
            self.fields["mrn"].widget.attrs["autofocus"] = True
        for name in ("phone", "email"):
            if isinstance(getattr(self.instance, name), Sealed):
                # What cannot be read is shown as such, is not checked, and stays as it is stored.
                self.fields[name] = forms.Field(
                    label=self.fields[name].label,
                    widget=forms.TextInput,
                    disabled=True,
                    required=False,
                    help_text="The key that opens this is missing. Tell IT; nothing is lost.",
                )
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(
            "mrn",
            Row(Column("given_name", css_class="col-sm-6"), Column("family_name", css_class="col-sm-6")),
            Row(Column("birth_date", css_class="col-sm-6"), Column("sex", css_class="col-sm-6")),
            Row(Column("phone", css_class="col-sm-6"), Column("email", css_class="col-sm-6")),
            "history",
            "seen",
        )

    @property
    def _version(self) -> str:
        return self.instance.updated_at.isoformat()

    def clean(self) -> dict[str, Any]:
        """Refuse once what was typed over a record that somebody else has changed since the page was opened."""
        cleaned = super().clean() or {}
        seen = cleaned.pop("seen", "")
        if seen and not self.instance._state.adding and seen != self._version:
            self.data = {**self.data.dict(), self.add_prefix("seen"): self._version}  # type: ignore[attr-defined]
            raise ValidationError(
                "Somebody else changed this record while this page was open; nothing was saved. "
                f"On record now: {self._on_record(cleaned)} Enter what is right, then save again."
            )
        return cleaned

    def _on_record(self, typed: dict[str, Any]) -> str:
        """The fields in which the record differs from what was typed, as the record has them."""
        different = [name for name in typed if typed[name] != getattr(self.instance, name)]
        return " ".join(f"{self.fields[name].label}: {self._in_words(name)}." for name in different) or "the same."

    def _in_words(self, name: str) -> str:
        value = self.instance.get_sex_display() if name == "sex" else getattr(self.instance, name)
        return str(value or "empty")

    def clean_birth_date(self) -> Any:
        born = self.cleaned_data["birth_date"]
        if born.isoformat() < EARLIEST_BIRTH:
            raise ValidationError(f"The date of birth is before {EARLIEST_BIRTH[:4]}. Check the year.")
        return born
