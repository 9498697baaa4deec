"""The verbs on a patient's consents. A new answer is a new row; the old one keeps its words and its dates."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import audit
from accounts.consents import TERMS
from accounts.models import Consent, Patient, User
from accounts.permissions import require


def own_record_of(user: User, verb: str) -> Patient:
    """The record that belongs to this log-in.

    Raises:
        PermissionDenied: when the log-in is no patient's, or belongs to no record.
    """
    require(user, "own_record", verb)
    patient = Patient.objects.filter(user=user, merged_into=None).first()
    if patient is None:
        raise PermissionDenied("This log-in belongs to no record.")
    return patient


@transaction.atomic
def give_consent(*, acting_user: User, purpose: str) -> Consent:
    """Note that the patient agrees, in today's words. Agreeing again while it stands changes nothing."""
    patient = own_record_of(acting_user, "change")
    terms = TERMS[purpose]
    standing = Consent.objects.filter(patient=patient, purpose=purpose, withdrawn_at=None)
    try:
        with transaction.atomic():
            given = standing.first()
            if given is not None:
                return given
            given = Consent.objects.create(patient=patient, purpose=purpose, wording=terms.wording)
    except IntegrityError:
        # The same button pressed twice at once: the other one's row stands.
        return standing.get()
    audit.record("consent.given", actor=acting_user, target=given, patient=patient, of=purpose)
    return given


@transaction.atomic
def withdraw_consent(*, acting_user: User, purpose: str) -> bool:
    """Note that the patient takes it back, from now on; return whether there was something to take back."""
    patient = own_record_of(acting_user, "change")
    standing = Consent.objects.filter(patient=patient, purpose=purpose, withdrawn_at=None).first()
    if standing is None:
        return False
    taken = Consent.objects.filter(pk=standing.pk, withdrawn_at=None).update(withdrawn_at=timezone.now())
    if taken:
        audit.record("consent.withdrawn", actor=acting_user, target=standing, patient=patient, of=purpose)
    return bool(taken)
