"""The verbs on patients' records."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from accounts import audit
from accounts.actions.rows import apply, save
from accounts.models import Patient, User
from accounts.permissions import require
from accounts.roles import Role

PATIENT_FIELDS = ("mrn", "given_name", "family_name", "birth_date", "sex", "phone", "email", "history")


@transaction.atomic
def create_patient(*, acting_user: User | None, synthetic: bool = False, **values: Any) -> Patient:
    """Create a patient record.

    Raises:
        ValidationError: when a value is not allowed or the MRN is taken.
    """
    if acting_user is not None:
        require(acting_user, "patient", "create")
    patient = Patient(synthetic=synthetic)
    apply(patient, values, allowed=PATIENT_FIELDS)
    patient.full_clean()
    save(patient, force_insert=True)
    audit.record("patient.created", actor=acting_user, target=patient, patient=patient)
    return patient


@transaction.atomic
def update_patient(*, acting_user: User, patient: Patient, **changes: Any) -> Patient:
    """Change a patient record; the ledger keeps which fields changed, not their content.

    Returns the row as it is now: what somebody else changed since ``patient`` was read stays changed.
    """
    require(acting_user, "patient", "change")
    patient = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    changed = apply(patient, changes, allowed=PATIENT_FIELDS)
    patient.full_clean()
    if changed:
        save(patient)
        audit.record("patient.changed", actor=acting_user, target=patient, patient=patient, fields=changed)
    return patient


@transaction.atomic
def link_patient_login(*, acting_user: User | None, patient: Patient, user: User) -> None:
    """Connect a patient's log-in with the patient's record."""
    if acting_user is not None:
        require(acting_user, "user", "change")
    patient.user = user
    patient.save(update_fields=["user"])
    audit.record("patient.login_linked", actor=acting_user, target=patient, patient=patient)


def hold_patients_of_login(*, user: User | None, patient: Patient | None) -> None:
    """Hold the record that a log-in is to be connected with, and those that it is, in one order for everybody.

    Called first in a transaction that also writes to the ledger: after that nobody is waited for (``accounts.audit``).
    """
    wanted = Q(pk=patient.pk) if patient is not None else Q(pk=None)
    if user is not None and user.pk is not None:
        wanted |= Q(user=user)
    list(Patient.objects.select_for_update(no_key=True).filter(wanted).order_by("pk"))


@transaction.atomic
def set_patient_of_login(*, acting_user: User, user: User, patient: Patient | None) -> None:
    """Connect a patient's log-in with this record, and with no other; ``None`` only takes the connection away.

    Raises:
        ValidationError: the record has another log-in by now or was merged away, or the log-in is not a patient's.
    """
    require(acting_user, "user", "change")
    require(acting_user, "patient", "change")
    hold_patients_of_login(user=user, patient=patient)
    if patient is not None:
        patient = _without_log_in(patient, user=user)
    for former in Patient.objects.filter(user=user):
        if former == patient:
            return
        former.user = None
        former.save(update_fields=["user"])
        audit.record("patient.login_unlinked", actor=acting_user, target=former, patient=former)
    if patient is not None:
        link_patient_login(acting_user=acting_user, patient=patient, user=user)


def _without_log_in(patient: Patient, *, user: User) -> Patient:
    """The record as it is now, held: somebody may be joining it at this moment."""
    row = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
    if user.role != Role.PATIENT:
        raise ValidationError({"patient_mrn": "Only a log-in with the role Patient belongs to a record."})
    if row.merged_into_id is not None:
        raise ValidationError({"patient_mrn": "This record was merged into another one. Type that one's MRN."})
    if row.user_id not in (None, user.pk):
        raise ValidationError({"patient_mrn": "This record has a log-in already."})
    return row
