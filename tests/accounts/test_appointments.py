"""Appointments: staff make, change and cancel them; the patient sees them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions
from accounts.models import Appointment, AuditEvent, Notification, OutgoingMail
from tests.fixture_patients import with_log_in

PLAN = {"purpose": "Ultrasound of the left breast", "place": "Building B, second floor"}


def in_days(days: float) -> str:
    return (timezone.localtime() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M")


@pytest.fixture
def staff(client, rachel):
    client.force_login(rachel)
    return client


@pytest.fixture
def own(anna, petra):
    with_log_in(anna, petra)
    browser = Client()
    browser.force_login(petra)
    return browser


def listed(browser) -> str:
    return browser.get(reverse("own-appointments")).content.decode()


def make(staff, anna, **fields):
    return staff.post(reverse("appointment-create", args=[anna.pk]), {"at": in_days(3), **PLAN, **fields})


def test_an_appointment_is_made_changed_cancelled_and_seen(staff, own, anna, petra, rachel):
    assert "You have no appointment" in listed(own)
    make(staff, anna)
    row = Appointment.objects.get()
    assert "Ultrasound of the left breast" in listed(own)
    assert "Ultrasound of the left breast" in own.get(reverse("home")).content.decode()

    staff.post(reverse("appointment-change", args=[row.pk]), {"at": in_days(4), **PLAN, "place": "Building C"})
    assert "Building C" in listed(own)
    staff.post(reverse("appointment-cancel", args=[row.pk]))

    assert "Cancelled" in listed(own)
    assert "Building C" not in own.get(reverse("home")).content.decode()
    done = AuditEvent.objects.filter(patient=anna, action__startswith="appointment.", actor=rachel)
    assert list(done.order_by("pk").values_list("action", flat=True)) == [
        "appointment.created",
        "appointment.changed",
        "appointment.cancelled",
    ]


def test_the_patient_is_told_without_a_word_of_it(staff, own, anna, petra):
    actions.give_consent(acting_user=petra, purpose="email")
    make(staff, anna)

    told = Notification.objects.get(user=petra)
    mail = OutgoingMail.objects.get(recipient=petra.email)
    assert told.path == reverse("own-appointments")
    for words in ("Ultrasound", "Building", "Anna"):
        assert words not in told.text + mail.subject + mail.body


def test_past_ones_stay_on_the_list_and_cannot_be_changed(staff, own, anna, rachel):
    make(staff, anna)
    Appointment.objects.update(at=timezone.now() - timedelta(days=30))
    row = Appointment.objects.get()

    assert "Past" in listed(own)
    assert "Ultrasound" in listed(own)
    assert staff.post(reverse("appointment-change", args=[row.pk]), {"at": in_days(1), **PLAN}).status_code == 422
    with pytest.raises(ValidationError):
        actions.cancel_appointment(acting_user=rachel, appointment=row)
    row.refresh_from_db()
    assert row.cancelled_at is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": in_days(-1)},
        {"at": in_days(2_000)},
        {"at": "soon"},
        {"at": ""},
        {"purpose": ""},
        {"place": "x" * 201},
    ],
)
def test_a_wrong_entry_is_refused_and_kept_on_the_page(staff, anna, wrong):
    response = make(staff, anna, **wrong)

    assert response.status_code == 422
    assert not Appointment.objects.exists()


def test_the_same_twice_is_one(staff, anna):
    at = in_days(3)
    for _ in range(2):
        assert make(staff, anna, at=at).status_code == 302

    assert Appointment.objects.count() == 1


def test_cancelling_twice_says_so(staff, anna):
    make(staff, anna)
    row = Appointment.objects.get()
    staff.post(reverse("appointment-cancel", args=[row.pk]))

    html = staff.post(reverse("appointment-cancel", args=[row.pk]), follow=True).content.decode()

    assert "is cancelled already" in html
    assert AuditEvent.objects.filter(action="appointment.cancelled").count() == 1


def test_a_patient_changes_none(own, anna, petra, rachel):
    row = actions.make_appointment(acting_user=rachel, patient=anna, at=timezone.now() + timedelta(days=2), **PLAN)

    for address in ("appointment-change", "appointment-cancel"):
        assert own.post(reverse(address, args=[row.pk])).status_code == 404
    assert own.get(reverse("patient-appointments", args=[anna.pk])).status_code == 404
    with pytest.raises(PermissionDenied):
        actions.cancel_appointment(acting_user=petra, appointment=row)


def test_somebody_elses_are_not_on_the_list(own, adam, rachel):
    berta = actions.create_patient(
        acting_user=adam, mrn="B-1", given_name="Berta", family_name="B", birth_date=date(1980, 1, 1)
    )
    actions.make_appointment(acting_user=rachel, patient=berta, at=timezone.now() + timedelta(days=2), **PLAN)

    assert "Ultrasound" not in listed(own)


@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 404)])
def test_other_roles(client, anna, who, status, request):
    client.force_login(request.getfixturevalue(who))

    assert client.get(reverse("patient-appointments", args=[anna.pk])).status_code == status
    assert client.get(reverse("appointment-create", args=[anna.pk])).status_code == status
