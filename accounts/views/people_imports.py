"""Importing a list of people: choose a file, see what would happen, import."""

from __future__ import annotations

import uuid
from collections import Counter

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import actions
from accounts.http import SignedInRequest
from accounts.models import PeopleImport
from accounts.people_check import Outcome, check
from accounts.people_csv import COLUMNS, EXAMPLE, MOST_BYTES, MOST_PEOPLE, Unreadable, read
from accounts.permissions import needs
from accounts.reconfirm import reconfirmed
from accounts.spreadsheets import BYTE_ORDER_MARK
from accounts.user_forms import PeopleFileForm, mail_leaves

SHOWN_REFUSALS = 5


@require_http_methods(["GET", "HEAD", "POST"])
@needs("user", "import")
def people_import(request: SignedInRequest) -> HttpResponseBase:
    """Choose a file; one that can be read is kept on the server and leads to its preview."""
    form = PeopleFileForm(request.POST, request.FILES) if request.method == "POST" else PeopleFileForm()
    if form.is_valid():
        try:
            sheet = read(form.cleaned_data["file"].read(MOST_BYTES + 1))
        except Unreadable as problem:
            form.add_error("file", str(problem))
        else:
            kept = actions.keep_people(acting_user=request.user, sheet=sheet)
            return redirect("people-import-preview", pk=kept.pk)
    context = {"form": form, "columns": COLUMNS, "most": MOST_PEOPLE, "mail_leaves": mail_leaves()}
    return render(request, "accounts/user_import.html", context, status=422 if form.errors else 200)


@require_safe
@needs("user", "import")
def people_example(request: SignedInRequest) -> HttpResponse:
    """A file to start from."""
    return HttpResponse(
        BYTE_ORDER_MARK + EXAMPLE,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="people.csv"'},
    )


def _kept(request: SignedInRequest, pk: uuid.UUID) -> PeopleImport:
    """One's own list that still waits."""
    return get_object_or_404(PeopleImport, pk=pk, created_by=request.user, expires_at__gt=timezone.now())


@require_safe
@needs("user", "import")
def people_preview(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """What the import would do, row by row. Nothing is written yet."""
    kept = _kept(request, pk)
    rows = check(kept.rows, acting_user=request.user)
    counts = Counter(row.outcome for row in rows)
    context = {
        "kept": kept,
        "rows": sorted(rows, key=lambda row: (row.outcome is not Outcome.WRONG, row.line)),
        "new": counts[Outcome.NEW],
        "changed": counts[Outcome.CHANGED],
        "same": counts[Outcome.SAME],
        "wrong": counts[Outcome.WRONG],
        "to_do": counts[Outcome.NEW] + counts[Outcome.CHANGED],
        "mail_leaves": mail_leaves(),
    }
    return render(request, "accounts/user_import_preview.html", context)


@require_POST
@needs("user", "import")
@reconfirmed
def people_confirm(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Import the list, once."""
    try:
        done = actions.import_people(acting_user=request.user, kept=_kept(request, pk))
    except (Http404, actions.AlreadyImported):
        messages.warning(request, "This list was imported already, or it expired. Nothing was done again.")
        return redirect("user-list")
    messages.success(request, f"{_people(done.invited)} invited, {done.changed} changed.")
    for line, sentence in done.refused[:SHOWN_REFUSALS]:
        messages.warning(request, f"Line {line} was left out: {sentence}")
    if len(done.refused) > SHOWN_REFUSALS:
        messages.warning(request, f"{len(done.refused) - SHOWN_REFUSALS} more lines were left out.")
    return redirect("user-list")


@require_POST
@needs("user", "import")
def people_discard(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    actions.discard_people(acting_user=request.user, kept=_kept(request, pk))
    messages.success(request, "The list was thrown away. Nobody was invited or changed.")
    return redirect("people-import")


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
