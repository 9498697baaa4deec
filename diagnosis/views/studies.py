"""Every study that a person sees, newest first: what the numbers of studies lead to."""

from __future__ import annotations

from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest
from accounts.permissions import needs
from accounts.views.listing import paged
from diagnosis.filters import StudyFilter
from diagnosis.models import Image, Study
from diagnosis.study_summary import summarise

FILTERS = ("modality", "state", "from", "to")


@needs("study", "view")
@require_safe
def study_list(request: SignedInRequest) -> HttpResponse:
    """One page of studies. Patients are searched in their own list, so that no name gets into an address."""
    asked = {name: request.GET[name] for name in FILTERS if request.GET.get(name)}
    images = Image.objects.select_related("analysis").order_by("created_at")
    filters = StudyFilter(asked, queryset=Study.objects.visible_to(request.user).select_related("patient"))
    listing = paged(filters.qs.prefetch_related(Prefetch("images", images)), request)
    form = filters.form
    return render(
        request,
        "diagnosis/study_list.html",
        {
            "form": form,
            "selects": [form[name] for name in ("modality", "state")],
            "days": [form[name] for name in ("from", "to")],
            "page": listing.page,
            "pages": listing.pages,
            "summaries": [summarise(study) for study in listing.page],
            "narrowed": bool(asked),
        },
    )
