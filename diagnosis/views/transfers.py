"""Two records of one person made one, one record of two people made two, and both undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.forms import BaseForm
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.formats import date_format
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import audit
from accounts.forms import note_refusal
from accounts.http import SignedInRequest
from accounts.models import Patient
from accounts.permissions import needs
from accounts.reconfirm import reconfirmed
from diagnosis import actions
from diagnosis.models import RecordTransfer, Study
from diagnosis.privacy_forms import MergeForm, NewRecordForm, OtherRecordForm, SplitForm

UNPROCESSABLE = 422
LABELS = {field.name: str(field.verbose_name) for field in Patient._meta.fields}


def _patient(request: SignedInRequest, pk: Any) -> Patient:
    return get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)


def _tried(form: BaseForm, verb: Callable[[], RecordTransfer]) -> RecordTransfer | None:
    """Do it; what is refused is said on the form."""
    try:
        return verb()
    except ValidationError as refusal:
        note_refusal(form, refusal)
    except actions.WrongState as wrong:
        form.add_error(None, str(wrong))
    return None


@needs("patient", "merge")
@require_http_methods(["GET", "HEAD", "POST"])
@reconfirmed
def merge(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Find the other record by its MRN, compare, choose whose values stay. This record is the one that stays.

    The MRN comes by POST: no address shows it.
    """
    patient = _patient(request, pk)
    finding = OtherRecordForm(request.POST or None, acting_user=request.user, patient=patient)
    if request.method != "POST" or not finding.is_valid() or finding.other is None:
        status = UNPROCESSABLE if finding.errors else 200
        return render(request, "diagnosis/merge_find.html", {"patient": patient, "form": finding}, status=status)
    is_decided = "decided" in request.POST
    form = MergeForm(
        request.POST if is_decided else None,
        initial={"mrn": finding.other.mrn},
        acting_user=request.user,
        patient=patient,
    )
    if is_decided and form.is_valid():
        other = finding.other
        transfer = _tried(
            form,
            lambda: actions.merge_patients(
                acting_user=request.user,
                source=other,
                target=patient,
                take_from_source=form.taken,
                reason=form.cleaned_data["reason"],
            ),
        )
        if transfer is not None:
            messages.success(request, "The two records are one now. Reports that printed the old record are made anew.")
            return redirect("patient-detail", pk=patient.pk)
    for shown in (patient, finding.other):
        audit.record_viewing("patient.viewed", actor=request.user, target=shown, patient=shown)
    context = {
        "patient": patient,
        "other": finding.other,
        "form": form,
        "rows": _compared(patient, finding.other, form),
    }
    return render(request, "diagnosis/merge.html", context, status=UNPROCESSABLE if form.errors else 200)


def _compared(patient: Patient, other: Patient, form: MergeForm) -> list[dict[str, Any]]:
    """Each field of both records, side by side."""
    rows = []
    for name in actions.COMPARED:
        own, others = _shown(patient, name), _shown(other, name)
        field = form[f"keep_{name}"]
        rows.append(
            {
                "label": LABELS[name],
                "own": own,
                "others": others,
                "same": own == others,
                "name": field.html_name,
                "takes_other": (field.value() or ("source" if others and not own else "target")) == "source"
                if form.is_bound
                else bool(others and not own),
            }
        )
    return rows


def _shown(patient: Patient, name: str) -> str:
    if name == "birth_date":
        return date_format(patient.birth_date, "j M Y")
    return patient.get_sex_display() if name == "sex" else str(getattr(patient, name))


@needs("patient", "merge")
@require_http_methods(["GET", "HEAD", "POST"])
@reconfirmed
def split(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Choose the studies that belong to somebody else, and to whom."""
    patient = _patient(request, pk)
    studies = list(Study.objects.visible_to(request.user).filter(patient=patient).order_by("-created_at"))
    form = SplitForm(request.POST or None, acting_user=request.user, patient=patient, studies=studies)
    wants_new = request.POST.get("to") == "new"
    record = NewRecordForm(request.POST if wants_new else None)
    if request.method == "POST" and form.is_valid() and (not wants_new or record.is_valid()):
        chosen = [study for study in studies if str(study.pk) in form.cleaned_data["studies"]]
        transfer = _tried(
            record if wants_new else form,
            lambda: actions.split_patient(
                acting_user=request.user,
                source=patient,
                studies=chosen,
                target=form.other,
                new_record=record.cleaned_data if wants_new else None,
                reason=form.cleaned_data["reason"],
            ),
        )
        if transfer is not None:
            messages.success(request, "The studies are moved. Their reports are made anew, and released anew.")
            return redirect("patient-detail", pk=transfer.target_id)
    context = {
        "patient": patient,
        "form": form,
        "record": record,
        "studies": studies,
        "chosen": request.POST.getlist("studies"),
        "wants_new": wants_new,
    }
    refused = form.errors or record.errors
    return render(request, "diagnosis/transfer_split.html", context, status=UNPROCESSABLE if refused else 200)


@needs("patient", "merge")
@require_safe
def transfer_list(request: SignedInRequest, pk: Any) -> HttpResponse:
    """What was merged into this record and moved to or from it, and whether that can be undone."""
    patient = _patient(request, pk)
    rows = RecordTransfer.objects.filter(Q(source=patient) | Q(target=patient))
    transfers = list(rows.select_related("source", "target", "done_by", "undone_by"))
    context = {"patient": patient, "transfers": [(one, actions.contradiction(one)) for one in transfers]}
    return render(request, "diagnosis/transfer_list.html", context)


@needs("patient", "merge")
@require_POST
@reconfirmed
def transfer_undo(request: SignedInRequest, pk: Any, transfer: int) -> HttpResponse:
    """Move everything back."""
    patient = _patient(request, pk)
    row = get_object_or_404(RecordTransfer, Q(source=patient) | Q(target=patient), pk=transfer)
    try:
        actions.undo_transfer(acting_user=request.user, transfer=row)
    except actions.WrongState as wrong:
        messages.warning(request, str(wrong))
    else:
        messages.success(request, "Undone: the studies are back where they were.")
    return redirect("transfer-list", pk=row.source_id if row.kind == RecordTransfer.Kind.SPLIT else row.target_id)
