"""What administrators and IT type about users. Each form checks and describes; ``accounts.actions`` writes."""

from __future__ import annotations

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.conf import settings
from django.db.models import Q

from accounts.models import Patient, Team, User
from accounts.people_csv import MOST_BYTES
from accounts.permissions import may, may_grant
from accounts.roles import Role

INVITE, PASSWORD = "invite", "password"
BACKENDS_THAT_KEEP = ("filebased", "dummy", "console")
"""E-mail backends that send nothing to anybody."""


def mail_leaves() -> bool:
    """Whether e-mails of this site reach people (``EMAIL_URL``)."""
    return not any(f".{name}." in settings.EMAIL_BACKEND for name in BACKENDS_THAT_KEEP)


class UserForm(forms.ModelForm):
    """A user, as an administrator or IT sees one.

    Args:
        acting_user: who fills it in; they do not change their own role, and IT makes no patients' log-ins.

    Attributes:
        patient: after validation, the record that the log-in belongs to.
    """

    teams = forms.ModelMultipleChoiceField(
        Team.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Studies of a team are seen by its members; studies of no team by every radiologist.",
    )
    patient_mrn = forms.CharField(
        label="MRN of the patient",
        required=False,
        max_length=64,
        help_text="Only for the role Patient: whose released reports they see.",
    )
    way_in = forms.ChoiceField(
        label="How they get in",
        required=False,
        choices=[
            (INVITE, "By an e-mail with a link, with which they choose a password"),
            (PASSWORD, "With a one-time password that the next page shows, to hand over"),
        ],
        widget=forms.RadioSelect,
    )

    class Meta:
        model = User
        fields = ["given_name", "family_name", "email", "role"]
        labels = {"email": "E-mail address"}
        help_texts = {"email": "The address they sign in with."}

    def __init__(self, *args: Any, acting_user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patient: Patient | None = None
        self.fields["role"].choices = [("", "Choose a role"), *_roles_given_by(acting_user)]  # type: ignore[attr-defined]
        self.fields["email"].widget.attrs["autocomplete"] = "off"
        names = Row(Column("given_name", css_class="col-sm-6"), Column("family_name", css_class="col-sm-6"))
        layout = [names, "email", "role"]
        if self._offer_teams(acting_user):
            layout.append("teams")
        if may(acting_user, "patient", "view"):
            layout.append("patient_mrn")
            record = Patient.objects.filter(user_id=self.instance.pk).first() if self.instance.pk else None
            self.initial["patient_mrn"] = record.mrn if record else ""
        else:
            del self.fields["patient_mrn"]
        if self.instance.pk is None:
            layout.append("way_in")
            self.initial["way_in"] = INVITE if mail_leaves() else PASSWORD
            if not mail_leaves():
                self.fields["way_in"].help_text = "This site sends no e-mail (EMAIL_URL): hand the password over."
        else:
            del self.fields["way_in"]
            if not may_grant(acting_user, self.instance.role):
                self._close("given_name", "family_name", "email", "role", "teams")
                self.fields["role"].choices = [(self.instance.role, self.instance.get_role_display())]  # type: ignore[attr-defined]
                self.fields["role"].help_text = "Names, address and role are for an administrator to change."
        if self.instance.pk == acting_user.pk:
            self._close("role")
            self.fields["role"].help_text = "Nobody changes their own role; ask another administrator."
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(*layout)

    def _close(self, *names: str) -> None:
        for name in names:
            if name in self.fields:
                self.fields[name].disabled = True

    def _offer_teams(self, acting_user: User) -> bool:
        """Open teams, and closed ones that the person is in."""
        own = Q(members=self.instance.pk) if self.instance.pk else Q(pk=None)
        offered = Team.objects.filter(Q(is_active=True) | own).distinct()
        if not may(acting_user, "team", "change") or not offered.exists():
            del self.fields["teams"]
            return False
        self.fields["teams"].queryset = offered  # type: ignore[attr-defined]
        self.initial["teams"] = list(self.instance.teams.all()) if self.instance.pk else []
        return True

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
        if cleaned.get("teams") and cleaned.get("role") == Role.PATIENT:
            self.add_error("teams", "A patient's log-in is in no team.")
        return cleaned

    @property
    def account(self) -> dict[str, Any]:
        """The fields of the user itself, as the actions take them."""
        return {name: self.cleaned_data[name] for name in self.Meta.fields}

    @property
    def teams_chosen(self) -> list[Team] | None:
        """``None`` where teams were not asked for."""
        return list(self.cleaned_data["teams"]) if "teams" in self.fields else None


def _roles_given_by(user: User) -> list[tuple[str, str]]:
    return [(role.value, str(role.label)) for role in Role if may_grant(user, role)]


class ResetFactorForm(forms.Form):
    """Why somebody's second factor is taken away."""

    reason = forms.CharField(
        label="Why, and how you made sure that it is them",
        max_length=500,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class PeopleFileForm(forms.Form):
    """A list of people."""

    file = forms.FileField(
        label="CSV file",
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        error_messages={"required": "Choose a file."},
        help_text=f"At most {MOST_BYTES // 1024 // 1024} MB.",
    )
