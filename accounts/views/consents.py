"""What the patient agreed to: each sentence, the answer now, and every answer before."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import actions
from accounts.consents import TERMS, Purpose
from accounts.http import SignedInRequest
from accounts.models import Consent, Patient
from accounts.own_record import with_own_record
from accounts.permissions import needs

_DONE = {
    (Purpose.PORTAL, True): "Thank you. You now see your reports here.",
    (Purpose.PORTAL, False): "Taken back. This website shows you nothing of your record from now on.",
    (Purpose.EMAIL, True): "Thank you. We tell you by e-mail when something new is here.",
    (Purpose.EMAIL, False): "Taken back. We send you no such e-mail from now on.",
    (Purpose.RESEARCH, True): "Thank you. Your pictures may be used without your name.",
    (Purpose.RESEARCH, False): "Taken back. Your pictures are not used for anything new from now on.",
}


@needs("own_record", "view")
@require_safe
@with_own_record(consented=False)
def own_consents(request: SignedInRequest, *, patient: Patient) -> HttpResponse:
    """Each question with its answer; without the first agreement this is the only page of the record."""
    answers: dict[str, list[Consent]] = {purpose: [] for purpose in TERMS}
    for row in Consent.objects.filter(patient=patient):
        answers[row.purpose].append(row)
    questions = [
        {
            "purpose": purpose,
            "terms": terms,
            "standing": next((row for row in answers[purpose] if row.withdrawn_at is None), None),
            "answers": answers[purpose],
        }
        for purpose, terms in TERMS.items()
    ]
    context = {"patient": patient, "questions": questions, "open": questions[0]["standing"] is not None}
    return render(request, "accounts/own_consents.html", context)


@needs("own_record", "change")
@require_POST
@with_own_record(consented=False)
def own_consent(request: SignedInRequest, *, patient: Patient, purpose: str) -> HttpResponse:
    """Answer one question: ``answer=yes`` or ``answer=no``."""
    answer = request.POST.get("answer")
    if purpose not in TERMS or answer not in ("yes", "no"):
        raise Http404
    if answer == "yes":
        actions.give_consent(acting_user=request.user, purpose=purpose)
    else:
        actions.withdraw_consent(acting_user=request.user, purpose=purpose)
    messages.success(request, _DONE[Purpose(purpose), answer == "yes"])
    return redirect("own-consents")
