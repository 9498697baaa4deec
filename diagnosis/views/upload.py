"""Files from the browser: one a request and an answer in JSON, or a plain form with as many as were chosen."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.http import SignedInRequest
from accounts.models import Patient
from accounts.permissions import needs
from diagnosis import actions
from diagnosis.forms import BatchForm
from diagnosis.intake import IntakeRejected, safe_filename
from diagnosis.models import Modality, Study
from diagnosis.upload_limits import upload_limits

NO_FILE = "No file arrived. Choose one or more images and send them again."


@needs("image", "add")
@require_POST
def upload(request: SignedInRequest, pk: Any) -> HttpResponse:
    """File images in a study. With ``Accept: application/json`` one file a request, answered with what became of it."""
    visible = Study.objects.visible_to(request.user).select_related("patient")
    study = get_object_or_404(visible, pk=pk)
    return _take(request, study)


@needs("study", "create")
@require_POST
def start_study(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Make today's ultrasound study of a patient and file the images in it.

    With ``Accept: application/json`` only the study is made and its addresses are answered. An empty study that the
    same person began today is used again, so that a refused file does not leave a row of empty ones.
    """
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    form = BatchForm(request.POST, modality=Modality.ULTRASOUND, new_study_of=patient, user=request.user)
    team = form.cleaned_data.get("team") if form.is_valid() else None
    if "team" in form.errors:
        return _no_study(request, patient, " ".join(map(str, form.errors["team"])))
    own = Study.objects.visible_to(request.user)
    study = (
        (own if team is None else own.filter(team=team))
        .filter(
            patient=patient,
            modality=Modality.ULTRASOUND,
            created_by=request.user,
            created_at__date=timezone.localdate(),
            images=None,
            state=Study.State.RECEIVED,
            clinical_history="",
            accession_number="",
            laterality="",
        )
        .first()
    )
    if study is None:
        try:
            study = actions.create_study(
                acting_user=request.user, patient=patient, modality=Modality.ULTRASOUND, team=team
            )
        except ValidationError as refusal:
            return _no_study(request, patient, " ".join(refusal.messages))
    if _wants_json(request):
        return JsonResponse(
            {
                "id": str(study.pk),
                "url": reverse("study-detail", args=[study.pk]),
                "upload_url": reverse("study-upload", args=[study.pk]),
            },
            status=201,
        )
    return _take(request, study)


def _no_study(request: SignedInRequest, patient: Patient, sentence: str) -> HttpResponse:
    if _wants_json(request):
        return _refused(400, "not_allowed", f"{sentence} Nothing was stored.")
    messages.error(request, f"{sentence} Nothing was stored.")
    return redirect("patient-detail", pk=patient.pk)


def _wants_json(request: SignedInRequest) -> bool:
    return request.headers.get("accept", "").startswith("application/json")


def _take(request: SignedInRequest, study: Study) -> HttpResponse:
    form = BatchForm(request.POST, modality=study.modality)
    files = request.FILES.getlist("file")
    if _wants_json(request):
        if not form.is_valid():
            return _refused(400, "not_allowed", "The side or the view is not one of the choices. Nothing was stored.")
        if len(files) != 1:
            return _refused(400, "no_file", NO_FILE if not files else "Send one file a request. Nothing was stored.")
        return _take_one(request, study, files[0], form)
    if not form.is_valid():
        messages.error(request, "The side or the view is not one of the choices. Nothing was stored.")
    elif not files:
        messages.error(request, NO_FILE)
    else:
        for file in files:
            _take_and_tell(request, study, file, form)
    return redirect("study-detail", pk=study.pk)


def _file(request: SignedInRequest, study: Study, file: UploadedFile, form: BatchForm) -> actions.Filed:
    return actions.add_image(
        acting_user=request.user,
        study=study,
        upload=file,
        filename=file.name or "",
        declared_type=file.content_type or "",
        limits=upload_limits(),
        laterality=form.cleaned_data["laterality"],
        view=form.cleaned_data["view"],
        confirm_differences=form.cleaned_data["confirm_differences"],
    )


def _take_one(request: SignedInRequest, study: Study, file: UploadedFile, form: BatchForm) -> JsonResponse:
    try:
        filed = _file(request, study, file, form)
    except IntakeRejected as rejection:
        return _refused(rejection.http_status, rejection.code, rejection.message)
    except actions.IdentityMismatch as mismatch:
        differences = [
            {"field": one.field, "in_file": one.in_file, "on_record": one.on_record, "sentence": one.sentence}
            for one in mismatch.differences
        ]
        return _refused(409, "identity_mismatch", str(mismatch), differences=differences)
    except actions.WrongState as wrong:
        return _refused(409, "wrong_state", str(wrong))
    image = filed.image
    return JsonResponse(
        {
            "id": str(image.pk),
            "url": reverse("analysis-detail", args=[image.analysis.pk]),
            "state": image.analysis.state,
            "duplicate": filed.duplicate,
            "same_study": image.study_id == study.pk,
        },
        status=200 if filed.duplicate else 201,
    )


def _refused(status: int, code: str, detail: str, **more: Any) -> JsonResponse:
    return JsonResponse({"code": code, "detail": detail, **more}, status=status)


def _take_and_tell(request: SignedInRequest, study: Study, file: UploadedFile, form: BatchForm) -> None:
    """File one image of a plain form and say in a message what became of it."""
    name = safe_filename(file.name or "")
    try:
        filed = _file(request, study, file, form)
    except IntakeRejected as rejection:
        messages.error(request, f"{name}: refused. {rejection.message}")
    except (actions.IdentityMismatch, actions.WrongState) as refusal:
        messages.warning(request, f"{name}: not filed. {refusal}")
    else:
        if filed.duplicate:
            messages.info(request, f"{name}: already on record; it was not stored again.")
        else:
            messages.success(request, f"{name}: stored and queued for analysis.")
