"""Forms about teams and emergency access."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from accounts.models import EmergencyAccess, Team, User
from accounts.roles import Role


class TeamsField(forms.ModelMultipleChoiceField):
    """The teams a person is in, as check boxes: those that are on, and those they are in already.

    Args:
        of: whose; ``None`` for somebody who is being made.
    """

    widget = forms.CheckboxSelectMultiple

    def __init__(self, *, of: User | None = None, **options: Any) -> None:
        teams = Team.objects.filter(is_active=True)
        if of is not None and of.pk is not None:
            teams = (teams | Team.objects.filter(members=of)).distinct()
            options.setdefault("initial", of.teams.all())
        options.setdefault("help_text", "A radiologist sees the studies of these teams, and those of no team.")
        super().__init__(queryset=teams, required=False, label="Teams", **options)


class MembersField(forms.ModelMultipleChoiceField):
    """Who is in a team: staff who may sign in, and who is in it already."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, *, team: Team, **options: Any) -> None:
        radiologists = User.objects.filter(role=Role.RADIOLOGIST, is_active=True)
        people = (radiologists | User.objects.filter(teams=team)).distinct()
        super().__init__(queryset=people, required=False, label="Members", initial=team.members.all(), **options)


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
