"""What patients type to join, and what staff and patients write to each other."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.addresses import canonical
from accounts.forms import EARLIEST_BIRTH
from accounts.models import Appointment, Message, User
from accounts.roles import Role


class CodeForm(forms.Form):
    """The code of the invitation and the date of birth."""

    code = forms.CharField(
        label="The code on your sheet",
        max_length=60,
        help_text="Three groups of five letters and digits. Capital or small letters do not matter.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false", "autofocus": True}
        ),
        error_messages={"required": "Type the code that is on your sheet."},
    )
    birth_date = forms.DateField(
        label="Your date of birth",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "min": EARLIEST_BIRTH}),
        error_messages={
            "required": "Enter your date of birth.",
            "invalid": "This is no date. Enter it as year-month-day, such as 1968-03-12.",
        },
    )


class AddressForm(forms.Form):
    """The e-mail address to sign in with."""

    email = forms.EmailField(
        label="Your e-mail address",
        max_length=254,
        help_text="You sign in with it. We send a number to it, to be sure that it is yours.",
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
        error_messages={
            "required": "Enter your e-mail address.",
            "invalid": "This is no e-mail address. It looks like name@example.org.",
        },
    )

    def clean_email(self) -> str:
        return canonical(self.cleaned_data["email"])


class NewPasswordForm(forms.Form):
    """The number from the e-mail, and a password.

    Args:
        person: who it will belong to: a password that is like their name or address is refused.
    """

    number = forms.CharField(
        label="The number from the e-mail",
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
        error_messages={"required": "Type the six digits that are in the e-mail."},
    )
    password1 = forms.CharField(
        label="Choose a password",
        strip=False,
        max_length=1_000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": "Choose a password."},
    )
    password2 = forms.CharField(
        label="The same password again",
        strip=False,
        max_length=1_000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": "Type the same password once more."},
    )

    def __init__(self, *args: Any, person: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._person = person
        self.fields["password1"].help_text = "At least 12 characters. Three or four words of your own are good."

    def clean_number(self) -> str:
        return re.sub(r"\D", "", self.cleaned_data["number"])

    def clean_password1(self) -> str:
        password = self.cleaned_data["password1"]
        validate_password(password, self._person)
        return str(password)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, second = cleaned.get("password1"), cleaned.get("password2")
        if first and second and first != second:
            self.add_error("password2", "The two passwords are not the same.")
        return cleaned


def future_person(*, email: str, given_name: str, family_name: str) -> User:
    """A user who is not stored, for the password rules to compare with."""
    return User(email=email, given_name=given_name, family_name=family_name, role=Role.PATIENT)


class MessageForm(forms.ModelForm):
    class Meta:
        model = Message
        fields = ["text"]
        widgets = {"text": forms.Textarea(attrs={"rows": 4, "maxlength": 4_000})}
        error_messages = {
            "text": {
                "required": "Write something first.",
                "max_length": "This is longer than 4,000 characters. Send it in two parts.",
            }
        }

    def __init__(self, *args: Any, label: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["text"].label = label


class AppointmentForm(forms.ModelForm):
    class Meta:
        model = Appointment
        fields = ["at", "purpose", "place"]
        labels = {"at": "Day and time", "purpose": "What for", "place": "Where"}
        help_texts = {
            "purpose": "As the patient reads it, such as: Ultrasound of the left breast.",
            "place": "Such as: Breast clinic, building B, second floor.",
        }
        widgets = {
            "at": forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local", "step": 300}),
        }
        error_messages = {"at": {"invalid": "This is no day and time. Enter them as 2026-11-24 09:30."}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"
        soonest = timezone.localtime() + timedelta(minutes=1)
        self.fields["at"].widget.attrs["min"] = soonest.strftime("%Y-%m-%dT%H:%M")

    def clean_at(self) -> Any:
        at = self.cleaned_data["at"]
        if at <= timezone.now():
            raise ValidationError("This time is over. Choose one that is to come.")
        return at


class UnlinkForm(forms.Form):
    reason = forms.CharField(
        label="Why",
        max_length=200,
        help_text="It is kept in the ledger, such as: Patient asked for it by telephone.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
        error_messages={"required": "Say why; it is kept in the ledger."},
    )


class InviteForm(forms.Form):
    mail_too = forms.BooleanField(
        label="Also tell the patient by e-mail that an invitation is waiting (the code is not in it)", required=False
    )
