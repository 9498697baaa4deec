"""The ledger: searched, exported, and read along one patient's record."""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts import audit
from accounts.http import SignedInRequest
from accounts.ledger import anchors, export, signing
from accounts.ledger.access import events_of, in_words
from accounts.ledger.listing import rows_for
from accounts.ledger.search import PAGE_SIZE, LedgerFilterForm, matching, page_of
from accounts.models import AuditEvent, Patient, User
from accounts.permissions import needs
from accounts.reconfirm import reconfirmed_on

LONGEST_MRN = 64
SHORT_DIGEST = 16
SPOOLED_BYTES = 4 * 1024 * 1024


def _query(given: dict[str, Any]) -> str:
    return urlencode({name: str(value) for name, value in given.items()})


def _told(given: dict[str, Any]) -> dict[str, str]:
    """The filters as the ledger keeps them: what was typed is not among them."""
    return {name: audit.MASKED if name in ("q", "key") else str(value) for name, value in given.items()}


def _is_part(request: SignedInRequest) -> bool:
    return bool(request.htmx and not request.htmx.history_restore_request)


@require_safe
@needs("ledger_metadata", "view")
def ledger(request: SignedInRequest) -> HttpResponse:
    """The newest rows that fit the filters. IT staff see them without patients and details."""
    form = LedgerFilterForm(request.GET, user=request.user)
    given = form.given()
    page = page_of(matching(given), before=request.GET.get("before", ""), after=request.GET.get("after", ""))
    patient = Patient.objects.filter(pk=given["patient"]).first() if "patient" in given else None
    _note_search(request.user, given, patient)
    context = {
        "form": form,
        "given": given,
        "query": _query(given),
        "rows": rows_for(request.user, page.rows),
        "page": page,
        "page_size": PAGE_SIZE,
        "person": _person(request.user, given.get("person")),
        "patient": patient,
        "patient_gone": "patient" in given and patient is None,
    }
    if not _is_part(request):
        context |= _state()
    return render(
        request, "accounts/partials/ledger_rows.html" if _is_part(request) else "accounts/ledger.html", context
    )


def _note_search(user: User, given: dict[str, Any], patient: Patient | None) -> None:
    """Other filters are another look; what is typed letter by letter is not."""
    told = _told(given)
    chosen = json.dumps({name: value for name, value in told.items() if name != "q"}, sort_keys=True)
    audit.note_viewing(
        "ledger.viewed",
        actor=user,
        object_type="ledger",
        object_id=hashlib.sha256(chosen.encode()).hexdigest()[:SHORT_DIGEST],
        patient=patient,
        details={"filters": told},
    )


def _person(user: User, key: int | None) -> str:
    """The name of the person whose rows alone are shown."""
    if key is None:
        return ""
    found = User.objects.visible_to(user).filter(pk=key).first()
    return found.get_full_name() if found else f"User {key}"


def _state() -> dict[str, Any]:
    """How far the chain goes, and what it was anchored at last."""
    newest = AuditEvent.objects.order_by("-pk").only("sequence", "digest", "at").first()
    anchor = anchors.last()
    state = {"newest": newest, "anchor": anchor, "anchored_at": datetime.fromisoformat(anchor.at) if anchor else None}
    try:
        key = signing.public_key()
    except (signing.BadKey, OSError):
        return state
    return {**state, "public_key": signing.public_text(key), "fingerprint": signing.fingerprint(key)}


@require_POST
@needs("ledger", "view")
def ledger_patient(request: SignedInRequest) -> HttpResponse:
    """From an MRN to the rows on that record. The MRN is sent in the body, and the address that follows has the key."""
    mrn = request.POST.get("mrn", "").replace("\0", "").strip()[:LONGEST_MRN]
    patient = Patient.objects.filter(mrn=mrn).first() if mrn else None
    if patient is None:
        messages.warning(request, "There is no record with this MRN. Check it, or open the record and look from there.")
        return redirect("ledger")
    return redirect(f"{reverse('ledger')}?{urlencode({'patient': patient.pk})}")


@require_POST
@needs("ledger", "export")
@reconfirmed_on("ledger")
def ledger_export(request: SignedInRequest) -> HttpResponseBase:
    """The rows that fit the filters, oldest first, as a signed zip file."""
    form = LedgerFilterForm(request.POST, user=request.user)
    given = form.given()
    format = request.POST.get("format", "")
    if format not in export.FORMATS or form.errors:
        messages.warning(request, "The export was not made: a filter or the format is not one of the choices.")
        return redirect("ledger")
    rows = matching(given).order_by("pk")
    if rows[export.MOST_ROWS :].exists():
        messages.warning(
            request,
            f"These are more than {export.MOST_ROWS:,} rows, too many for one file. Narrow the days, and export again.",
        )
        return redirect(f"{reverse('ledger')}?{_query(given)}")
    file = tempfile.SpooledTemporaryFile(max_size=SPOOLED_BYTES)  # noqa: SIM115  the response closes it
    try:
        made = export.write(
            file,
            rows.iterator(chunk_size=export.CHUNK),
            format=format,
            filters=_told(given),
            made_by=request.user.pk,
        )
    except (signing.BadKey, OSError) as error:
        file.close()
        messages.error(request, f"The export was not made. {error}")
        return redirect("ledger")
    audit.record(
        "ledger.exported",
        actor=request.user,
        filters=_told(given),
        count=made.rows,
        format=format,
        sha256=made.sha256,
    )
    file.seek(0)
    return FileResponse(
        file,
        as_attachment=True,
        filename=f"ledger-{timezone.localdate():%Y-%m-%d}.zip",
        content_type="application/zip",
    )


@require_safe
@needs("ledger", "view")
def patient_access(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Who opened this record: every person, and with ``?all=1`` the site's own work on it too."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    everything = request.GET.get("all") == "1"
    page = page_of(
        events_of(patient, people_only=not everything),
        before=request.GET.get("before", ""),
        after=request.GET.get("after", ""),
    )
    audit.record_viewing("patient.access_viewed", actor=request.user, target=patient, patient=patient)
    return render(
        request,
        "accounts/ledger_access.html",
        {
            "patient": patient,
            "accesses": in_words(page.rows),
            "page": page,
            "page_size": PAGE_SIZE,
            "everything": everything,
        },
    )
