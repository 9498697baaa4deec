"""De-identified packages: asked for from the history or a patient, made by the worker, fetched for some days."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms import note_refusal
from accounts.http import SignedInRequest
from accounts.permissions import needs
from accounts.reconfirm import reconfirmed, reconfirmed_on
from accounts.views.listing import WORDS, paged, searched_for
from diagnosis import actions
from diagnosis.deidentify.package import MOST_BYTES
from diagnosis.filters import AnalysisFilter
from diagnosis.models import Analysis, DeidentifiedExport, Image, Study
from diagnosis.privacy_forms import ExportForm
from diagnosis.stored_files import send

CONFLICT = 409


def _chosen(request: SignedInRequest) -> QuerySet[Study]:
    """The studies with an image that matches the filters in the address (those of the history)."""
    asked = request.GET.copy()
    asked[WORDS] = searched_for(request)
    matching = AnalysisFilter(asked, queryset=Analysis.objects.visible_to(request.user)).qs
    return Study.objects.visible_to(request.user).filter(pk__in=matching.order_by().values("image__study"))


@needs("deidentified_export", "view")
@require_safe
def export_list(request: SignedInRequest) -> HttpResponse:
    """Every package that was asked for, newest first."""
    listing = paged(DeidentifiedExport.objects.select_related("requested_by"), request)
    return render(request, "diagnosis/export_list.html", {"page": listing.page, "pages": listing.pages})


@needs("deidentified_export", "create")
@require_http_methods(["GET", "HEAD", "POST"])
@reconfirmed
def export_create(request: SignedInRequest) -> HttpResponse:
    """What would go into the package, and what for."""
    chosen = _chosen(request)
    refused = actions.without_consent(chosen)
    included = chosen.exclude(pk__in=refused.values("pk"))
    count = included.count()
    form = ExportForm(request.POST or None, initial={"seen": count})
    status = 200
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["seen"] != count:
            form = ExportForm({**request.POST.dict(), "seen": count})
            form.is_valid()
            form.add_error(None, "Other studies match by now; the figures above are the new ones. Nothing was started.")
            status = CONFLICT
        else:
            try:
                export = actions.request_export(
                    acting_user=request.user, studies=included, purpose=form.cleaned_data["purpose"]
                )
            except ValidationError as refusal:
                note_refusal(form, refusal)
            except actions.WrongState as wrong:
                form.add_error(None, str(wrong))
            else:
                messages.info(request, "The package is being made. You will be told when it is ready.")
                return redirect("export-detail", pk=export.pk)
    if form.errors and status == 200:
        status = 422
    context = {
        "form": form,
        "studies": count,
        "patients": included.order_by().values("patient").distinct().count(),
        "images": Image.objects.filter(study__in=included).count(),
        "without_consent": refused.count(),
        "needs_consent": settings.EXPORT_NEEDS_CONSENT,
        "most_studies": actions.MOST_STUDIES,
        "most_gigabytes": MOST_BYTES // 1024**3,
        "days": settings.EXPORT_DAYS,
    }
    return render(request, "diagnosis/export_create.html", context, status=status)


@needs("deidentified_export", "view")
@require_safe
def export_detail(request: SignedInRequest, pk: Any) -> HttpResponse:
    """One package: how far it is, what was left out and why. ``?part=1`` is what a waiting page asks for."""
    export = get_object_or_404(DeidentifiedExport.objects.select_related("requested_by"), pk=pk)
    part = request.htmx and not request.htmx.history_restore_request
    template = "diagnosis/partials/export_state.html" if part else "diagnosis/export_detail.html"
    return render(request, template, {"export": export, "study_count": export.studies.count()})


@needs("deidentified_export", "view")
@require_safe
@reconfirmed_on("export-detail")
def export_file(request: SignedInRequest, pk: Any) -> HttpResponseBase:
    """The package itself."""
    export = get_object_or_404(DeidentifiedExport, pk=pk)
    if not export.file:
        raise Http404("The package is not there: it is not ready, or its time has passed.")
    response = send(
        request,
        export.file,
        sha256=export.sha256,
        content_type="application/zip",
        filename=f"deidentified-{export.pk}.zip",
        attachment=True,
    )
    actions.note_export_download(acting_user=request.user, export=export)
    return response


@needs("deidentified_export", "create")
@require_POST
def export_cancel(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Stop the making of a package, or remove one before its time."""
    export = get_object_or_404(DeidentifiedExport, pk=pk)
    try:
        actions.cancel_export(acting_user=request.user, export=export)
    except actions.WrongState as wrong:
        messages.warning(request, str(wrong))
    else:
        messages.info(request, "The package is removed. What was downloaded before cannot be called back.")
    return redirect("export-detail", pk=pk)
