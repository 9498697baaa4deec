"""What radiologists and administrators type about a result. Each form checks and describes; the actions write."""

from __future__ import annotations

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from diagnosis.actions.reviews import LONGEST_LETTER
from diagnosis.models import Analysis, BiRads, KnownOutcome, Label, Laterality

LONGEST_CONCLUSION = 10_000


def _laid_out(*rows: Any) -> FormHelper:
    helper = FormHelper()
    helper.form_tag = False
    helper.layout = Layout(*rows)
    return helper


class ConclusionForm(forms.Form):
    """A radiologist's own reading of one image; ``seen`` is the newest conclusion on the page it was typed on."""

    label = forms.ChoiceField(choices=[("", "Choose"), *Label.choices], label="Appearance")
    birads = forms.ChoiceField(choices=[("", "Choose"), *BiRads.choices], label="BI-RADS category")
    conclusion = forms.CharField(
        max_length=LONGEST_CONCLUSION,
        label="Conclusion",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Printed on the report, before what the computer says.",
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.helper = _laid_out(
            Row(Column("label", css_class="col-sm-5"), Column("birads", css_class="col-sm-7")), "conclusion", "seen"
        )

    @property
    def reading(self) -> dict[str, str]:
        """Label, category and words, as the actions take them."""
        return {name: self.cleaned_data[name] for name in ("label", "birads", "conclusion")}


class QuestionForm(forms.Form):
    """Whom to ask for a second opinion, and what."""

    asked_of = forms.ModelChoiceField(User.objects.none(), label="Colleague", empty_label="Choose")
    question = forms.CharField(max_length=500, label="Question", widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, analysis: Analysis, asking: User, **options: Any) -> None:
        super().__init__(*args, **options)
        colleagues = User.objects.filter(role=Role.RADIOLOGIST, is_active=True).exclude(pk=asking.pk)
        able = [one.pk for one in colleagues if Analysis.objects.visible_to(one).filter(pk=analysis.pk).exists()]
        self.fields["asked_of"].queryset = colleagues.filter(pk__in=able)  # type: ignore[attr-defined]
        self.helper = _laid_out("asked_of", "question")


class LetterForm(forms.Form):
    """The letter that goes with a released report."""

    letter = forms.CharField(
        max_length=LONGEST_LETTER,
        label="Letter to the patient",
        widget=forms.Textarea(attrs={"rows": 16}),
        help_text="The patient reads this first, then the report. Plain words; no figures of the computer.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.helper = _laid_out("letter")


class WithdrawalForm(forms.Form):
    reason = forms.CharField(max_length=500, label="Why it is taken back")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.helper = _laid_out("reason")


class KnownOutcomeForm(forms.Form):
    """What an examined breast turned out to have."""

    laterality = forms.ChoiceField(choices=Laterality.choices, required=False, label="Side")
    label = forms.ChoiceField(choices=[("", "Choose"), *Label.choices], label="It was")
    source = forms.ChoiceField(choices=[("", "Choose"), *KnownOutcome.Source.choices], label="Known from")
    determined_on = forms.DateField(label="On", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["determined_on"].widget.attrs["max"] = timezone.localdate().isoformat()
        self.helper = _laid_out(
            Row(Column("laterality", css_class="col-sm-6"), Column("label", css_class="col-sm-6")),
            Row(Column("source", css_class="col-sm-6"), Column("determined_on", css_class="col-sm-6")),
        )

    def clean_determined_on(self) -> Any:
        day = self.cleaned_data["determined_on"]
        if day > timezone.localdate():
            raise forms.ValidationError("This day lies in the future.")
        return day
