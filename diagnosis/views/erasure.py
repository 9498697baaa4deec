"""Erasing a patient, from the patient's page."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.http import SignedInRequest
from accounts.models import Patient
from accounts.permissions import needs
from accounts.reconfirm import reconfirmed
from diagnosis import actions
from diagnosis.models import Image, Report
from diagnosis.privacy_forms import EraseForm


@needs("patient", "erase")
@require_http_methods(["GET", "HEAD", "POST"])
@reconfirmed
def erase(request: SignedInRequest, pk: Any) -> HttpResponse:
    """What would go, why, and the MRN typed once more; then it is gone."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    form = EraseForm(request.POST or None, patient=patient)
    if request.method == "POST" and form.is_valid():
        erasure = actions.erase_patient(acting_user=request.user, patient=patient, reason=form.cleaned_data["reason"])
        if erasure.finished_at is None:
            messages.warning(
                request,
                "The record is erased. Some of its files are in use at this moment; they are removed within minutes.",
            )
        else:
            messages.success(request, "The record and everything that belonged to it is erased.")
        return redirect("patient-list")
    context = {
        "patient": patient,
        "form": form,
        "studies": patient.studies.count(),
        "images": Image.objects.filter(study__patient=patient).count(),
        "reports": Report.objects.filter(analysis__patient=patient).count(),
        "retained": patient.retain_until
        if patient.retain_until and patient.retain_until > timezone.localdate()
        else None,
    }
    return render(request, "diagnosis/erase.html", context, status=422 if form.errors else 200)
