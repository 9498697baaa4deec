"""The filters that lists of studies and analyses share: in the URL, for pages and programs alike."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from diagnosis.models import Analysis, Modality, Report, Study
from diagnosis.models.analysis import Label
from diagnosis.wording import CHECK_WORDS, NO_MODEL, NO_MODEL_WORDS
from portal.jobs import UNFINISHED, State

EARLIEST, LATEST = 1970, 2200
LONGEST_SEARCH = 200
LONGEST_MOMENT = 40
MOMENT_SENTENCE = "Write a day as 2026-11-21."


class MomentField(forms.Field):
    """A day (``2026-11-21``, in the site's time zone) or a moment (``2026-11-21T08:00:00Z``).

    ``end`` makes a day mean its end, so that "to" includes it.
    """

    def __init__(self, *, end: bool = False, **options: Any) -> None:
        self.end = end
        super().__init__(**options)

    def to_python(self, value: Any) -> datetime | None:
        text = str(value or "").strip()
        if not text:
            return None
        if len(text) > LONGEST_MOMENT:
            raise ValidationError(MOMENT_SENTENCE, code="invalid")
        try:
            day = parse_date(text)
            moment = None if day else parse_datetime(text)
        except ValueError:
            day = moment = None
        known = day or moment
        if known is None or not EARLIEST <= known.year <= LATEST:
            raise ValidationError(MOMENT_SENTENCE, code="invalid")
        if moment is not None:
            return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
        return timezone.make_aware(datetime.combine(self._edge(known), time.min))

    def _edge(self, day: date) -> date:
        return day + timedelta(days=1) if self.end else day

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)


class MomentFilter(django_filters.Filter):
    field_class = MomentField


class SearchFilter(django_filters.CharFilter):
    """Words that are looked for in the patient's name, the MRN and the accession number."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_SEARCH, label="Search", **options)

    def filter(self, qs: Any, value: Any) -> Any:
        return qs.search(value) if value else qs


STUDY_OR_ANALYSIS_STATES = [*Study.State.choices, *State.choices]


class StudyFilter(django_filters.FilterSet):
    """``modality, state, label, q, from, to, patient``. ``state`` is the study's, or one of any of its analyses."""

    q = SearchFilter()
    modality = django_filters.ChoiceFilter(choices=Modality.choices, label="Modality")
    state = django_filters.ChoiceFilter(choices=STUDY_OR_ANALYSIS_STATES, method="by_state", label="State")
    label = django_filters.ChoiceFilter(choices=Label.choices, method="by_label", label="Result of any image")
    patient = django_filters.UUIDFilter(field_name="patient_id", label="Patient")

    class Meta:
        model = Study
        fields: list[str] = []

    @classmethod
    def get_filters(cls) -> Any:
        """Add ``from`` and ``to``: the first is a word of Python's and cannot be an attribute's name."""
        filters = super().get_filters()
        filters["from"] = MomentFilter(field_name="created_at", lookup_expr="gte", label="From (day)")
        filters["to"] = MomentFilter(field_name="created_at", lookup_expr="lt", end=True, label="To (day)")
        return filters

    def by_state(self, studies: QuerySet[Study], name: str, value: str) -> QuerySet[Study]:
        if value in Study.State.values:
            return studies.filter(state=value)
        return studies.filter(pk__in=Analysis.objects.filter(state=value).values("image__study_id"))

    def by_label(self, studies: QuerySet[Study], name: str, value: str) -> QuerySet[Study]:
        return studies.filter(pk__in=Analysis.objects.filter(label=value).values("image__study_id"))


REPORTS = {"making": UNFINISHED, "failed": (State.FAILED,)}
REPORT_WORDS = [("making", "being made"), ("failed", "could not be made")]
REASONS = [*CHECK_WORDS.items(), (NO_MODEL, NO_MODEL_WORDS)]


class AnalysisFilter(django_filters.FilterSet):
    """``q, modality, label, state, from, to, patient`` on analyses, by the day they were asked for.

    ``reason`` (a check that refused, or ``no_model``), ``released`` (a report of it was released on this day or later
    and not withdrawn), ``report`` (``making`` or ``failed``: one is in work, or was given up) and ``scanner``
    are what the dashboard's numbers lead to; the page says them in words.
    """

    q = SearchFilter()
    label = django_filters.ChoiceFilter(choices=Label.choices, label="Result", empty_label="Any result")
    modality = django_filters.ChoiceFilter(choices=Modality.choices, label="Modality", empty_label="Any modality")
    state = django_filters.ChoiceFilter(choices=State.choices, label="State", empty_label="Any state")
    patient = django_filters.UUIDFilter(field_name="patient_id", label="Patient")
    reason = django_filters.ChoiceFilter(choices=REASONS, method="by_reason", label="Refused for")
    released = MomentFilter(method="by_release", label="Report released since")
    report = django_filters.ChoiceFilter(choices=REPORT_WORDS, method="by_report", label="Report")
    scanner = django_filters.CharFilter(field_name="image__device", max_length=200, label="Scanner")

    class Meta:
        model = Analysis
        fields: list[str] = []

    @classmethod
    def get_filters(cls) -> Any:
        """Add ``from`` and ``to``, as above."""
        filters = super().get_filters()
        filters["from"] = MomentFilter(field_name="queued_at", lookup_expr="gte", label="From")
        filters["to"] = MomentFilter(field_name="queued_at", lookup_expr="lt", end=True, label="To")
        return filters

    def by_reason(self, analyses: QuerySet[Analysis], name: str, value: str) -> QuerySet[Analysis]:
        refused = analyses.filter(state=State.REJECTED)
        if value == NO_MODEL:
            return refused.filter(error_code=NO_MODEL)
        # Every database that is used here writes a check's name before whether it passed.
        failed = rf'"name": "{re.escape(value)}"[^{{}}]*"passed": false'
        return refused.alias(checks=Cast("quality", TextField())).filter(checks__regex=failed)

    def by_release(self, analyses: QuerySet[Analysis], name: str, value: datetime) -> QuerySet[Analysis]:
        released = Report.objects.filter(released_at__gte=value, withdrawn_at=None).order_by()
        return analyses.filter(pk__in=released.values("analysis_id"))

    def by_report(self, analyses: QuerySet[Analysis], name: str, value: str) -> QuerySet[Analysis]:
        reports = Report.objects.filter(state__in=REPORTS[value]).order_by()
        return analyses.filter(pk__in=reports.values("analysis_id"))
