"""How a patient comes to a log-in: the clinic's invitation, and the open pages where it is used."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import actions
from accounts.http import SignedInRequest
from accounts.invitation_code import digest
from accounts.models import Patient, PatientInvitation
from accounts.patient_forms import AddressForm, CodeForm, InviteForm, NewPasswordForm, UnlinkForm, future_person
from accounts.permissions import needs
from accounts.qr import qr_code
from accounts.rate_limits import allow

STEPS = "joining"
"""Key of the session under which the steps already taken are kept."""
JOIN_SECONDS = 30 * 60
"""From the code to the password."""
NUMBER_SECONDS = 10 * 60
"""How long the number that was sent by e-mail counts."""
NUMBER_TRIES = 5
"""Wrong numbers after which a new one has to be asked for."""
BACKEND = "django.contrib.auth.backends.ModelBackend"
NOT_OPENED = (
    "This code and this date of birth do not open an invitation. Check both and try again. A code is valid for "
    f"{settings.INVITATION_DAYS} days and works once. If it still does not work, please call us."
)
WRONG_NUMBER = "This number is not right, or it is too old. Check the newest e-mail, or ask for a new number."


# The clinic's side


@require_POST
@needs("patient_invitation", "create")
def invite(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Make an invitation and show its sheet, this once."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    form = InviteForm(request.POST)
    form.is_valid()
    try:
        invitation, code = actions.invite_patient(
            acting_user=request.user, patient=patient, mail_too=form.cleaned_data["mail_too"]
        )
    except actions.HasLogIn as refusal:
        messages.warning(request, str(refusal))
        return redirect("patient-detail", pk=pk)
    address = f"{settings.PUBLIC_URL}{reverse('join')}"
    context = {
        "patient": patient,
        "invitation": invitation,
        "code": code,
        "address": address,
        "qr": qr_code(address),
        "mailed": form.cleaned_data["mail_too"] and patient.email,
    }
    return render(request, "accounts/own_invitation_sheet.html", context, status=201)


@require_POST
@needs("patient_invitation", "revoke")
def revoke(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Stop the code that is still open."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    if actions.revoke_invitations(acting_user=request.user, patient=patient):
        messages.success(request, "The invitation is taken back; its code no longer works.")
    else:
        messages.info(request, "There was no open invitation.")
    return redirect("patient-detail", pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("patient_invitation", "revoke")
def unlink(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Take the log-in away from the record, with a reason."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user).select_related("user"), pk=pk)
    if patient.user is None:
        messages.info(request, "This record has no log-in.")
        return redirect("patient-detail", pk=pk)
    form = UnlinkForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        actions.unlink_patient_login(acting_user=request.user, patient=patient, reason=form.cleaned_data["reason"])
        messages.success(request, "The log-in is switched off. To give access again, invite the patient anew.")
        return redirect("patient-detail", pk=pk)
    context = {"patient": patient, "form": form}
    return render(request, "accounts/own_unlink.html", context, status=422 if form.errors else 200)


# The patient's side


def _step(request: HttpRequest) -> dict[str, Any] | None:
    """What this browser has shown so far; nothing after half an hour."""
    taken = request.session.get(STEPS)
    if not taken or taken["until"] < time.time():
        if request.session.pop(STEPS, None):
            messages.info(request, "That took longer than half an hour. Please begin again with the code.")
        return None
    return dict(taken)


def _invitation(step: dict[str, Any] | None) -> PatientInvitation | None:
    """The invitation of a step; it may have been removed since."""
    if step is None:
        return None
    return PatientInvitation.objects.select_related("patient").filter(pk=step["invitation"]).first()


def _keep(request: HttpRequest, step: dict[str, Any]) -> None:
    request.session[STEPS] = step


def _refused_for_now(request: HttpRequest) -> HttpResponse:
    response = render(request, "429.html", status=429)
    response["Retry-After"] = "300"
    return response


@login_not_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """The code and the date of birth. Whatever is wrong, the answer is the same."""
    form = CodeForm(request.POST or None)
    if request.method == "POST":
        typed = form.cleaned_data.get("code", "") if form.is_valid() else ""
        if not allow(request, action="patient_invitation", key=digest(typed)):
            return _refused_for_now(request)
        if typed:
            invitation = actions.check_invitation(**form.cleaned_data)
            if invitation is not None:
                request.session.cycle_key()
                _keep(request, {"invitation": str(invitation.pk), "until": time.time() + JOIN_SECONDS})
                return redirect("join-address")
            form.add_error(None, NOT_OPENED)
    return render(request, "accounts/own_join.html", {"form": form, "step": 1}, status=422 if form.errors else 200)


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def join_address(request: HttpRequest) -> HttpResponse:
    """The e-mail address; a number is sent to it. The page does not tell whether the address has a log-in."""
    step = _step(request)
    invitation = _invitation(step)
    if step is None or invitation is None:
        return redirect("join")
    form = AddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not allow(request, action="patient_join_address", key=step["invitation"]):
            return _refused_for_now(request)
        email, number = form.cleaned_data["email"], f"{secrets.randbelow(1_000_000):06d}"
        free = actions.send_number(invitation=invitation, email=email, number=number)
        # Where the address is taken no number fits; how that looks from outside is the same.
        sealed = _sealed(step["invitation"], email, number) if free else ""
        _keep(request, {**step, "email": email, "number": sealed, "sent": time.time(), "tries": 0})
        return redirect("join-password")
    return render(request, "accounts/own_join.html", {"form": form, "step": 2}, status=422 if form.errors else 200)


def _sealed(invitation: str, email: str, number: str) -> str:
    return salted_hmac("accounts.join", f"{invitation} {email} {number}", algorithm="sha256").hexdigest()


@login_not_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def join_password(request: HttpRequest) -> HttpResponse:
    """The number from the e-mail and a password; then the log-in is there and the person is signed in."""
    step = _step(request)
    invitation = _invitation(step)
    if step is None or "email" not in step or invitation is None:
        return redirect("join")
    patient = invitation.patient
    person = future_person(email=step["email"], given_name=patient.given_name, family_name=patient.family_name)
    form = NewPasswordForm(request.POST or None, person=person)
    if request.method == "POST":
        if not allow(request, action="patient_join_number", key=step["invitation"]):
            return _refused_for_now(request)
        if form.is_valid():
            counts = step["tries"] < NUMBER_TRIES and time.time() - step["sent"] < NUMBER_SECONDS
            fits = counts and constant_time_compare(
                step["number"], _sealed(step["invitation"], step["email"], form.cleaned_data["number"])
            )
            user = None
            if fits:
                try:
                    user = actions.join(
                        invitation=invitation, email=step["email"], password=form.cleaned_data["password1"]
                    )
                except ValidationError:
                    user = None
            if user is not None:
                request.session.flush()
                login(request, user, backend=BACKEND)
                messages.success(request, "Your access is ready.")
                return redirect("own-consents")
            _keep(request, {**step, "tries": step["tries"] + 1})
            form.add_error("number", WRONG_NUMBER)
    context = {"form": form, "step": 3, "email": step["email"]}
    return render(request, "accounts/own_join.html", context, status=422 if form.errors else 200)
