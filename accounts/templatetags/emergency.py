"""The banner of a record that is open by emergency access."""

from __future__ import annotations

from django import template

from accounts.models import EmergencyAccess, Patient
from accounts.roles import Role

register = template.Library()

RECORDS = ("patient", "study", "analysis")
"""Names under which a page's context has the patient, or something of theirs that knows them as ``patient``."""


@register.simple_tag(takes_context=True)
def emergency_access(context: template.Context) -> EmergencyAccess | None:
    """The emergency access by which the signed-in person sees the record that this page is about."""
    user = getattr(context.get("request"), "user", None)
    if user is None or not user.is_authenticated or user.role != Role.RADIOLOGIST:
        return None
    for name in RECORDS:
        shown = context.get(name)
        patient = shown if isinstance(shown, Patient) else getattr(shown, "patient", None)
        if isinstance(patient, Patient):
            return EmergencyAccess.objects.running().filter(user_id=user.pk, patient_id=patient.pk).first()
    return None
