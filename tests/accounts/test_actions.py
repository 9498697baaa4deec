"""Verbs on people: what several pages rely on."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts import actions
from accounts.actions import rows
from accounts.models import Patient, User

pytestmark = pytest.mark.django_db


def test_an_mrn_taken_between_check_and_save_is_a_refusal_not_a_failure(anna):
    late = Patient(mrn=anna.mrn, given_name="Late", family_name="Comer", birth_date=date(1970, 1, 1))

    with pytest.raises(ValidationError) as refusal:
        rows.save(late, force_insert=True)

    assert refusal.value.message_dict == {"mrn": ["There is already a patient with this MRN."]}
    assert Patient.objects.count() == 1


def test_nobody_changes_their_own_role(adam):
    with pytest.raises(PermissionError, match="Nobody changes their own role"):
        actions.update_user(acting_user=adam, user=adam, role="radiologist")


def test_the_role_is_asked_whoever_calls(rachel, anna, ivan):
    with pytest.raises(PermissionDenied):
        actions.update_user(acting_user=rachel, user=ivan, given_name="Other")
    with pytest.raises(PermissionDenied):
        actions.update_patient(acting_user=ivan, patient=anna, given_name="Other")


def test_only_known_fields_are_written(adam, anna):
    with pytest.raises(TypeError, match="synthetic"):
        actions.update_patient(acting_user=adam, patient=anna, synthetic=True)


def test_two_people_who_correct_a_record_at_once_both_have_their_way(adam, rachel, anna):
    seen_by_adam, seen_by_rachel = Patient.objects.get(pk=anna.pk), Patient.objects.get(pk=anna.pk)
    actions.update_patient(acting_user=adam, patient=seen_by_adam, phone="+48 600 100 200")
    actions.update_patient(acting_user=rachel, patient=seen_by_rachel, history="Allergic to latex.")
    anna.refresh_from_db()
    assert (anna.phone, anna.history) == ("+48 600 100 200", "Allergic to latex.")


def test_a_person_who_was_switched_off_meanwhile_stays_so(adam, rachel):
    seen_before = User.objects.get(pk=rachel.pk)
    actions.update_user(acting_user=adam, user=rachel, is_active=False)
    actions.update_user(acting_user=adam, user=seen_before, family_name="Radiologist-Nowak")
    rachel.refresh_from_db()
    assert (rachel.is_active, rachel.family_name) == (False, "Radiologist-Nowak")
