"""Moving studies between records: two records of one person become one, or one record of two people becomes two.

Each can be undone while nothing contradicts. What the record that stays had before is kept sealed with the transfer.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.actions import create_patient, merge_people_rows, unmerge_people_rows
from accounts.encryption import seal, unseal
from accounts.models import Patient, User
from accounts.permissions import require
from diagnosis.actions.lists import follow_patient
from diagnosis.actions.reports import enqueue_report
from diagnosis.actions.steps import WrongState
from diagnosis.models import Analysis, Erasure, RecordTransfer, Report, Study

COMPARED = ("given_name", "family_name", "birth_date", "sex", "phone", "email", "history")
"""Fields of which a person chooses whose value stays. The MRN is the record's own: the record that stays keeps it."""
PRINTED = ("given_name", "family_name", "birth_date", "sex")
"""Fields that a report prints, beside the MRN."""
Kind = RecordTransfer.Kind


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records that are locked for the transaction, and are neither erased nor merged away."""

    source: Patient
    target: Patient


def _locked(source: Patient, target: Patient) -> Pair:
    """Lock both, in the order of their keys: of two transfers at a time the second waits, and then sees the first."""
    if source.pk == target.pk:
        raise WrongState("This is the same record. Choose another one.")
    rows = {
        pk: Patient.objects.select_for_update(no_key=True, of=("self",)).get(pk=pk)
        for pk in sorted((source.pk, target.pk), key=str)
    }
    for row in rows.values():
        if row.merged_into_id is not None:
            raise WrongState("One of the two records was merged into another one meanwhile. Nothing was changed.")
    if Erasure.objects.filter(patient_id__in=list(rows)).exists():
        raise WrongState("One of the two records is being erased. Nothing was changed.")
    return Pair(source=rows[source.pk], target=rows[target.pk])


def _hold_studies(keys: Iterable[Any]) -> None:
    """Hold studies with their analyses and reports, in the order that everybody holds them (``hold_study_of``)."""
    wanted = list(keys)
    for rows in (
        Study.objects.filter(pk__in=wanted),
        Analysis.objects.filter(image__study__in=wanted),
        Report.objects.filter(analysis__image__study__in=wanted),
    ):
        list(rows.select_for_update(no_key=True, of=("self",)).order_by("pk").values_list("pk"))


@transaction.atomic
def merge_patients(
    *, acting_user: User, source: Patient, target: Patient, take_from_source: Iterable[str], reason: str
) -> RecordTransfer:
    """Make two records of one person one: everything of ``source`` moves to ``target``, which stays.

    Args:
        take_from_source: fields of :data:`COMPARED` whose value comes from ``source``; the others stay.
        reason: why, without a name.

    Raises:
        WrongState: one of them is the other, was merged meanwhile, or is being erased.
        ValidationError: no reason, or the values do not fit together.
    """
    require(acting_user, "patient", "merge")
    pair = _locked(source, target)
    taken = [name for name in COMPARED if name in set(take_from_source)]
    former = {name: _plain(getattr(pair.target, name)) for name in taken}
    for name in taken:
        setattr(pair.target, name, getattr(pair.source, name))
    pair.target.full_clean()
    pair.target.save()
    pair.source.merged_into = pair.target
    pair.source.save(update_fields=["merged_into"])
    studies = list(Study.objects.filter(patient=pair.source).values_list("pk", flat=True))
    moved: dict[str, Any] = {
        "studies": [str(pk) for pk in studies],
        "former": seal(json.dumps(former)),
        "people": merge_people_rows(source=pair.source, target=pair.target),
    }
    transfer = _store(Kind.MERGE, pair, moved, acting_user=acting_user, reason=reason)
    _move(studies, to=pair.target)
    _reissue(Analysis.objects.filter(image__study__in=studies), acting_user=acting_user)
    if set(taken) & set(PRINTED):
        own = Analysis.objects.filter(patient=pair.target).exclude(image__study__in=studies)
        _reissue(own, acting_user=acting_user)
    _note("patient.merged", transfer, acting_user=acting_user, studies=len(studies))
    return transfer


@transaction.atomic
def split_patient(
    *,
    acting_user: User,
    source: Patient,
    studies: Iterable[Study],
    reason: str,
    target: Patient | None = None,
    new_record: Mapping[str, Any] | None = None,
) -> RecordTransfer:
    """Move studies that were filed on the wrong record to another one, or to a new one.

    Args:
        target: the record they belong to; ``None``: one that is made of ``new_record`` (``create_patient``).

    Raises:
        WrongState: no study, studies of another record, or as with :func:`merge_patients`.
        ValidationError: no reason, or the new record's values are not allowed.
    """
    require(acting_user, "patient", "merge")
    made = target is None
    wanted = {study.pk for study in studies}
    if target is None:
        # A record that is made writes to the ledger: what others may hold at this moment is held before that.
        Patient.objects.select_for_update(no_key=True, of=("self",)).get(pk=source.pk)
        _hold_studies(wanted)
        target = create_patient(acting_user=acting_user, **(new_record or {}))
    pair = _locked(source, target)
    own = list(Study.objects.filter(patient=pair.source, pk__in=wanted).values_list("pk", flat=True))
    if not wanted:
        raise WrongState("Choose the studies that belong to the other record.")
    if len(own) != len(wanted):
        raise WrongState("Some of these studies are no longer on this record. Nothing was moved; look again.")
    moved = {"studies": [str(pk) for pk in own], "made": made}
    transfer = _store(Kind.SPLIT, pair, moved, acting_user=acting_user, reason=reason)
    _move(own, to=pair.target)
    _take_back(Analysis.objects.filter(image__study__in=own), acting_user=acting_user)
    _note("patient.split", transfer, acting_user=acting_user, studies=len(own))
    return transfer


@transaction.atomic
def undo_transfer(*, acting_user: User, transfer: RecordTransfer) -> RecordTransfer:
    """Move everything back. What was added since stays where it is, and what was corrected since stays corrected.

    Raises:
        WrongState: it is undone already, something was moved on since, or a record was erased or merged elsewhere.
    """
    require(acting_user, "patient", "merge")
    transfer = RecordTransfer.objects.select_for_update(no_key=True, of=("self",)).get(pk=transfer.pk)
    if transfer.undone_at is not None:
        raise WrongState("This is undone already.")
    rows = {
        pk: Patient.objects.select_for_update(no_key=True, of=("self",)).get(pk=pk)
        for pk in sorted((transfer.source_id, transfer.target_id), key=str)
    }
    source, target = rows[transfer.source_id], rows[transfer.target_id]
    _refuse_contradiction(transfer, source, target)
    studies = [uuid.UUID(key) for key in transfer.moved["studies"]]
    if transfer.kind == Kind.MERGE:
        source.merged_into = None
        source.save(update_fields=["merged_into"])
        _restore(transfer, source, target, studies=studies, acting_user=acting_user)
        unmerge_people_rows(source=source, target=target, moved=transfer.moved["people"])
    _move(studies, to=source)
    _take_back(Analysis.objects.filter(image__study__in=studies), acting_user=acting_user)
    if transfer.moved.get("made") and not _holds_anything(target):
        # A record that was made for the split holds nothing any more; it is no longer listed.
        target.merged_into = source
        target.save(update_fields=["merged_into"])
    transfer.undone_by, transfer.undone_at = acting_user, timezone.now()
    transfer.save(update_fields=["undone_by", "undone_at"])
    _note("patient.transfer_undone", transfer, acting_user=acting_user, studies=len(studies))
    return transfer


def contradiction(transfer: RecordTransfer) -> str:
    """Why a transfer can no longer be undone, or nothing."""
    try:
        _refuse_contradiction(transfer, transfer.source, transfer.target)
    except WrongState as wrong:
        return str(wrong)
    return ""


def _refuse_contradiction(transfer: RecordTransfer, source: Patient, target: Patient) -> None:
    if transfer.undone_at is not None:
        raise WrongState("This is undone already.")
    if transfer.kind == Kind.MERGE and source.merged_into_id != target.pk:
        raise WrongState("The record is no longer part of the other one.")
    if target.merged_into_id is not None or (transfer.kind == Kind.SPLIT and source.merged_into_id is not None):
        raise WrongState("One of the records was merged into another one since. Undo that first.")
    if Erasure.objects.filter(patient_id__in=(source.pk, target.pk)).exists():
        raise WrongState("One of the records is being erased.")
    keys = transfer.moved["studies"]
    if Study.objects.filter(pk__in=keys, patient=target).count() != len(keys):
        raise WrongState("Some of the studies were moved on since. Undo that first.")
    later = RecordTransfer.objects.filter(undone_at=None, pk__gt=transfer.pk)
    if later.filter(Q(source=target) | Q(target=target), kind=Kind.MERGE).exists():
        raise WrongState("Another record was merged into this one since. Undo that first.")


def _holds_anything(patient: Patient) -> bool:
    related = ("studies", "messages", "appointments", "consents", "invitations")
    return patient.user_id is not None or any(getattr(patient, name).exists() for name in related)


def _restore(
    transfer: RecordTransfer, source: Patient, target: Patient, *, studies: list[uuid.UUID], acting_user: User
) -> None:
    """Give the target its former values back where nobody has corrected them since."""
    opened = unseal(transfer.moved["former"])
    if opened is None:
        raise WrongState("The values from before cannot be read: their key is missing. Tell IT; nothing was changed.")
    former = json.loads(opened)
    restored = [name for name in former if getattr(target, name) == getattr(source, name)]
    for name in restored:
        value = former[name]
        setattr(target, name, date.fromisoformat(value) if name == "birth_date" else value)
    if restored:
        target.save()
    if set(restored) & set(PRINTED):
        own = Analysis.objects.filter(patient=target).exclude(image__study__in=studies)
        _reissue(own, acting_user=acting_user)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _store(
    kind: RecordTransfer.Kind, pair: Pair, moved: dict[str, Any], *, acting_user: User, reason: str
) -> RecordTransfer:
    transfer = RecordTransfer(
        kind=kind, source=pair.source, target=pair.target, moved=moved, reason=reason.strip(), done_by=acting_user
    )
    transfer.full_clean()
    transfer.save(force_insert=True)
    return transfer


def _move(studies: list[Any], *, to: Patient) -> None:
    """The copies that lists are sorted by follow their study."""
    Study.objects.filter(pk__in=studies).update(patient=to)
    Analysis.objects.filter(image__study__in=studies).update(patient=to)
    follow_patient(patient=to)


def _reissue(analyses: QuerySet[Analysis], *, acting_user: User) -> None:
    """Have every report that printed the old identity made anew; the older version is superseded when that is done."""
    for analysis in analyses.filter(reports__isnull=False).distinct():
        enqueue_report(analysis=analysis, requested_by=acting_user)


def _take_back(analyses: QuerySet[Analysis], *, acting_user: User) -> None:
    """Reports that show another person's name: superseded at once. A released one has to be released again by a
    radiologist, to the right patient."""
    Report.objects.filter(analysis__in=analyses).update(status=Report.Status.SUPERSEDED)
    _reissue(analyses, acting_user=acting_user)


def _note(action: str, transfer: RecordTransfer, *, acting_user: User, studies: int) -> None:
    """On both records: who opens either finds it."""
    for patient, other in ((transfer.source, transfer.target), (transfer.target, transfer.source)):
        audit.record(
            action,
            actor=acting_user,
            target=transfer,
            patient=patient,
            other=str(other.pk),
            studies=studies,
            reason=transfer.reason,
        )
