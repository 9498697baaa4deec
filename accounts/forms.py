"""What people type about people. Each form checks and describes; ``accounts.actions`` writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from allauth.account import forms as allauth_forms
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import Patient, User
from accounts.permissions import may, may_grant
from accounts.roles import Role

EARLIEST_BIRTH = "1850-01-01"
"""A date before this is a typing mistake."""


def _plain(fields: Iterable[forms.Field]) -> None:
    """The label says what the field is; a placeholder that repeats it looks like a filled field."""
    for field in fields:
        field.widget.attrs.pop("placeholder", None)


def note_refusal(form: forms.BaseForm, refusal: ValidationError) -> None:
    """Show on ``form`` what an action refused: at its field where the form has it, else above the form."""
    by_field = refusal.message_dict if hasattr(refusal, "error_dict") else {"__all__": refusal.messages}
    for name, sentences in by_field.items():
        for sentence in sentences:
            form.add_error(name if name in form.fields else None, sentence)


class SignInForm(allauth_forms.LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields.values())
        self.fields["login"].label = "E-mail address"
        self.fields["login"].widget.attrs.update(autofocus=True, autocomplete="username")


class ChangePasswordForm(allauth_forms.ChangePasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields.values())
        self.fields["oldpassword"].label = "Current password"
        self.fields["password1"].label = "New password"
        self.fields["password2"].label = "New password again"


class AskResetForm(allauth_forms.ResetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields.values())
        self.fields["email"].label = "E-mail address"


class ResetPasswordForm(allauth_forms.ResetPasswordKeyForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields.values())
        self.fields["password1"].label = "New password"
        self.fields["password2"].label = "New password again"


class UserForm(forms.ModelForm):
    """A user, as an administrator or IT sees one.

    Args:
        acting_user: who fills it in; they do not change their own access, and IT makes no patients' log-ins.

    Attributes:
        patient: after validation, the record that the log-in belongs to.
    """

    patient_mrn = forms.CharField(
        label="MRN of the patient",
        required=False,
        max_length=64,
        help_text="Only for the role Patient: whose released reports they see.",
    )

    class Meta:
        model = User
        fields = ["given_name", "family_name", "email", "role", "is_active"]
        labels = {"email": "E-mail address", "is_active": "May sign in"}
        help_texts = {
            "email": "The address they sign in with.",
            "is_active": "Without it the person is signed out at once and their API tokens are deleted.",
        }

    def __init__(self, *args: Any, acting_user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patient: Patient | None = None
        self.fields["role"].choices = [("", "Choose a role"), *_roles_given_by(acting_user)]  # type: ignore[attr-defined]
        self.fields["email"].widget.attrs["autocomplete"] = "off"
        names = Row(Column("given_name", css_class="col-sm-6"), Column("family_name", css_class="col-sm-6"))
        layout = [names, "email", "role"]
        if may(acting_user, "patient", "view"):
            layout.append("patient_mrn")
            record = Patient.objects.filter(user_id=self.instance.pk).first() if self.instance.pk else None
            self.initial["patient_mrn"] = record.mrn if record else ""
        else:
            del self.fields["patient_mrn"]
        if self.instance.pk is None:
            del self.fields["is_active"]
        else:
            layout.append("is_active")
            if not may_grant(acting_user, self.instance.role):
                self.fields["role"].choices = [(self.instance.role, self.instance.get_role_display())]  # type: ignore[attr-defined]
                for name in ("given_name", "family_name", "email", "role"):
                    self.fields[name].disabled = True
                self.fields["role"].help_text = "Names, address and role are for an administrator to change."
        if self.instance.pk == acting_user.pk:
            for name in ("role", "is_active"):
                self.fields[name].disabled = True
                self.fields[name].help_text = "Nobody changes their own access; ask another administrator."
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(*layout)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        mrn = cleaned.get("patient_mrn", "")
        if mrn and cleaned.get("role") != Role.PATIENT:
            self.add_error("patient_mrn", "Only a log-in with the role Patient belongs to a record. Leave this empty.")
        elif mrn:
            self.patient = Patient.objects.filter(mrn=mrn).first()
            if self.patient is None:
                self.add_error("patient_mrn", "There is no patient with this MRN.")
            elif self.patient.user_id not in (None, self.instance.pk):
                self.add_error("patient_mrn", "This record has a log-in already.")
        return cleaned

    @property
    def account(self) -> dict[str, Any]:
        """The fields of the user itself, as the actions take them."""
        return {name: value for name, value in self.cleaned_data.items() if name != "patient_mrn"}


def _roles_given_by(user: User) -> list[tuple[str, str]]:
    return [(role.value, str(role.label)) for role in Role if may_grant(user, role)]


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
