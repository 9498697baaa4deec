"""Forms about teams and emergency access."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from accounts.models import EmergencyAccess, Team, User
from accounts.roles import Role


class MembersField(forms.ModelMultipleChoiceField):
    """Who is in a team: staff who may sign in, and who is in it already."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, *, team: Team, **options: Any) -> None:
        radiologists = User.objects.filter(role=Role.RADIOLOGIST, is_active=True)
        people = (radiologists | User.objects.filter(teams=team)).distinct()
        super().__init__(queryset=people, required=False, label="Members", initial=team.members.all(), **options)
        self.widget.attrs["class"] = "form-check-input"


class TeamForm(forms.ModelForm):
    """A new team."""

    class Meta:
        model = Team
        fields = ["name"]
        labels = {"name": "Name of the team"}


class TeamEditForm(forms.ModelForm):
    """A team with its members."""

    class Meta:
        model = Team
        fields = ["name", "is_active"]
        labels = {"name": "Name of the team", "is_active": "Takes new studies"}
        help_texts = {"is_active": "Without it no new study goes to the team; its members still see those it has."}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["members"] = MembersField(team=self.instance)


class EmergencyForm(forms.Form):
    """Why a record outside one's teams has to be opened now."""

    reason = forms.CharField(
        label="Reason",
        max_length=EmergencyAccess._meta.get_field("reason").max_length,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True, "autocomplete": "off"}),
        help_text="In a sentence, without names. It is kept in the ledger, and administrators read it.",
        error_messages={"required": "Say in a sentence why you need this record now. It is kept and reviewed."},
    )

    @staticmethod
    def minutes() -> int:
        """How long the record would stay open."""
        return settings.EMERGENCY_ACCESS_MINUTES


class ReviewForm(forms.Form):
    """What an administrator found."""

    note = forms.CharField(
        label="What you found",
        max_length=EmergencyAccess._meta.get_field("review_note").max_length,
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off"}),
        error_messages={"required": "Write what you found; it is kept."},
    )
