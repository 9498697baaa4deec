"""What lists need: the ledger of exports, and names that follow a correction."""

from __future__ import annotations

from accounts import audit
from accounts.models import Patient, User
from accounts.permissions import require
from diagnosis.models import Analysis
from diagnosis.models.analysis import sorted_as


def note_export(*, acting_user: User, filters: dict[str, str], count: int) -> None:
    """Keep in the ledger that rows left the house as a file: who, which filters, how many."""
    require(acting_user, "analysis", "export")
    audit.record("history.exported", actor=acting_user, filters=filters, count=count)


def follow_patient(*, patient: Patient) -> None:
    """Have the lists sort by a patient's corrected name. Called in the transaction that corrects it."""
    name = sorted_as(patient)
    # Rows that stay as they are are not held: a worker may be writing to one.
    Analysis.objects.filter(patient=patient).exclude(patient_name=name).update(patient_name=name)
