"""Patients: the list, a new record, a corrected record."""

from __future__ import annotations

import copy
import uuid
from datetime import timedelta

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts import actions, audit
from accounts.forms import PatientForm, note_refusal
from accounts.http import SignedInRequest
from accounts.models import AuditEvent, Patient
from accounts.permissions import needs
from accounts.views.listing import paged, searched_for, words_out_of_address

OFFERED = "emergency_access.offered"
MOST_OFFERS = 20
"""Records outside their teams that a person finds by MRN within an hour: more is trying numbers out."""


@words_out_of_address
@require_safe
@needs("patient", "view")
def patient_list(request: SignedInRequest) -> HttpResponse:
    """All patients by name, or those that match what was searched for. A request of htmx gets the rows alone."""
    words = searched_for(request)
    patients = Patient.objects.visible_to(request.user)
    listing = paged(patients.search(words).order_by("search_text", "pk"), request)
    part = request.htmx and not request.htmx.history_restore_request
    template = "accounts/partials/patient_rows.html" if part else "accounts/patient_list.html"
    context = {"page": listing.page, "pages": listing.pages, "words": words, "outside": _outside_teams(request, words)}
    return render(request, template, context)


def _outside_teams(request: SignedInRequest, mrn: str) -> Patient | None:
    """The record with exactly this MRN that only emergency access opens to the person; that they asked is kept."""
    patient = Patient.objects.outside_teams_of(request.user).filter(mrn=mrn).first() if mrn else None
    if patient is None:
        return None
    lately = timezone.now() - timedelta(hours=1)
    offered = AuditEvent.objects.filter(actor=request.user, action=OFFERED, at__gt=lately).exclude(patient=patient)
    if offered.order_by().values("patient").distinct().count() >= MOST_OFFERS:
        audit.record_viewing("emergency_access.refused", actor=request.user, target=patient, patient=patient)
        return None
    audit.record_viewing(OFFERED, actor=request.user, target=patient, patient=patient)
    return patient


@require_http_methods(["GET", "HEAD", "POST"])
@needs("patient", "create")
def patient_create(request: SignedInRequest) -> HttpResponse:
    form = PatientForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            patient = actions.create_patient(acting_user=request.user, **form.cleaned_data)
        except ValidationError as refusal:
            note_refusal(form, refusal)
        else:
            messages.success(request, "The patient is on record. Add a study next.")
            return redirect("patient-detail", pk=patient.pk)
    return render(request, "accounts/patient_form.html", {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("patient", "change")
def patient_edit(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    # A model form writes what was typed into its instance; the record itself is only written by the action.
    form = PatientForm(request.POST or None, instance=copy.copy(patient))
    if request.method == "POST" and form.is_valid():
        try:
            actions.update_patient(acting_user=request.user, patient=patient, **form.cleaned_data)
        except ValidationError as refusal:
            note_refusal(form, refusal)
        else:
            messages.success(request, "The record is saved.")
            return redirect("patient-detail", pk=patient.pk)
    unchanged = get_object_or_404(Patient, pk=pk) if form.errors else patient
    context = {"form": form, "patient": unchanged}
    return render(request, "accounts/patient_form.html", context, status=422 if form.errors else 200)
