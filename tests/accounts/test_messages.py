"""Messages between a patient and the clinic."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions
from accounts.models import AuditEvent, Message, Notification, OutgoingMail
from tests.fixture_patients import with_log_in

HOSTILE = '<script>alert("x")</script> & "quotes"'


@pytest.fixture
def own(client, anna, petra):
    """Petra, signed in, with Anna's record."""
    with_log_in(anna, petra)
    client.force_login(petra)
    return client


@pytest.fixture
def staff(rachel):
    browser = Client()
    browser.force_login(rachel)
    return browser


def thread(patient) -> str:
    return reverse("patient-messages", args=[patient.pk])


def card(browser, patient) -> str:
    html = browser.get(reverse("patient-detail", args=[patient.pk])).content.decode()
    return html[html.index("portal-title") :]


def test_a_patient_writes_and_the_clinic_answers(own, staff, anna, petra, rachel):
    own.post(reverse("own-messages"), {"text": "May I drive\r\nafter it?"})
    assert "1 new" in card(staff, anna)
    html = staff.get(thread(anna)).content.decode()
    assert "May I drive<br>after it?" in html
    assert "new" not in card(staff, anna).split("Appointments")[0].split("Messages")[1]

    staff.post(thread(anna), {"text": "Yes."})

    assert "1 new message" in own.get(reverse("home")).content.decode()
    html = own.get(reverse("own-messages")).content.decode()
    assert "Yes." in html
    assert "Rachel Radiologist" in html
    assert "new message" not in own.get(reverse("home")).content.decode()
    written = Message.objects.values_list("text", "from_patient", "author")
    assert list(written) == [("May I drive\nafter it?", True, petra.pk), ("Yes.", False, rachel.pk)]
    assert AuditEvent.objects.filter(action="message.sent", patient=anna).count() == 2
    assert AuditEvent.objects.filter(action="message.read", patient=anna).count() == 2


def test_what_was_read_is_not_under_the_bell_any_more(own, staff, anna, petra, rachel):
    actions.write_to_patient(acting_user=rachel, patient=anna, text="Hello")
    actions.write_to_clinic(acting_user=petra, text="Hello")
    assert Notification.objects.filter(user__in=(petra, rachel), read_at=None).count() == 2

    own.get(reverse("own-messages"))
    staff.get(thread(anna))

    assert not Notification.objects.filter(user__in=(petra, rachel), read_at=None).exists()


def test_opening_the_record_does_not_count_as_reading(own, staff, anna):
    own.post(reverse("own-messages"), {"text": "Hello"})

    card(staff, anna)
    staff.head(thread(anna))

    assert Message.objects.get().read_at is None
    assert "1 new" in card(staff, anna)


def test_an_answer_counts_as_reading(own, staff, anna):
    own.post(reverse("own-messages"), {"text": "Hello"})
    staff.post(thread(anna), {"text": "Good day."})

    assert Message.objects.filter(from_patient=True, read_at=None).count() == 0


def test_they_are_told_without_a_word_of_it(own, staff, anna, petra, rachel, adam):
    own.post(reverse("own-messages"), {"text": "My lump is growing"})
    staff.post(thread(anna), {"text": "Please come tomorrow"})
    own.post(reverse("own-messages"), {"text": "I will"})

    told = Notification.objects.filter(kind="message_received")
    # Administrators, and whoever of the staff wrote last.
    assert set(told.values_list("user", flat=True)) == {adam.pk, rachel.pk, petra.pk}
    assert told.get(user=rachel).path == thread(anna)
    everything = " ".join(told.values_list("text", flat=True))
    everything += " ".join(mail.subject + mail.body for mail in OutgoingMail.objects.all())
    for words in ("lump", "tomorrow", "Anna", "Żółć", "MRN-001"):
        assert words not in everything


def test_a_button_pressed_twice_sends_one(own, staff, anna):
    for _ in range(2):
        own.post(reverse("own-messages"), {"text": "Hello"})
        staff.post(thread(anna), {"text": "Good day."})

    assert Message.objects.count() == 2


@pytest.mark.parametrize("text", ["", "   \r\n ", "x" * 4_001, "\0"])
def test_an_empty_or_endless_message_is_refused_and_kept_on_the_page(own, text):
    response = own.post(reverse("own-messages"), {"text": text})

    assert response.status_code == 422
    assert not Message.objects.exists()


def test_a_message_is_never_markup(own, staff, anna):
    own.post(reverse("own-messages"), {"text": HOSTILE})

    for html in (card(staff, anna), staff.get(thread(anna)).content.decode()):
        assert "<script>alert" not in html
        assert "&lt;script&gt;" in html


def test_a_flood_is_stopped_for_the_day(own, anna, petra):
    for number in range(20):
        actions.write_to_clinic(acting_user=petra, text=f"Message {number}")

    response = own.post(reverse("own-messages"), {"text": "One more"})

    assert response.status_code == 422
    assert "please call us" in response.content.decode()
    assert Message.objects.count() == 20
    Message.objects.update(created_at=timezone.now() - timedelta(days=1, minutes=1))
    assert own.post(reverse("own-messages"), {"text": "One more"}).status_code == 302


def test_nobody_writes_to_a_patient_who_would_not_read_it(staff, anna, petra, rachel):
    assert "nobody would read a message" in staff.get(thread(anna)).content.decode()
    assert staff.post(thread(anna), {"text": "Hello"}).status_code == 422
    petra = with_log_in(anna, petra, agreed=())
    with pytest.raises(ValidationError):
        actions.write_to_patient(acting_user=rachel, patient=anna, text="Hello")
    with pytest.raises(PermissionDenied):
        actions.write_to_clinic(acting_user=petra, text="Hello")
    assert not Message.objects.exists()


def test_a_patient_sees_no_other_patients_thread(own, anna, petra, rachel):
    berta = actions.create_patient(
        acting_user=None, mrn="B-1", given_name="Berta", family_name="B", birth_date=date(1980, 1, 1)
    )
    Message.objects.create(patient=berta, author=rachel, from_patient=False, text="For Berta only")

    assert own.get(thread(berta)).status_code == 404
    assert own.post(thread(berta), {"text": "x"}).status_code == 404
    assert "For Berta only" not in own.get(reverse("own-messages")).content.decode()
    own.post(reverse("own-messages"), {"text": "Mine", "patient": str(berta.pk), "from_patient": ""})
    mine = Message.objects.get(author=petra)
    assert (mine.patient, mine.text) == (anna, "Mine")


@pytest.mark.parametrize(("who", "status"), [("adam", 200), ("ivan", 404)])
def test_other_roles(client, anna, who, status, request):
    client.force_login(request.getfixturevalue(who))

    assert client.get(thread(anna)).status_code == status
    assert client.get(reverse("own-messages")).status_code == 403
