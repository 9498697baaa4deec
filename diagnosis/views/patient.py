"""One patient: who it is, what was examined, and the door for new images."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from accounts import audit
from accounts.http import SignedInRequest
from accounts.models import Patient
from accounts.permissions import needs
from diagnosis.forms import BatchForm
from diagnosis.models import Image, Modality, Study
from diagnosis.study_summary import summarise


@needs("patient", "view")
@require_safe
def detail(request: SignedInRequest, pk: Any) -> HttpResponse:
    """The record with its studies, newest first. One that was merged leads to the one that stayed."""
    stayed = Patient.objects.visible_to(request.user).filter(merged_from=pk).first()
    if stayed is not None:
        return redirect("patient-detail", pk=stayed.pk)
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    images = Image.objects.select_related("analysis").order_by("created_at")
    visible = Study.objects.visible_to(request.user).filter(patient=patient)
    audit.record("patient.viewed", actor=request.user, target=patient, patient=patient)
    return render(
        request,
        "diagnosis/patient_detail.html",
        {
            "patient": patient,
            "summaries": [summarise(study) for study in visible.prefetch_related(Prefetch("images", images))],
            "outside_teams": Patient.objects.with_studies_outside_teams_of(request.user).filter(pk=patient.pk).exists(),
            "batch": BatchForm(modality=Modality.ULTRASOUND, new_study_of=patient, user=request.user),
            "max_bytes": settings.MAX_IMAGE_BYTES,
        },
    )
