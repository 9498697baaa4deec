"""Appointments: the patient's own list, and the pages where staff make, change and cancel them."""

from __future__ import annotations

import copy
import uuid

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import actions, audit
from accounts.forms import note_refusal
from accounts.http import SignedInRequest
from accounts.models import Appointment, Patient
from accounts.own_record import with_own_record
from accounts.patient_forms import AppointmentForm
from accounts.permissions import needs

SHOWN = 100


@needs("own_record", "view")
@require_safe
@with_own_record()
def own_appointments(request: SignedInRequest, *, patient: Patient) -> HttpResponse:
    """What is to come, soonest first, and what is over."""
    return render(request, "accounts/own_appointments.html", {"patient": patient, **_by_time(patient)})


def _by_time(patient: Patient) -> dict[str, list[Appointment]]:
    now = timezone.now()
    rows = Appointment.objects.filter(patient=patient)
    return {
        "upcoming": list(rows.filter(at__gt=now).order_by("at")[:SHOWN]),
        "past": list(rows.filter(at__lte=now).order_by("-at")[:SHOWN]),
    }


@needs("appointment", "view")
@require_safe
def patient_appointments(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """The appointments of one patient."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    return render(request, "accounts/own_patient_appointments.html", {"patient": patient, **_by_time(patient)})


@needs("appointment", "create")
@require_http_methods(["GET", "HEAD", "POST"])
def appointment_create(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    form = AppointmentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.make_appointment(acting_user=request.user, patient=patient, **form.cleaned_data)
        except ValidationError as refusal:
            note_refusal(form, refusal)
        else:
            messages.success(request, "The appointment is made.")
            return redirect("patient-appointments", pk=pk)
    context = {"patient": patient, "form": form}
    return render(request, "accounts/own_appointment_form.html", context, status=422 if form.errors else 200)


@needs("appointment", "change")
@require_http_methods(["GET", "HEAD", "POST"])
def appointment_change(request: SignedInRequest, pk: int) -> HttpResponse:
    appointment = _visible(request, pk)
    form = AppointmentForm(request.POST or None, instance=copy.copy(appointment))
    if request.method == "POST" and form.is_valid():
        try:
            actions.change_appointment(acting_user=request.user, appointment=appointment, **form.cleaned_data)
        except ValidationError as refusal:
            note_refusal(form, refusal)
        else:
            messages.success(request, "The appointment is changed.")
            return redirect("patient-appointments", pk=appointment.patient_id)
    audit.record_viewing("appointment.viewed", actor=request.user, target=appointment, patient=appointment.patient)
    context = {"patient": appointment.patient, "appointment": appointment, "form": form}
    return render(request, "accounts/own_appointment_form.html", context, status=422 if form.errors else 200)


@needs("appointment", "change")
@require_POST
def appointment_cancel(request: SignedInRequest, pk: int) -> HttpResponse:
    appointment = _visible(request, pk)
    try:
        actions.cancel_appointment(acting_user=request.user, appointment=appointment)
    except ValidationError as refusal:
        messages.warning(request, " ".join(refusal.messages))
    else:
        messages.success(request, "The appointment is cancelled. The patient sees it as cancelled.")
    return redirect("patient-appointments", pk=appointment.patient_id)


def _visible(request: SignedInRequest, pk: int) -> Appointment:
    patients = Patient.objects.visible_to(request.user)
    return get_object_or_404(Appointment.objects.filter(patient__in=patients).select_related("patient"), pk=pk)
