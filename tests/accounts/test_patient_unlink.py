"""A patient's log-in is taken away from the record, and comes back with a new invitation."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth import authenticate
from django.test import Client
from django.urls import reverse

from accounts import actions
from accounts.models import AuditEvent, Patient, User
from tests.fixture_joining import EMAIL, NEW_PASSWORD, give_address, joined, mailed_number, show


@pytest.fixture
def code(anna, adam) -> str:
    """An invitation of Anna."""
    return actions.invite_patient(acting_user=adam, patient=anna)[1]


def test_unlinking_switches_the_log_in_off_at_once(client, anna, adam, code):
    joined(client, code)
    user = User.objects.get(email=EMAIL)
    staff = Client()
    staff.force_login(adam)

    assert staff.post(reverse("patient-unlink", args=[anna.pk]), {"reason": ""}).status_code == 422
    staff.post(reverse("patient-unlink", args=[anna.pk]), {"reason": "Asked for it by telephone"})

    anna.refresh_from_db()
    user.refresh_from_db()
    assert (anna.user, user.is_active) == (None, False)
    assert client.get("/").status_code == 302
    assert authenticate(username=EMAIL, password=NEW_PASSWORD) is None
    event = AuditEvent.objects.get(action="patient.login_unlinked")
    assert (event.actor, event.purpose) == (adam, "Asked for it by telephone")


def test_who_was_unlinked_comes_back_to_the_same_log_in(client, anna, adam, code):
    joined(client, code)
    actions.unlink_patient_login(acting_user=adam, patient=anna)
    _, newer = actions.invite_patient(acting_user=adam, patient=Patient.objects.get(pk=anna.pk))

    assert joined(Client(), newer).status_code == 302

    user = User.objects.get(email=EMAIL)
    anna.refresh_from_db()
    assert (user.is_active, anna.user) == (True, user)


def test_a_switched_off_member_of_staff_is_not_brought_back(client, anna, adam, rachel, code):
    actions.update_user(acting_user=adam, user=rachel, is_active=False)
    show(client, code)
    give_address(client, rachel.email)

    assert mailed_number() == ""
    rachel.refresh_from_db()
    assert (rachel.is_active, rachel.role) == (False, "radiologist")


def test_who_comes_back_needs_no_second_factor_that_was_lost(anna, adam, code):
    joined(Client(), code)
    user = User.objects.get(email=EMAIL)
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": "x"})
    actions.unlink_patient_login(acting_user=adam, patient=anna)
    _, newer = actions.invite_patient(acting_user=adam, patient=Patient.objects.get(pk=anna.pk))

    joined(Client(), newer)

    assert not Authenticator.objects.filter(user=user).exists()
