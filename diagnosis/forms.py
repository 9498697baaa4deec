"""What is typed and chosen on the reading screens."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from django import forms

from accounts.models import Patient, Team, User
from diagnosis.models import Laterality, Modality, ModelProposal, Study, View
from diagnosis.study_team import likely_team, teams_to_choose

ULTRASOUND_VIEWS = (View.RADIAL, View.ANTIRADIAL, View.TRANSVERSE, View.SAGITTAL)
MAMMOGRAM_VIEWS = (View.CC, View.MLO, View.ML, View.LM)


def views_of(modality: str) -> list[tuple[str, str]]:
    """The projections or scan planes of a modality, as choices."""
    views = ULTRASOUND_VIEWS if modality == Modality.ULTRASOUND else MAMMOGRAM_VIEWS
    return [("", View.UNKNOWN.label), *((view.value, view.label) for view in views)]


class TeamChoiceMixin:
    """Asks whose a new study is, where the person is in several teams; else there is no such field."""

    fields: dict[str, forms.Field]

    def ask_for_team(self, *, user: User, patient: Patient) -> None:
        teams = teams_to_choose(user)
        if teams:
            self.fields["team"] = forms.ModelChoiceField(
                Team.objects.taking_studies_of(user),
                initial=likely_team(user, patient=patient, teams=teams),
                empty_label=None,
                label="Team",
                help_text="Its radiologists see the study.",
                error_messages={
                    "required": "You are in several teams: choose the one whose study this is.",
                    "invalid_choice": "You are not in this team. Choose one of yours.",
                },
            )


class StudyForm(TeamChoiceMixin, forms.ModelForm):
    """A new examination. ``once`` is another one each time the form is shown: sent twice, it makes one study."""

    once = forms.UUIDField(required=False, widget=forms.HiddenInput, initial=uuid.uuid4)

    class Meta:
        model = Study
        fields = ("modality", "laterality", "clinical_history", "accession_number")
        widgets = {"clinical_history": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, user: User, patient: Patient, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ask_for_team(user=user, patient=patient)


class AssignForm(forms.Form):
    """The team that a study is given to; none: every radiologist sees it."""

    team = forms.ModelChoiceField(Team.objects.none(), required=False, empty_label="Every radiologist", label="Team")

    def __init__(self, *args: Any, study: Study, **options: Any) -> None:
        super().__init__(*args, **{"initial": {"team": study.team_id}, "auto_id": "assign_%s", **options})
        teams = Team.objects.filter(is_active=True) | Team.objects.filter(studies=study)
        self.fields["team"].queryset = teams.distinct()  # type: ignore[attr-defined]
        self.fields["team"].widget.attrs["class"] = "form-select"


class BatchForm(TeamChoiceMixin, forms.Form):
    """What holds for all files of one upload."""

    laterality = forms.ChoiceField(
        choices=[("", "As the file or the study says"), *(c for c in Laterality.choices if c[0])],
        required=False,
        label="Side",
    )
    view = forms.ChoiceField(choices=[], required=False, label="View")
    confirm_differences = forms.BooleanField(required=False)

    def __init__(self, *args: Any, modality: str, **options: Any) -> None:
        """``new_study_of`` (a patient) and ``user``: the upload begins a study, whose team may have to be asked."""
        patient, user = options.pop("new_study_of", None), options.pop("user", None)
        super().__init__(*args, **options)
        if patient is not None and user is not None:
            self.ask_for_team(user=user, patient=patient)
            if "team" in self.fields:
                self.fields["team"].widget.attrs["class"] = "form-select"
        self.fields["view"].choices = views_of(modality)  # type: ignore[attr-defined]
        for name in ("laterality", "view"):
            self.fields[name].widget.attrs["class"] = "form-select"


class FrameForm(forms.Form):
    """Which frame of a multi-frame file, counted from 1."""

    frame = forms.IntegerField(min_value=1)


class ReasonForm(forms.Form):
    """Why an administrator does something about a model."""

    reason = forms.CharField(max_length=300, label="Reason", error_messages={"required": "Say why; it is kept."})


class ChangeForm(ReasonForm):
    """Which change of the model in use is proposed, and why."""

    change = forms.ChoiceField(
        choices=ModelProposal.Change.choices, error_messages={"invalid_choice": "There is no such change."}
    )


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
