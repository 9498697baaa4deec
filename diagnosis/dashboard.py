"""The figures of the administrator's dashboard: counted from the rows as they are now, by questions an index answers.

Nothing is kept between requests, so no number is older than the page.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, QuerySet, Value
from django.urls import reverse
from django.utils import timezone

from accounts.models import Patient, User
from accounts.roles import Role
from diagnosis.models import Analysis, Report, Study
from diagnosis.models.analysis import Label
from diagnosis.wording import NO_MODEL, NO_MODEL_WORDS, check_words
from portal.jobs import UNFINISHED, State

RANGES = (7, 30, 90, 365)
"""Days that can be looked at, today included."""
DEFAULT_DAYS = 30
DAYS_A_POINT = {365: 7}
"""Days that one point of the line stands for, where it is not one."""
LATEST_STARTED = 1_000
"""Analyses whose waiting time is looked at: the latest ones."""
LATEST_REFUSED = 500
"""Refusals whose reasons are counted: the latest ones."""
ANOTHER_REASON = "Another reason"


@dataclass(frozen=True, slots=True)
class Span:
    """The days that the figures are about: the last so many, today included, in the site's time zone."""

    days: int

    @classmethod
    def asked(cls, text: str | None) -> Span:
        """Of ``?days=``; anything but one of :data:`RANGES` is the usual one."""
        return cls(days=next((days for days in RANGES if str(days) == text), DEFAULT_DAYS))

    @property
    def first_day(self) -> date:
        return timezone.localdate() - timedelta(days=self.days - 1)

    @property
    def since(self) -> datetime:
        return _midnight(self.first_day)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())


def history(**filters: str) -> str:
    """Address of the list of analyses with these filters."""
    address = reverse("history")
    return f"{address}?{urlencode(filters)}" if filters else address


@dataclass(frozen=True, slots=True)
class Tile:
    """One number with its name, where it leads, and what is worth saying beside it."""

    name: str
    value: int
    address: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a table, and one bar or slice of its chart.

    Attributes:
        tone: which of the site's colours: ``bad``, ``good``, ``neutral``, ``calm``, ``warn``.
        share: of the rows that are shares, 0-1.
    """

    name: str
    value: int
    address: str = ""
    tone: str = "calm"
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the line: a day, or the days from it on."""

    first: date
    last: date
    value: int
    address: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The queue now, and how long the latest analyses waited before a worker took them.

    Attributes:
        queued, running: analyses now.
        reports: analyses of which a report waits or is being made now.
        reports_failed: analyses of the span of which a report could not be made.
        oldest: how long the oldest waiting analysis has waited; ``None`` where none waits.
        n: analyses that the next two figures are about.
        median, longest: waiting time of these; ``None`` without any.
        longest_at: address of the analysis that waited longest; empty without any.
    """

    queued: int
    running: int
    reports: int
    reports_failed: int
    oldest: timedelta | None
    n: int
    median: timedelta | None
    longest: timedelta | None
    longest_at: str


def people() -> list[Bar]:
    """Users who may sign in, by role."""
    counts = dict(User.objects.filter(is_active=True).order_by().values_list("role").annotate(n=Count("pk")))
    users = reverse("user-list")
    return [
        Bar(name=str(role.label), value=counts.get(role.value, 0), address=f"{users}?role={role.value}&active=yes")
        for role in Role
    ]


def tiles(user: User, span: Span) -> list[Tile]:
    """How many patients, studies, analyses and released reports there are, and how many of them came in the span."""
    patients, studies = Patient.objects.visible_to(user), Study.objects.visible_to(user)
    new_patients = patients.filter(created_at__gte=span.since).count()
    new_studies = studies.filter(created_at__gte=span.since).count()
    released = Report.objects.visible_to(user).filter(released_at__gte=span.since, withdrawn_at=None).order_by()
    first = span.first_day.isoformat()
    return [
        Tile("Patients", patients.count(), reverse("patient-list"), note=f"{new_patients:,} new"),
        Tile("Studies", new_studies, f"{reverse('study-list')}?{urlencode({'from': first})}", note="begun"),
        Tile(
            "Reports released",
            released.aggregate(n=Count("analysis", distinct=True))["n"],
            history(released=first),
            note="to their patients, not withdrawn",
        ),
    ]


def by_result(user: User, span: Span) -> tuple[list[Bar], list[Bar]]:
    """Analyses of the span: all of them by what became of them, and the scored ones by their label with shares."""
    analyses = Analysis.objects.visible_to(user).filter(queued_at__gte=span.since).order_by()
    labels = dict(analyses.exclude(label="").values_list("label").annotate(n=Count("*")))
    states = dict(analyses.exclude(state=State.SUCCEEDED).values_list("state").annotate(n=Count("*")))
    scored, first = sum(labels.values()), span.first_day.isoformat()
    tones = {Label.MALIGNANT: "bad", Label.BENIGN: "good", Label.NORMAL: "neutral"}
    shares = [
        Bar(
            name=str(label.label),
            value=labels.get(label.value, 0),
            address=history(label=label.value, **{"from": first}),
            tone=tone,
            share=labels.get(label.value, 0) / scored if scored else None,
        )
        for label, tone in tones.items()
    ]
    rest = [
        Bar(
            name=words,
            value=states.get(state, 0),
            address=history(state=state.value, **{"from": first}),
            tone=tone,
        )
        for state, words, tone in (
            (State.REJECTED, "Refused", "warn"),
            (State.FAILED, "Failed", "warn"),
            (State.CANCELLED, "Cancelled", "calm"),
            (State.QUEUED, "Waiting", "calm"),
            (State.RUNNING, "Being analysed", "calm"),
        )
    ]
    return [*shares, *rest], shares


def by_day(user: User, span: Span) -> list[Point]:
    """Analyses by the day they were asked for; a long span is counted in weeks.

    One count of an index's range each, asked together: grouping by the day would compute the day of every row.
    """
    step = DAYS_A_POINT.get(span.days, 1)
    last_day = span.first_day + timedelta(days=span.days - 1)
    starts = [span.first_day + timedelta(days=place) for place in range(0, span.days, step)]
    analyses = Analysis.objects.visible_to(user).order_by()
    counts: list[QuerySet[Analysis, Any]] = [
        analyses.filter(queued_at__gte=_midnight(first), queued_at__lt=_midnight(first + timedelta(days=step)))
        .annotate(place=Value(place))
        .values("place")
        .annotate(n=Count("*"))
        .values_list("place", "n")
        for place, first in enumerate(starts)
    ]
    found = dict(counts[0].union(*counts[1:], all=True))
    points = []
    for place, first in enumerate(starts):
        last = min(first + timedelta(days=step - 1), last_day)
        address = history(**{"from": first.isoformat(), "to": last.isoformat()})
        points.append(Point(first=first, last=last, value=found.get(place, 0), address=address))
    return points


def waiting(user: User, span: Span) -> Waiting:
    """The queue now, and the waiting times of the latest analyses of the span."""
    analyses = Analysis.objects.visible_to(user)
    queued = analyses.filter(state=State.QUEUED).order_by("queued_at")
    oldest = queued.values_list("queued_at", flat=True).first()
    started = analyses.filter(queued_at__gte=span.since, started_at__isnull=False).order_by("-queued_at")
    latest = started.values_list("queued_at", "started_at", "pk")[:LATEST_STARTED]
    waits = [(begin - asked, pk) for asked, begin, pk in latest if begin is not None]
    times = [wait for wait, _ in waits]
    longest, slowest = max(waits, default=(None, None), key=lambda one: one[0])
    return Waiting(
        queued=queued.count(),
        running=analyses.filter(state=State.RUNNING).count(),
        reports=_with_report(analyses, *UNFINISHED),
        reports_failed=_with_report(analyses.filter(queued_at__gte=span.since), State.FAILED),
        oldest=timezone.now() - oldest if oldest else None,
        n=len(times),
        median=_median(times),
        longest=longest,
        longest_at=reverse("analysis-detail", args=[slowest]) if slowest else "",
    )


def _with_report(analyses: QuerySet[Analysis], *states: State) -> int:
    reports = Report.objects.filter(state__in=states).order_by()
    return analyses.filter(pk__in=reports.values("analysis_id")).count()


def _median(times: Sequence[timedelta]) -> timedelta | None:
    return timedelta(seconds=statistics.median(one.total_seconds() for one in times)) if times else None


def refusals(user: User, span: Span) -> list[Bar]:
    """Why images were refused, the commonest first; an image that failed two checks counts for both."""
    refused = Analysis.objects.visible_to(user).filter(queued_at__gte=span.since, state=State.REJECTED)
    rows = refused.order_by("-queued_at").values_list("error_code", "quality")[:LATEST_REFUSED]
    counts: Counter[str] = Counter()
    for code, checks in rows:
        counts.update(failed_checks(checks) or [NO_MODEL if code == NO_MODEL else ""])
    first = span.first_day.isoformat()
    return [
        Bar(
            name={NO_MODEL: NO_MODEL_WORDS, "": ANOTHER_REASON}.get(reason) or check_words(reason),
            value=count,
            address=history(state="rejected", **{"from": first}, **({"reason": reason} if reason else {})),
            tone="warn",
        )
        for reason, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]


def failed_checks(checks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the checks that an image did not pass, each once."""
    return list(dict.fromkeys(check["name"] for check in checks if not check["passed"]))
