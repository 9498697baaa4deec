"""Messages between a patient and the clinic: the patient's page, and the same thread for staff."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from accounts import actions
from accounts.consents import Purpose, has_consent
from accounts.forms import note_refusal
from accounts.http import SignedInRequest
from accounts.models import Message, Patient
from accounts.own_record import with_own_record
from accounts.patient_forms import MessageForm
from accounts.permissions import needs

SHOWN = 200
"""The newest of a thread; older ones are in the export of the record's own data."""


def thread_of(patient: Patient) -> list[Message]:
    """The newest messages, oldest first."""
    newest = Message.objects.filter(patient=patient).select_related("author").order_by("-created_at", "-pk")[:SHOWN]
    return list(reversed(newest))


@needs("own_record", "change")
@require_http_methods(["GET", "HEAD", "POST"])
@with_own_record()
def own_messages(request: SignedInRequest, *, patient: Patient) -> HttpResponse:
    """Read what the clinic wrote, and write to it."""
    form = MessageForm(request.POST or None, label="Your message")
    if request.method == "POST" and form.is_valid():
        try:
            actions.write_to_clinic(acting_user=request.user, text=form.cleaned_data["text"])
        except ValidationError as refusal:
            note_refusal(form, refusal)
        else:
            messages.success(request, "Your message is sent.")
            return redirect("own-messages")
    thread = thread_of(patient)
    if request.method == "GET":
        actions.read_own_messages(acting_user=request.user)
    context: dict[str, Any] = {"patient": patient, "thread": thread, "form": form}
    return render(request, "accounts/own_messages.html", context, status=422 if form.errors else 200)


@needs("message", "view")
@require_http_methods(["GET", "HEAD", "POST"])
def patient_messages(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """The thread of one patient: opening it marks it as read, for all staff."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user).select_related("user"), pk=pk)
    form = MessageForm(request.POST or None, label="Answer")
    if request.method == "POST" and form.is_valid():
        try:
            actions.write_to_patient(acting_user=request.user, patient=patient, text=form.cleaned_data["text"])
        except ValidationError as refusal:
            note_refusal(form, refusal)
        else:
            messages.success(request, "The message is sent.")
            return redirect("patient-messages", pk=pk)
    thread = thread_of(patient)
    if request.method == "GET":
        actions.read_messages_of(acting_user=request.user, patient=patient)
    context = {
        "patient": patient,
        "thread": thread,
        "form": form,
        "reads": patient.user is not None and has_consent(patient, Purpose.PORTAL),
    }
    return render(request, "accounts/own_patient_messages.html", context, status=422 if form.errors else 200)
