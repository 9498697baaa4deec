"""Verbs on people: what several pages rely on."""

from __future__ import annotations

from datetime import date

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.exceptions import PermissionDenied, ValidationError

from accounts import actions
from accounts.actions import rows
from accounts.models import AuditEvent, Patient, User

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


def test_an_administrator_who_was_only_invited_does_not_count_as_one_who_is_left(adam, ivan):
    actions.invite_user(acting_user=adam, email="eve@test.local", role="administrator")

    with pytest.raises(ValidationError, match="only active administrator"):
        actions.update_user(acting_user=ivan, user=adam, is_active=False)


def test_an_administrator_who_comes_by_the_single_sign_on_counts(adam, ivan):
    eve = actions.invite_user(acting_user=adam, email="eve@test.local", role="administrator")
    SocialAccount.objects.create(user=eve, provider="hospital", uid="eve-1")

    assert not actions.update_user(acting_user=ivan, user=adam, is_active=False).is_active


def test_who_is_no_patient_any_more_lets_go_of_the_record(adam, rachel, petra, anna):
    """Else whoever may take a log-in away from a record could switch off an administrator so."""
    actions.link_patient_login(acting_user=adam, patient=anna, user=petra)

    actions.update_user(acting_user=adam, user=petra, role="administrator")

    assert not actions.unlink_patient_login(acting_user=rachel, patient=anna, reason="She asked for it.")
    petra.refresh_from_db()
    assert petra.is_active
    assert AuditEvent.objects.filter(action="patient.login_unlinked", actor=adam, patient=anna).count() == 1


def test_a_log_in_is_not_put_over_the_one_that_a_record_got_meanwhile(adam, petra, anna):
    late = actions.create_user(acting_user=adam, email="late@test.local", role="patient")[0]
    actions.link_patient_login(acting_user=adam, patient=Patient.objects.get(pk=anna.pk), user=petra)

    with pytest.raises(ValidationError, match="has a log-in already"):
        actions.set_patient_of_login(acting_user=adam, user=late, patient=anna)

    anna.refresh_from_db()
    assert anna.user == petra


def test_a_record_that_was_merged_away_gets_no_log_in_and_a_colleague_gets_no_record(adam, rachel, petra, anna):
    gone = actions.create_patient(
        acting_user=None, mrn="MRN-2", given_name="An", family_name="Zol", birth_date=date(1970, 1, 1)
    )
    Patient.objects.filter(pk=gone.pk).update(merged_into=anna)

    with pytest.raises(ValidationError, match="merged"):
        actions.set_patient_of_login(acting_user=adam, user=petra, patient=gone)
    with pytest.raises(ValidationError, match="role Patient"):
        actions.set_patient_of_login(acting_user=adam, user=rachel, patient=anna)


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
