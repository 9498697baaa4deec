"""The result page: one image, where the model looked, what it said, and the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import audit
from accounts.http import SignedInRequest
from accounts.permissions import may, needs
from diagnosis import actions
from diagnosis.forms import FrameForm
from diagnosis.intake import IntakeRejected
from diagnosis.models import Analysis, Image, Study
from diagnosis.review_forms import ConclusionForm, QuestionForm, WithdrawalForm
from diagnosis.upload_limits import upload_limits
from diagnosis.wording import RESEARCH, UNCERTAIN, UNCERTAIN_MEANING, check_remedy
from ml.contract import LABELS
from portal.jobs import State

OTHER_STUDIES = 6
MODEL_STATUS_WORDS = {"released": "released", "research": "research: not for clinical decisions"}


def _analysis(request: SignedInRequest, pk: Any) -> Analysis:
    visible = Analysis.objects.visible_to(request.user).select_related(
        "image__study__patient", "image__uploaded_by", "image__differences_confirmed_by"
    )
    return get_object_or_404(visible.prefetch_related("reports"), pk=pk)


def _version(analysis: Analysis) -> str:
    """Changes whenever something that the panel shows has changed."""
    report = analysis.current_report
    told = f"{report.version}.{report.state}" if report else "none"
    return f"{analysis.state}.{analysis.attempts}.{analysis.stage.replace(' ', '-')}.{told}"


def _place_in_queue(analysis: Analysis) -> int | None:
    if analysis.state != State.QUEUED:
        return None
    return Analysis.objects.filter(state=State.QUEUED, queued_at__lt=analysis.queued_at).count() + 1


def _panel_context(analysis: Analysis) -> dict[str, Any]:
    report = analysis.current_report
    probabilities = analysis.probabilities or {}
    failed_checks = [check for check in analysis.quality if not check["passed"]]
    likeliest_first = sorted(LABELS, key=lambda label: -probabilities[label]) if probabilities else []
    return {
        "analysis": analysis,
        "image": analysis.image,
        "version_seen": _version(analysis),
        "polling": not analysis.is_finished or (report is not None and not report.is_finished),
        "place": _place_in_queue(analysis),
        "probabilities": [(label, probabilities[label]) for label in likeliest_first],
        "failed_checks": failed_checks,
        "remedies": list(dict.fromkeys(filter(None, (check_remedy(check["name"]) for check in failed_checks)))),
        "outline": json.dumps(analysis.lesion["outline"]) if analysis.lesion else "",
        "marks": json.dumps(analysis.marks) if analysis.marks else "",
        "uncertain": UNCERTAIN,
        "uncertain_meaning": UNCERTAIN_MEANING,
        "research": RESEARCH,
        "own_probabilities": [(label, analysis.own_probabilities[label]) for label in likeliest_first]
        if analysis.own_probabilities
        else [],
        "model_status_words": MODEL_STATUS_WORDS.get(analysis.model_status, analysis.model_status),
        "report": report,
        "reports": list(analysis.reports.all()),
        "may_be_retried": analysis.state != State.SUCCEEDED and not analysis.own_conclusions().exists(),
        "ready_report": next((one for one in analysis.reports.all() if one.is_ready), None),
    }


def _review_context(request: SignedInRequest, analysis: Analysis) -> dict[str, Any]:
    """What people have said about the result, and the forms with which this person may say more."""
    user = request.user
    conclusions = list(analysis.own_conclusions())
    newest = conclusions[0] if conclusions else None
    opinions = list(analysis.second_opinions.select_related("asked_by", "asked_of", "answer"))
    standing = [one for one in opinions if one.withdrawn_at is None]
    final = next((one for one in analysis.reports.all() if one.assessment_id and one.status == "final"), None)
    return {
        "conclusion": newest,
        "earlier_conclusions": conclusions[1:],
        "opinions": standing,
        "asked_of_me": next((one for one in standing if one.asked_of_id == user.pk and one.answered_at is None), None),
        "final_report": final if final and final.is_ready else None,
        "conclusion_form": ConclusionForm(initial={"seen": newest.pk if newest else 0}, auto_id="conclusion_%s"),
        "answer_form": ConclusionForm(auto_id="answer_%s"),
        "question_form": QuestionForm(analysis=analysis, asking=user, auto_id="question_%s")
        if may(user, "second_opinion", "ask")
        else None,
        "withdrawal_form": WithdrawalForm(auto_id="withdrawal_%s"),
    }


@needs("analysis", "view")
@require_safe
def detail(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Viewer and panel."""
    return analysis_page(request, pk)


def analysis_page(request: SignedInRequest, pk: Any, *, status: int = 200, **forms: Form) -> HttpResponse:
    """The page of an analysis; ``forms`` take the place of its empty ones where what was typed was refused."""
    analysis = _analysis(request, pk)
    image = analysis.image
    study = image.study
    siblings = list(Image.objects.filter(study=study).select_related("analysis").order_by("created_at", "pk"))
    position = next(place for place, one in enumerate(siblings) if one.pk == image.pk)
    audit.record("analysis.viewed", actor=request.user, target=analysis, patient=study.patient)
    return render(
        request,
        "diagnosis/analysis_detail.html",
        {
            **_panel_context(analysis),
            "study": study,
            "patient": study.patient,
            "siblings": siblings,
            "position": position + 1,
            "previous_image": siblings[position - 1] if position > 0 else None,
            "next_image": siblings[position + 1] if position + 1 < len(siblings) else None,
            "other_studies": Study.objects.visible_to(request.user)
            .filter(patient=study.patient)
            .filter(~Q(pk=study.pk))[:OTHER_STUDIES],
            **_review_context(request, analysis),
            **forms,
        },
        status=status,
    )


@needs("analysis", "view")
@require_safe
def panel(request: SignedInRequest, pk: Any) -> HttpResponse:
    """The panel alone. 204 when nothing changed since ``?seen=``, so that a button keeps its focus while one waits."""
    analysis = _analysis(request, pk)
    if request.GET.get("seen") == _version(analysis):
        return HttpResponse(status=204)
    context = _panel_context(analysis)
    audit.record_viewing("analysis.viewed", actor=request.user, target=analysis, patient=analysis.image.study.patient)
    response = render(request, "diagnosis/partials/analysis_panel.html", context)
    if not context["polling"]:
        # What people may say about the result is not part of the panel; it follows once there is one.
        response["HX-Trigger-After-Settle"] = "analysis-settled"
    return response


@needs("analysis", "view")
@require_safe
def review(request: SignedInRequest, pk: Any) -> HttpResponse:
    """What people have said about the result, alone."""
    analysis = _analysis(request, pk)
    audit.record_viewing("analysis.viewed", actor=request.user, target=analysis, patient=analysis.image.study.patient)
    context = {"analysis": analysis, **_review_context(request, analysis)}
    return render(request, "diagnosis/partials/review_panel.html", context)


def _do(request: SignedInRequest, pk: Any, verb: Callable[..., Any], *, done: str) -> HttpResponse:
    """Do a verb to the analysis and return to its page; what is no longer possible is said there."""
    analysis = _analysis(request, pk)
    try:
        verb(acting_user=request.user, analysis=analysis)
    except actions.WrongState as wrong:
        messages.warning(request, str(wrong))
    else:
        messages.info(request, done)
    return redirect("analysis-detail", pk=pk)


@needs("analysis", "retry")
@require_POST
def retry(request: SignedInRequest, pk: Any) -> HttpResponse:
    return _do(request, pk, actions.retry_analysis, done="The analysis is in the queue again.")


@needs("analysis", "cancel")
@require_POST
def cancel(request: SignedInRequest, pk: Any) -> HttpResponse:
    return _do(request, pk, actions.cancel_analysis, done="The analysis was cancelled. The image is still stored.")


@needs("image", "add")
@require_POST
def frame(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Analyse another frame of a multi-frame file; leads to the page of that frame."""
    visible = Image.objects.visible_to(request.user).select_related("study__patient", "analysis")
    image = get_object_or_404(visible, pk=pk)
    form = FrameForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Choose a frame from 1 to {image.frame_count}.")
        return redirect("analysis-detail", pk=image.analysis.pk)
    try:
        filed = actions.add_frame(
            acting_user=request.user, image=image, frame=form.cleaned_data["frame"] - 1, limits=upload_limits()
        )
    except IntakeRejected as rejection:
        messages.error(request, rejection.message)
        return redirect("analysis-detail", pk=image.analysis.pk)
    except actions.WrongState as wrong:
        messages.warning(request, str(wrong))
        return redirect("analysis-detail", pk=image.analysis.pk)
    if filed.duplicate:
        messages.info(request, "This frame is on record already; here is its result.")
    return redirect("analysis-detail", pk=filed.image.analysis.pk)
