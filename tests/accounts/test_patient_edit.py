"""Correcting a patient's record."""

from __future__ import annotations

import uuid

import pytest

from accounts import actions
from accounts.models import AuditEvent, Patient

pytestmark = pytest.mark.django_db


def url(patient: Patient) -> str:
    return f"/patients/{patient.pk}/edit/"


def save(client, patient: Patient, **changes: str):
    typed = {
        "mrn": patient.mrn,
        "given_name": patient.given_name,
        "family_name": patient.family_name,
        "birth_date": patient.birth_date.isoformat(),
        "sex": patient.sex,
        "phone": patient.phone,
        "email": patient.email,
        "history": patient.history,
    }
    return client.post(url(patient), {**typed, **changes})


def test_a_correction_is_saved_and_the_ledger_names_the_field_not_its_content(client, rachel, anna):
    client.force_login(rachel)

    assert save(client, anna, family_name="Żółć-Nowak")["Location"] == f"/patients/{anna.pk}/"

    anna.refresh_from_db()
    event = AuditEvent.objects.get(action="patient.changed")
    assert anna.family_name == "Żółć-Nowak"
    assert event.details == {"fields": ["family_name"]}
    assert (event.actor, event.patient) == (rachel, anna)


def test_the_new_name_is_found(client, rachel, anna):
    client.force_login(rachel)

    save(client, anna, family_name="Ångström")

    assert [patient.mrn for patient in client.get("/patients/?q=angstrom", follow=True).context["page"]] == ["MRN-001"]
    assert list(client.get("/patients/?q=zolc", follow=True).context["page"]) == []


def test_the_form_shows_what_is_on_record(client, rachel, anna):
    client.force_login(rachel)

    page = client.get(url(anna)).content.decode()

    assert 'value="Żółć"' in page
    assert 'value="1970-05-17"' in page


def test_a_refused_correction_leaves_the_record_and_its_heading_as_they_were(client, rachel, anna):
    client.force_login(rachel)

    answer = save(client, anna, given_name="Changed", birth_date="")

    anna.refresh_from_db()
    assert answer.status_code == 422
    assert anna.given_name == "Anna"
    assert ">Anna Żółć</a>" in answer.content.decode()


def test_saving_without_a_change_writes_no_ledger_row(client, rachel, anna):
    client.force_login(rachel)

    save(client, anna)

    assert not AuditEvent.objects.filter(action="patient.changed").exists()


@pytest.mark.parametrize(("who", "status"), [("rachel", 200), ("adam", 200), ("ivan", 404), ("petra", 404)])
def test_who_may(client, request, anna, who, status):
    client.force_login(request.getfixturevalue(who))

    assert client.get(url(anna)).status_code == status


def test_a_record_that_does_not_exist_is_not_found(client, rachel):
    client.force_login(rachel)

    assert client.get(f"/patients/{uuid.uuid4()}/edit/").status_code == 404


def test_what_somebody_else_changed_meanwhile_is_shown_before_it_is_overwritten(client, rachel, adam, anna):
    client.force_login(rachel)
    seen = client.get(url(anna)).context["form"]["seen"].value()
    actions.update_patient(acting_user=adam, patient=anna, phone="+48 600 100 200")

    refused = save(client, anna, family_name="Nowak", seen=seen)
    page = refused.content.decode()

    anna.refresh_from_db()
    assert (refused.status_code, anna.family_name, anna.phone) == (422, "Żółć", "+48 600 100 200")
    assert "Somebody else changed this record" in page
    assert "Telephone: +48 600 100 200." in page
    assert 'value="Nowak"' in page

    again = save(client, anna, family_name="Nowak", seen=refused.context["form"]["seen"].value())
    anna.refresh_from_db()
    assert (again.status_code, anna.family_name, anna.phone) == (302, "Nowak", "+48 600 100 200")
