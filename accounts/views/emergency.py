"""Emergency access to a record outside one's teams: the question why, the end of it, and what administrators review."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import actions, audit
from accounts.forms import note_refusal
from accounts.http import SignedInRequest
from accounts.ledger import wording
from accounts.models import AuditEvent, EmergencyAccess, Patient
from accounts.permissions import may, needs
from accounts.team_forms import EmergencyForm, ReviewForm
from accounts.views.listing import paged

SHOWN_STEPS = 100


@require_http_methods(["GET", "HEAD", "POST"])
@needs("emergency_access", "create")
def emergency_open(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask why, then open the whole record. Who sees nothing of it yet is told no name either."""
    seen = Patient.objects.visible_to(request.user).filter(pk=pk).first()
    patient = Patient.objects.with_studies_outside_teams_of(request.user).filter(pk=pk).first()
    if patient is None and seen is not None:
        return redirect("patient-detail", pk=pk)
    if patient is None:
        raise Http404
    form = EmergencyForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                actions.grant_emergency_access(acting_user=request.user, patient=patient, **form.cleaned_data)
            except ValidationError as refusal:
                note_refusal(form, refusal)
            except actions.TooManyEmergencies as refusal:
                form.add_error(None, str(refusal))
                status = 429
            else:
                return redirect("patient-detail", pk=pk)
    # ``seen`` alone says whose record it is, and only to who sees a part of it already.
    context = {"form": form, "record": patient.pk, "seen": seen, "minutes": form.minutes()}
    return render(request, "accounts/emergency_open.html", context, status=status)


@require_POST
@needs("emergency_access", "end")
def emergency_end(request: SignedInRequest, pk: int) -> HttpResponse:
    access = get_object_or_404(EmergencyAccess.objects.visible_to(request.user).select_related("patient"), pk=pk)
    if actions.end_emergency_access(acting_user=request.user, access=access):
        messages.success(request, "Emergency access has ended. What belongs to other teams is closed again.")
    else:
        messages.info(request, "It was over already; what belongs to other teams is closed.")
    if may(request.user, "emergency_access", "view"):
        return redirect("emergency-list")
    if Patient.objects.visible_to(request.user).filter(pk=access.patient_id).exists():
        return redirect("patient-detail", pk=access.patient_id)
    return redirect("patient-list")


@require_safe
@needs("emergency_access", "view")
def emergency_list(request: SignedInRequest) -> HttpResponse:
    """All uses, newest first; ``?show=open`` those that nobody reviewed yet."""
    waiting_only = request.GET.get("show") == "open"
    uses = EmergencyAccess.objects.visible_to(request.user).select_related("user", "patient", "reviewed_by")
    waiting = uses.filter(reviewed_at=None)
    listing = paged((waiting if waiting_only else uses).order_by("-granted_at", "-pk"), request)
    context = {
        "page": listing.page,
        "pages": listing.pages,
        "waiting": waiting.count(),
        "waiting_only": waiting_only,
    }
    return render(request, "accounts/emergency_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("emergency_access", "review")
def emergency_review(request: SignedInRequest, pk: int) -> HttpResponse:
    """One use: why, for how long, what was done with it, and the note of who looked into it."""
    uses = EmergencyAccess.objects.visible_to(request.user).select_related("user", "patient", "reviewed_by")
    access = get_object_or_404(uses, pk=pk)
    audit.record_viewing("emergency_access.viewed", actor=request.user, target=access, patient=access.patient)
    form = ReviewForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                actions.review_emergency_access(acting_user=request.user, access=access, **form.cleaned_data)
            except ValidationError as refusal:
                note_refusal(form, refusal)
            except PermissionError as rule:
                form.add_error(None, str(rule))
            except actions.AlreadyReviewed as late:
                messages.warning(request, str(late))
                return redirect("emergency-review", pk=pk)
            else:
                messages.success(request, "The review is kept.")
                return redirect("emergency-list")
    until = access.ended_at or access.expires_at
    steps = AuditEvent.objects.filter(
        actor=access.user, patient=access.patient, at__gte=access.granted_at, at__lte=until
    ).order_by("at", "pk")
    context = {
        "access": access,
        "form": form,
        "steps": [(step.at, wording.phrase(step)) for step in steps[:SHOWN_STEPS]],
        "steps_count": steps.count(),
        "is_own": access.user_id == request.user.pk,
    }
    return render(request, "accounts/emergency_review.html", context, status=status)
