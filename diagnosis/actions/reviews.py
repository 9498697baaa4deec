"""What people do with a result: conclude, ask for and give second opinions, enter outcomes, release the report."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions import notify
from accounts.consents import has_consent
from accounts.models import Consent, User
from accounts.permissions import require
from diagnosis.actions.reports import enqueue_report
from diagnosis.actions.steps import WrongState, patient_of
from diagnosis.models import Analysis, Assessment, KnownOutcome, Report, SecondOpinion, Study

LONGEST_LETTER = 8_000
"""Characters of a letter."""


@transaction.atomic
def conclude(
    *, acting_user: User, analysis: Analysis, label: str, birads: str, conclusion: str, seen: int | None = None
) -> Assessment:
    """Store a radiologist's own conclusion and have the final report made. A second thought is a new row, and takes the
    report with the first one back from the patient at once, whether or not the new report can be made.

    Args:
        label: what the radiologist sees, of ``ml.contract.LABELS``.
        birads: key of :class:`diagnosis.models.BiRads`.
        conclusion: in the radiologist's words; printed on the report.
        seen: key of the newest conclusion that the person had before their eyes, ``0`` for none; ``None``: not checked.

    Raises:
        WrongState: the analysis has not ended, or somebody concluded since ``seen``.
        ValidationError: a value is not allowed.
    """
    assessment = _assess(acting_user, analysis, label=label, birads=birads, conclusion=conclusion, seen=seen)
    assessment.analysis.reports.filter(status=Report.Status.FINAL).update(status=Report.Status.SUPERSEDED)
    enqueue_report(analysis=assessment.analysis, requested_by=acting_user)
    audit.record(
        "assessment.made",
        actor=acting_user,
        target=assessment,
        patient=patient_of(assessment.analysis),
        analysis=str(analysis.pk),
        label=label,
        birads=birads,
    )
    return assessment


def _assess(
    reader: User, analysis: Analysis, *, label: str, birads: str, conclusion: str, seen: int | None = None
) -> Assessment:
    require(reader, "assessment", "create")
    # Two people may conclude at the same moment; the second one waits, and is told what the first one wrote.
    analysis = (
        Analysis.objects.select_for_update(no_key=True, of=("self",))
        .select_related("image__study__patient")
        .get(pk=analysis.pk)
    )
    # Refused, failed and cancelled ones too: the image is read without the computer's opinion, and the report says so.
    if not analysis.is_finished:
        raise WrongState("The image is still being analysed. Conclude when that has ended, or cancel it first.")
    newest = analysis.own_conclusions().first()
    if seen is not None and seen != (newest.pk if newest else 0):
        raise WrongState(
            "Somebody else wrote a conclusion while this page was open. Read it first; yours is not saved."
        )
    assessment = Assessment(analysis=analysis, reader=reader, label=label, birads=birads, conclusion=conclusion.strip())
    assessment.full_clean()
    assessment.save(force_insert=True)
    return assessment


@transaction.atomic
def ask_second_opinion(*, acting_user: User, analysis: Analysis, asked_of: User, question: str) -> SecondOpinion:
    """Ask a colleague about an image; they are notified.

    Raises:
        WrongState: the colleague cannot see the image, is oneself, or was asked already and has not answered.
        ValidationError: the question is empty or too long.
    """
    require(acting_user, "second_opinion", "ask")
    if asked_of.pk == acting_user.pk:
        raise WrongState("Ask somebody else: a second opinion is another person's.")
    if not asked_of.is_active or not Analysis.objects.visible_to(asked_of).filter(pk=analysis.pk).exists():
        raise WrongState("This colleague cannot open the image.")
    Analysis.objects.select_for_update(no_key=True).get(pk=analysis.pk)
    if analysis.second_opinions.filter(asked_of=asked_of, answered_at=None, withdrawn_at=None).exists():
        raise WrongState("This colleague was asked already and has not answered yet.")
    row = SecondOpinion(analysis=analysis, asked_by=acting_user, asked_of=asked_of, question=question.strip())
    row.full_clean()
    row.save(force_insert=True)
    notify(
        "second_opinion_asked",
        users=[asked_of],
        text=f"{acting_user.get_full_name()} asks for your opinion on an image.",
        path=reverse("analysis-detail", args=[analysis.pk]),
    )
    audit.record(
        "second_opinion.asked", actor=acting_user, target=row, patient=patient_of(analysis), asked_of=asked_of.pk
    )
    return row


@transaction.atomic
def answer_second_opinion(
    *, acting_user: User, opinion: SecondOpinion, label: str, birads: str, conclusion: str
) -> SecondOpinion:
    """Answer what one was asked. It advises: the report keeps the conclusion of who is responsible for it.

    Raises:
        WrongState: it was asked of somebody else, is answered, or was withdrawn.
        ValidationError: a value is not allowed.
    """
    require(acting_user, "second_opinion", "answer")
    row = (
        SecondOpinion.objects.select_for_update(no_key=True, of=("self",)).select_related("asked_by").get(pk=opinion.pk)
    )
    if row.asked_of_id != acting_user.pk:
        raise WrongState("This was asked of somebody else.")
    if row.answered_at is not None or row.withdrawn_at is not None:
        raise WrongState("This question is closed already; nothing was saved.")
    row.answer = _assess(acting_user, row.analysis, label=label, birads=birads, conclusion=conclusion)
    row.answered_at = timezone.now()
    row.save(update_fields=["answer", "answered_at"])
    notify(
        "second_opinion_given",
        users=[row.asked_by],
        text=f"{acting_user.get_full_name()} answered your question about an image.",
        path=reverse("analysis-detail", args=[row.analysis_id]),
    )
    audit.record(
        "second_opinion.given",
        actor=acting_user,
        target=row,
        patient=patient_of(row.analysis),
        label=label,
        birads=birads,
    )
    return row


@transaction.atomic
def withdraw_second_opinion(*, acting_user: User, opinion: SecondOpinion) -> SecondOpinion:
    """Take a question back that nobody has answered.

    Raises:
        WrongState: somebody else asked, or it is closed.
    """
    require(acting_user, "second_opinion", "ask")
    row = SecondOpinion.objects.select_for_update(no_key=True).get(pk=opinion.pk)
    if row.asked_by_id != acting_user.pk:
        raise WrongState("Only who asked can take the question back.")
    if row.answered_at is not None or row.withdrawn_at is not None:
        raise WrongState("This question is closed already.")
    row.withdrawn_at = timezone.now()
    row.save(update_fields=["withdrawn_at"])
    audit.record("second_opinion.withdrawn", actor=acting_user, target=row, patient=patient_of(row.analysis))
    return row


@transaction.atomic
def record_known_outcome(
    *, acting_user: User, study: Study, label: str, source: str, determined_on: date, laterality: str = ""
) -> KnownOutcome:
    """Store what an examined breast turned out to have; the newest row of a side counts.

    Raises:
        ValidationError: a value is not allowed, or the day lies in the future.
    """
    require(acting_user, "known_outcome", "create")
    row = KnownOutcome(
        study=study,
        label=label,
        source=source,
        determined_on=determined_on,
        laterality=laterality,
        entered_by=acting_user,
    )
    row.full_clean()
    row.save(force_insert=True)
    audit.record(
        "known_outcome.entered", actor=acting_user, target=row, patient=study.patient, label=label, source=source
    )
    return row


def _final(pk: Any) -> Report:
    rows = Report.objects.select_for_update(no_key=True, of=("self",))
    return rows.select_related("analysis__image__study__patient__user").get(pk=pk)


@transaction.atomic
def release_report(*, acting_user: User, report: Report, letter: str) -> Report:
    """Let the patient see a final report, with a letter in plain words.

    Raises:
        WrongState: the report is not final and ready, is released already, somebody concluded anew since, or the letter
            is empty.
    """
    require(acting_user, "report", "release")
    row = _final(report.pk)
    letter = letter.strip()
    newest = row.analysis.own_conclusions().first()
    if row.assessment_id is not None and newest is not None and newest.pk != row.assessment_id:
        raise WrongState("There is a newer conclusion. Release its report instead, as soon as it is ready.")
    if row.status != Report.Status.FINAL or not row.is_ready or row.assessment_id is None:
        raise WrongState("Only a final report that is ready can be released: write a conclusion first.")
    if row.is_released:
        raise WrongState("The report is released already.")
    if not letter:
        raise WrongState("Write the letter: the patient reads it first.")
    row.letter, row.released_by, row.released_at = letter[:LONGEST_LETTER], acting_user, timezone.now()
    row.withdrawn_at, row.withdrawn_because = None, ""
    row.save(update_fields=["letter", "released_by", "released_at", "withdrawn_at", "withdrawn_because"])
    patient = patient_of(row.analysis)
    if patient.user is not None and has_consent(patient, Consent.Purpose.PORTAL):
        notify("report_released", users=[patient.user], text="A report is ready.", path=reverse("home"))
    audit.record("report.released", actor=acting_user, target=row, patient=patient, version=row.version)
    return row


@transaction.atomic
def withdraw_report(*, acting_user: User, report: Report, reason: str) -> Report:
    """Take a released report back from the patient's pages; who has downloaded it still has it.

    Raises:
        WrongState: it is not released, was replaced by a newer version, or there is no reason.
    """
    require(acting_user, "report", "withdraw")
    row = _final(report.pk)
    reason = reason.strip()
    if not row.is_released:
        raise WrongState("The report is not released.")
    if row.status != Report.Status.FINAL:
        # The newer version may carry the release on.
        raise WrongState("There is a newer version of this report. Nothing was taken back; look at the newer one.")
    if not reason:
        raise WrongState("Say why: the reason is kept with the report.")
    row.withdrawn_at, row.withdrawn_because = timezone.now(), reason[:500]
    row.save(update_fields=["withdrawn_at", "withdrawn_because"])
    audit.record("report.withdrawn", actor=acting_user, target=row, patient=patient_of(row.analysis))
    return row
