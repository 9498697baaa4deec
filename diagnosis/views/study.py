"""A study: made here, filled here, and its images as they come in and are analysed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Prefetch
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import audit
from accounts.forms import note_refusal
from accounts.http import SignedInRequest
from accounts.models import Patient
from accounts.permissions import may, needs
from diagnosis import actions, inference
from diagnosis.forms import AssignForm, BatchForm, StudyForm
from diagnosis.models import Image, Modality, Study
from diagnosis.review_forms import KnownOutcomeForm
from diagnosis.study_summary import StudySummary, summarise


@needs("study", "create")
@require_http_methods(["GET", "POST"])
def create(request: SignedInRequest, pk: Any) -> HttpResponse:
    """The form for a new study of a patient."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    form = StudyForm(request.POST or None, user=request.user, patient=patient)
    if request.method == "POST" and form.is_valid():
        try:
            study = actions.create_study(acting_user=request.user, patient=patient, **form.cleaned_data)
        except ValidationError as refusal:
            note_refusal(form, refusal)
        else:
            return redirect("study-detail", pk=study.pk)
    return render(
        request,
        "diagnosis/study_form.html",
        {"patient": patient, "form": form},
        status=422 if form.is_bound else 200,
    )


def _summary(request: SignedInRequest, pk: Any) -> StudySummary:
    images = Image.objects.select_related("analysis").order_by("created_at")
    visible = Study.objects.visible_to(request.user).select_related("patient", "created_by", "team")
    return summarise(get_object_or_404(visible.prefetch_related(Prefetch("images", images)), pk=pk))


def _exam(summary: StudySummary) -> inference.Exam | None:
    """What several mammograms add up to; an ultrasound study has no such figure."""
    if summary.study.modality != Modality.MAMMOGRAM:
        return None
    return inference.exam(image.analysis for image in summary.images)


@needs("study", "view")
@require_safe
def detail(request: SignedInRequest, pk: Any) -> HttpResponse:
    """The study with its images and the place to add some."""
    return study_page(request, pk)


def study_page(request: SignedInRequest, pk: Any, *, status: int = 200, **forms: Form) -> HttpResponse:
    """The page of a study; ``forms`` take the place of its empty ones where what was typed was refused."""
    summary = _summary(request, pk)
    study = summary.study
    audit.record("study.viewed", actor=request.user, target=study, patient=study.patient)
    return render(
        request,
        "diagnosis/study_detail.html",
        {
            "summary": summary,
            "study": study,
            "patient": study.patient,
            "exam": _exam(summary),
            "batch": BatchForm(modality=study.modality, initial={"laterality": study.laterality}),
            "max_bytes": settings.MAX_IMAGE_BYTES,
            "assign": AssignForm(study=study) if may(request.user, "study", "assign") else None,
            "outcomes": study.known_outcomes.select_related("entered_by"),
            "outcome_form": KnownOutcomeForm(initial={"laterality": study.laterality}, auto_id="outcome_%s"),
            **forms,
        },
        status=status,
    )


@needs("study", "view")
@require_safe
def images(request: SignedInRequest, pk: Any) -> HttpResponse:
    """The cards alone. 204 when nothing changed since ``?seen=``, so that a card keeps its focus while it waits."""
    summary = _summary(request, pk)
    if request.GET.get("seen") == summary.version:
        return HttpResponse(status=204)
    study = summary.study
    audit.record_viewing("study.viewed", actor=request.user, target=study, patient=study.patient)
    return render(
        request,
        "diagnosis/partials/study_images.html",
        {
            "summary": summary,
            "study": summary.study,
            "patient": summary.study.patient,
            "exam": _exam(summary),
        },
    )
