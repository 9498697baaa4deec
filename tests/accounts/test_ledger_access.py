"""Who opened a patient's record: the page of the administrator, and what the patient's own page is made of."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import audit
from accounts.ledger import accesses_of
from accounts.models import AuditEvent, EmergencyAccess
from portal.channel import WORKER, through

pytestmark = pytest.mark.django_db


def page(client, anna, query=""):
    answer = client.get(f"/patients/{anna.pk}/access/{query}")
    assert answer.status_code == 200
    body = re.search(r"<tbody>(.*?)</tbody>", answer.content.decode(), re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body[1])) if body else answer.content.decode()


@pytest.fixture
def looked(client, rachel, anna, study):
    """Rachel opened Anna's record on the website, and a worker stored a result."""
    client.force_login(rachel)
    client.get(f"/patients/{anna.pk}/", REMOTE_ADDR="192.0.2.7")
    with through(WORKER):
        audit.record("analysis.succeeded", actor=None, patient=anna)


def test_each_look_is_told_with_who_when_what_and_from_where(client, adam, looked, anna):
    client.force_login(adam)
    text = page(client, anna)
    assert re.search(r"Rachel Radiologist Radiologist opened the record.*Website 192\.0\.2\.7", text)
    assert "The system" not in text
    assert "The system" in page(client, anna, "?all=1")


def test_asking_is_in_the_ledger_too(client, adam, looked, anna):
    client.force_login(adam)
    page(client, anna)
    assert "Adam Administrator Administrator asked who opened the record" in page(client, anna)


def test_others_rows_are_not_among_them(client, adam, rachel, looked, anna):
    from accounts.actions import create_patient

    other = create_patient(
        acting_user=None, mrn="OTHER", given_name="Bo", family_name="Other", birth_date=anna.birth_date, sex="F"
    )
    audit.record("patient.changed", actor=rachel, target=other, patient=other)
    client.force_login(adam)
    assert "changed the record" not in page(client, anna)
    assert "changed the record" in page(client, other)


def test_emergency_access_tells_its_reason(rachel, anna):
    EmergencyAccess.objects.create(
        user=rachel, patient=anna, reason="Unconscious, no team", expires_at=timezone.now() + timedelta(hours=1)
    )
    audit.record("patient.viewed", actor=rachel, target=anna, patient=anna)
    (newest, *_) = accesses_of(anna)
    assert newest.purpose == "Unconscious, no team"


def test_a_refused_attempt_on_the_record_is_told(client, adam, ivan, anna):
    client.force_login(ivan)
    client.get(f"/patients/{anna.pk}/")
    client.force_login(adam)
    assert re.search(r"Ivan Technician IT staff was refused by role", page(client, anna))


def test_the_rows_for_the_patient_are_people_in_words_newest_first(looked, rachel, anna):
    rows = accesses_of(anna)
    assert [(row.who, row.role, row.what, row.channel) for row in rows] == [
        ("Rachel Radiologist", "Radiologist", "opened the record", "Website"),
        ("Rachel Radiologist", "Radiologist", "created a study", "Command on the server"),
    ]
    assert all(row.user_id == rachel.pk for row in rows)
    assert {row.who for row in accesses_of(anna, people_only=False)} == {"Rachel Radiologist", "The system"}
    assert len(accesses_of(anna, most=1)) == 1


def test_who_no_longer_is_a_user_is_told_by_number(rachel, anna):
    audit.record("patient.viewed", actor=rachel, target=anna, patient=anna)
    key = rachel.pk
    rachel.delete()
    assert accesses_of(anna)[0].who == f"User {key}"


def test_the_record_has_the_button_for_who_may(client, adam, rachel, anna):
    client.force_login(adam)
    assert "Who opened this record" in client.get(f"/patients/{anna.pk}/").content.decode()
    client.force_login(rachel)
    assert "Who opened this record" not in client.get(f"/patients/{anna.pk}/").content.decode()


@pytest.mark.parametrize("query", ["?before=x", "?after=99999999999999999999", "?all=2", "?before=-1", "?before=%00"])
def test_garbage_in_the_address_is_left_out(client, adam, looked, anna, query):
    client.force_login(adam)
    assert "Rachel Radiologist" in page(client, anna, query) or "Nobody yet" in page(client, anna, query)


def test_a_record_that_is_not_there_is_404(client, adam):
    client.force_login(adam)
    assert client.get("/patients/00000000-0000-0000-0000-000000000000/access/").status_code == 404
    assert AuditEvent.objects.filter(action="patient.access_viewed").count() == 0
