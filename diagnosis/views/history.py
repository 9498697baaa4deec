"""Every analysis of the house: searched, filtered, sorted, counted, exported."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest
from accounts.models import Patient
from accounts.permissions import needs
from accounts.reconfirm import reconfirmed_on
from accounts.spreadsheets import BYTE_ORDER_MARK, Line, defused
from accounts.views.listing import WORDS, searched_for, words_out_of_address
from diagnosis import actions, history_columns
from diagnosis.filters import AnalysisFilter
from diagnosis.keyset import slice_of
from diagnosis.models import Analysis, Report

PAGE_SIZE = 50
EXPORT_CHUNK = 2_000
POSITIONS = ("after", "before")


def _filtered(request: SignedInRequest) -> AnalysisFilter:
    asked = request.GET.copy()
    asked[WORDS] = searched_for(request)
    return AnalysisFilter(asked, queryset=Analysis.objects.visible_to(request.user))


def _with_names(analyses: QuerySet[Analysis]) -> QuerySet[Analysis]:
    """Load what a row shows, and none of the long columns."""
    return analyses.select_related("patient", "image__study").defer(
        "quality", "timings_ms", "error_detail", "lesion", "marks", "similar_cases", "own_probabilities"
    )


def _without_position(request: SignedInRequest) -> str:
    """The address's filters and order, from the first page on."""
    query = request.GET.copy()
    for name in POSITIONS:
        query.pop(name, None)
    return query.urlencode()


def _patient(user: Any, key: Any) -> Patient | None:
    """The patient whose analyses alone are shown, if it is one that exists."""
    return Patient.objects.visible_to(user).filter(pk=key).first() if key else None


def _shares(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of the bar, with their place and width in percent; the suspicious ones first."""
    parts, place = [], 0.0
    for label in ("malignant", "benign", "normal"):
        (of_label,) = (one for one in summary["by_label"] if one["label"] == label)
        width = 100 * of_label["share"]
        parts.append({**of_label, "from": f"{place:.2f}", "width": f"{width:.2f}", "words": f"{width:.0f}\u00a0%"})
        place += width
    return parts


ONLY = ("reason", "released", "report", "scanner")
"""Filters that have no field of their own: what a number of the dashboard leads to."""


@dataclass(frozen=True, slots=True)
class Only:
    """One of these filters, as it was asked for and in words; ``without`` is the address's query without it."""

    name: str
    asked: str
    title: str
    words: str
    without: str


def _only(request: SignedInRequest, filters: AnalysisFilter) -> list[Only]:
    """The filters that hold beside those of the form's own fields."""
    found = []
    for name in ONLY:
        value = filters.form.cleaned_data.get(name)
        if value:
            field = filters.form.fields[name]
            words = dict(getattr(field, "choices", ())).get(value, value)
            query = request.GET.copy()
            for gone in (name, *POSITIONS):
                query.pop(gone, None)
            found.append(
                Only(
                    name=name,
                    asked=filters.data[name],
                    title=str(field.label),
                    words=f"{timezone.localtime(value):%Y-%m-%d}" if isinstance(value, datetime) else str(words),
                    without=query.urlencode(),
                )
            )
    return found


@words_out_of_address
@needs("analysis", "view")
@require_safe
def history(request: SignedInRequest) -> HttpResponse:
    """One page of analyses with the summary of all that match. A request of htmx gets the results alone."""
    filters = _filtered(request)
    matching = filters.qs
    column, descending = history_columns.chosen(request.GET.get("sort", ""))
    # Whoever sees an analysis sees its reports, so they need no question of their own.
    reports = Report.objects.exclude(file="").order_by("-version")
    page = slice_of(
        matching,
        column.order(descending=descending),
        loaded=_with_names(Analysis.objects.all()).prefetch_related(
            Prefetch("reports", reports, to_attr="ready_reports")
        ),
        size=PAGE_SIZE,
        after=request.GET.get("after"),
        before=request.GET.get("before"),
    )
    form, summary = filters.form, matching.summary()
    part = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    return render(
        request,
        "diagnosis/history_results.html" if part else "diagnosis/history.html",
        {
            "form": form,
            "selects": [form[name] for name in ("label", "modality", "state")],
            "days": [form[name] for name in ("from", "to")],
            "patient": _patient(request.user, form.cleaned_data.get("patient")),
            "only": _only(request, filters),
            "page": page,
            "page_size": PAGE_SIZE,
            "summary": summary,
            "shares": _shares(summary),
            "columns": history_columns.headings(column, descending=descending),
            "sort": request.GET.get("sort", ""),
            "query": _without_position(request),
            "narrowed": any(filters.data.get(name) for name in filters.filters),
        },
    )


def _lines(analyses: Iterable[Analysis]) -> Iterator[str]:
    writer = csv.writer(Line())
    yield BYTE_ORDER_MARK + writer.writerow(name for name, _ in history_columns.EXPORTED)
    for analysis in analyses:
        yield writer.writerow(defused(value(analysis)) for _, value in history_columns.EXPORTED)


@words_out_of_address
@needs("analysis", "export")
@require_safe
@reconfirmed_on("history")
def export(request: SignedInRequest) -> StreamingHttpResponse:
    """The same rows as the page, all of them, newest first, as CSV (docs/api.md)."""
    filters = _filtered(request)
    matching = filters.qs
    # Filters that hold, as they were written: the rest of an address is anybody's words.
    holding = {name for name, value in filters.form.cleaned_data.items() if value and name != WORDS}
    asked = {name: request.GET[name] for name in filters.filters if name in holding}
    if searched_for(request):
        # Who was looked for is a name: the ledger says only that somebody was.
        asked["searched"] = "yes"
    actions.note_export(acting_user=request.user, filters=asked, count=matching.count())  # type: ignore[arg-type]
    rows = _with_names(matching).order_by("-queued_at", "id").iterator(chunk_size=EXPORT_CHUNK)
    response = StreamingHttpResponse(_lines(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="history-{timezone.localdate():%Y-%m-%d}.csv"'
    return response
