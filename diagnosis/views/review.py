"""What people do with a result: conclude, ask a colleague, release it to the patient, enter the outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts import audit
from accounts.forms import note_refusal
from accounts.http import SignedInRequest
from accounts.permissions import needs
from diagnosis import actions, letter
from diagnosis.models import Analysis, Report, SecondOpinion, Study
from diagnosis.review_forms import ConclusionForm, KnownOutcomeForm, LetterForm, QuestionForm, WithdrawalForm
from diagnosis.views.analysis import analysis_page
from diagnosis.views.study import study_page


def _visible_analysis(request: SignedInRequest, pk: Any) -> Analysis:
    return get_object_or_404(Analysis.objects.visible_to(request.user), pk=pk)


def _opinion(request: SignedInRequest, pk: int) -> SecondOpinion:
    visible = SecondOpinion.objects.filter(analysis__in=Analysis.objects.visible_to(request.user).values("pk"))
    return get_object_or_404(visible.select_related("analysis"), pk=pk)


def _done(form: Form, verb: Callable[[], object]) -> bool:
    """Do it where the form is valid; what is refused is said on the form, which keeps what was typed."""
    if not form.is_valid():
        return False
    try:
        verb()
    except ValidationError as refusal:
        note_refusal(form, refusal)
    except actions.WrongState as wrong:
        form.add_error(None, str(wrong))
    else:
        return True
    return False


@needs("assessment", "create")
@require_POST
def conclude(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Store the conclusion; the final report is made from it."""
    analysis = _visible_analysis(request, pk)
    form = ConclusionForm(request.POST, auto_id="conclusion_%s")
    if _done(
        form,
        lambda: actions.conclude(
            acting_user=request.user, analysis=analysis, seen=form.cleaned_data["seen"] or 0, **form.reading
        ),
    ):
        messages.success(request, "The conclusion is saved. The final report is being made.")
        return redirect("analysis-detail", pk=pk)
    return analysis_page(request, analysis.pk, conclusion_form=form, status=422)


@needs("second_opinion", "ask")
@require_POST
def ask(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Ask a colleague about this image."""
    analysis = _visible_analysis(request, pk)
    form = QuestionForm(request.POST, analysis=analysis, asking=request.user, auto_id="question_%s")
    if _done(
        form,
        lambda: actions.ask_second_opinion(acting_user=request.user, analysis=analysis, **form.cleaned_data),
    ):
        messages.success(request, f"{form.cleaned_data['asked_of']} is asked and was told.")
        return redirect("analysis-detail", pk=pk)
    return analysis_page(request, analysis.pk, question_form=form, status=422)


@needs("second_opinion", "answer")
@require_POST
def answer(request: SignedInRequest, pk: int) -> HttpResponse:
    """Answer what one was asked."""
    opinion = _opinion(request, pk)
    form = ConclusionForm(request.POST, auto_id="answer_%s")
    if _done(
        form,
        lambda: actions.answer_second_opinion(acting_user=request.user, opinion=opinion, **form.reading),
    ):
        messages.success(request, "Your opinion is saved. Your colleague was told.")
        return redirect("analysis-detail", pk=opinion.analysis_id)
    return analysis_page(request, opinion.analysis_id, answer_form=form, status=422)


@needs("second_opinion", "ask")
@require_POST
def take_back(request: SignedInRequest, pk: int) -> HttpResponse:
    """Take back a question that nobody has answered."""
    opinion = _opinion(request, pk)
    try:
        actions.withdraw_second_opinion(acting_user=request.user, opinion=opinion)
    except actions.WrongState as wrong:
        messages.warning(request, str(wrong))
    else:
        messages.info(request, "The question was taken back.")
    return redirect("analysis-detail", pk=opinion.analysis_id)


def _report(request: SignedInRequest, pk: Any) -> Report:
    visible = Report.objects.visible_to(request.user).select_related(
        "analysis__image__study__patient", "assessment__reader", "released_by"
    )
    return get_object_or_404(visible, pk=pk)


@needs("report", "release")
@require_http_methods(["GET", "POST"])
def release(request: SignedInRequest, pk: Any) -> HttpResponse:
    """The letter, and the button that lets the patient see it with the report."""
    report = _report(request, pk)
    form = LetterForm(request.POST or None, initial={"letter": ""})
    if request.method == "POST" and _done(
        form,
        lambda: actions.release_report(acting_user=request.user, report=report, letter=form.cleaned_data["letter"]),
    ):
        messages.success(request, "The report is released to the patient.")
        return redirect("analysis-detail", pk=report.analysis_id)
    if report.assessment is None or report.is_released:
        messages.warning(
            request,
            "The report is released already." if report.is_released else "Write a conclusion first, then release it.",
        )
        return redirect("analysis-detail", pk=report.analysis_id)
    form.initial["letter"] = report.letter or letter.draft(report)
    study = report.analysis.image.study
    audit.record_viewing("report.viewed", actor=request.user, target=report, patient=study.patient)
    context = {"report": report, "form": form, "study": study, "patient": study.patient}
    return render(request, "diagnosis/report_release.html", context, status=422 if form.is_bound else 200)


@needs("report", "withdraw")
@require_POST
def withdraw(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Take a released report back."""
    report = _report(request, pk)
    form = WithdrawalForm(request.POST, auto_id="withdrawal_%s")
    if _done(
        form,
        lambda: actions.withdraw_report(acting_user=request.user, report=report, reason=form.cleaned_data["reason"]),
    ):
        messages.success(request, "The patient no longer sees the report. A copy that was saved stays saved.")
        return redirect("analysis-detail", pk=report.analysis_id)
    return analysis_page(request, report.analysis_id, withdrawal_form=form, status=422)


@needs("known_outcome", "create")
@require_POST
def known_outcome(request: SignedInRequest, pk: Any) -> HttpResponse:
    """Enter what a breast of this study turned out to have."""
    study = get_object_or_404(Study.objects.visible_to(request.user), pk=pk)
    form = KnownOutcomeForm(request.POST, auto_id="outcome_%s")
    if _done(
        form,
        lambda: actions.record_known_outcome(acting_user=request.user, study=study, **form.cleaned_data),
    ):
        messages.success(request, "The outcome is saved.")
        return redirect("study-detail", pk=pk)
    return study_page(request, study.pk, outcome_form=form, status=422)
