"""No page, file or endpoint about people opens without a row: each view tells by itself, or the middleware does."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts.actions import create_patient, link_patient_login, make_appointment
from accounts.middleware import WATCHED
from accounts.models import AuditEvent, EmergencyAccess
from accounts.permissions import may
from accounts.roles import TABLE
from tests.fixture_results import concluded, lesion, released, succeeded, with_report
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db

NOT_ABOUT_PEOPLE = {
    "own_account",
    "notification",
    "token",
    "api_schema",
    "role_table",
    "team",
    "model",
    "dashboard",
    "ledger",
    "ledger_metadata",
    "job",
    "mail",
    "operations",
    "settings",
}
"""Objects of the permission table whose pages show no person's record."""


def test_every_object_of_the_table_is_watched_or_shows_no_record():
    assert set(TABLE) - WATCHED - NOT_ABOUT_PEOPLE == set()
    assert WATCHED - set(TABLE) == set()


@pytest.fixture
def keys(rachel, petra, anna, study):
    """What the names in an address stand for: Anna's study with a result, released to her; Petra is her log-in."""
    analysis = succeeded(study=study, by=rachel, found=lesion())
    with_report(analysis)
    link_patient_login(acting_user=None, patient=anna, user=petra)
    report = released(analysis, by=rachel)
    return {
        "patients": anna.pk,
        "studies": study.pk,
        "analyses": analysis.pk,
        "images": analysis.image_id,
        "reports": report.pk,
    }


def patterns(entries, prefix=""):
    for entry in entries:
        text = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry.url_patterns, text)
        elif isinstance(entry, URLPattern):
            yield text, entry.callback


def watched_routes():
    """Route and permission of every address that is about people."""
    for route, view in patterns(get_resolver().url_patterns):
        cls = getattr(view, "view_class", None) or getattr(view, "cls", None)
        needed = getattr(view, "required_permission", None) or getattr(cls, "required_permissions", {}).get("GET")
        if needed and needed[0] in WATCHED:
            yield route, needed


def test_whoever_is_shown_something_is_in_the_ledger(client, rachel, adam, petra, keys):
    untold, shown = [], set()
    for route, needed in watched_routes():
        noun = next((part for part in route.split("/") if part in keys), "")
        address = "/" + re.sub(r"<uuid:\w+>", str(keys.get(noun, "")), route)
        if "<" in address or "//" in address:
            # It names something that there is none of here.
            continue
        for person in (rachel, adam, petra):
            if not may(person, *needed):
                continue
            client.force_login(person)
            confirm(client)
            before = AuditEvent.objects.latest("pk").pk
            answer = client.get(address, REMOTE_ADDR=f"192.0.2.{len(shown) % 250}")
            answer.close()
            if answer.status_code == 200:
                shown.add(route)
                if not AuditEvent.objects.filter(pk__gt=before, actor=person).exists():
                    untold.append(f"{address} showed {person} something")
    assert untold == []
    assert SHOWN - shown == set()


SHOWN = {
    "",
    "patients/",
    "patients/<uuid:pk>/",
    "patients/<uuid:pk>/edit/",
    "patients/<uuid:pk>/studies/new/",
    "studies/<uuid:pk>/",
    "studies/<uuid:pk>/images/",
    "analyses/<uuid:pk>/",
    "analyses/<uuid:pk>/panel/",
    "analyses/<uuid:pk>/explanation.png",
    "images/<uuid:pk>/image.png",
    "images/<uuid:pk>/thumbnail.jpg",
    "reports/<uuid:pk>.pdf",
    "history/",
    "history/export.csv",
    "users/",
    "api/v1/patients/",
    "api/v1/patients/<uuid:pk>/",
    "api/v1/studies/",
    "api/v1/studies/<uuid:pk>/",
    "api/v1/analyses/<uuid:pk>/",
    "api/v1/analyses/<uuid:pk>/explanation.png",
    "api/v1/analyses/<uuid:pk>/segmentation.png",
    "api/v1/analyses/<uuid:pk>/report.pdf",
}
"""Addresses that this test surely reaches."""


def test_looking_again_within_minutes_is_one_viewing(client, rachel, study):
    client.force_login(rachel)
    for _ in range(5):
        client.get("/patients/")
    assert AuditEvent.objects.filter(action="patient.listed", actor=rachel).count() == 1


def test_looking_from_elsewhere_is_another(client, rachel):
    client.force_login(rachel)
    for address in ("192.0.2.1", "192.0.2.2"):
        client.get("/patients/", REMOTE_ADDR=address)
    assert AuditEvent.objects.filter(action="patient.listed", actor=rachel).count() == 2


def test_a_thumbnail_is_part_of_the_record_that_is_open(client, rachel, keys, anna, fetch):
    client.force_login(rachel)
    client.get(f"/patients/{anna.pk}/")
    before = AuditEvent.objects.count()
    fetch(client, f"/images/{keys['images']}/thumbnail.jpg")
    assert AuditEvent.objects.count() == before


def test_a_thumbnail_alone_is_a_view_of_the_image(client, rachel, keys, anna, fetch):
    client.force_login(rachel)
    fetch(client, f"/images/{keys['images']}/thumbnail.jpg")
    event = AuditEvent.objects.get(action="image.viewed")
    assert (event.actor, event.patient, event.details) == (rachel, anna, {"thumbnail": True})


def test_the_map_is_a_view_with_the_patient(client, rachel, keys, anna, fetch, api):
    client.force_login(rachel)
    fetch(client, f"/analyses/{keys['analyses']}/explanation.png")
    fetch(api(rachel), f"/api/v1/analyses/{keys['analyses']}/segmentation.png")
    rows = AuditEvent.objects.filter(action="analysis.map_viewed")
    assert {(row.channel, row.patient) for row in rows} == {("web", anna), ("api", anna)}


def rows_of(user, patient):
    return list(AuditEvent.objects.filter(actor=user, patient=patient).values_list("action", flat=True))


def test_a_change_that_changes_nothing_shows_the_record_and_is_a_view(api, rachel, anna):
    client = api(rachel)

    assert client.patch(f"/api/v1/patients/{anna.pk}/", {}, format="json").json()["mrn"] == anna.mrn

    assert rows_of(rachel, anna) == ["patient.viewed"]


@pytest.mark.parametrize(
    ("address", "typed"),
    [("/patients/{patient}/edit/", {"mrn": ""}), ("/patients/{patient}/messages/", {"text": ""})],
)
def test_a_form_that_comes_back_with_the_record_is_a_view(client, adam, anna, address, typed):
    client.force_login(adam)
    confirm(client)

    answer = client.post(address.format(patient=anna.pk), typed)

    assert answer.status_code == 422
    assert anna.family_name in answer.content.decode()
    assert len(rows_of(adam, anna)) == 1


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_letter_before_its_release_is_a_view_with_the_patient(client, rachel, anna, study, method):
    analysis = succeeded(study=study, by=rachel)
    report = concluded(analysis, by=rachel)
    client.force_login(rachel)
    before = len(rows_of(rachel, anna))

    answer = getattr(client, method)(reverse("report-release", args=[report.pk]))

    assert anna.family_name in answer.content.decode()
    assert rows_of(rachel, anna)[: -before or None] == ["report.viewed"]


def test_comparing_two_records_before_they_are_merged_is_a_view_of_both(client, adam, anna):
    other = create_patient(
        acting_user=None, mrn="MRN-002", given_name="Ania", family_name="Zolc", birth_date=anna.birth_date, sex="F"
    )
    client.force_login(adam)
    confirm(client)

    answer = client.post(reverse("patient-merge", args=[anna.pk]), {"mrn": "MRN-002"})

    assert "Zolc" in answer.content.decode()
    assert rows_of(adam, anna) == ["patient.viewed"]
    assert rows_of(adam, other) == ["patient.viewed"]


def test_an_appointment_that_is_opened_is_a_view_with_the_patient(client, adam, anna):
    appointment = make_appointment(
        acting_user=adam, patient=anna, at=timezone.now() + timedelta(days=3), place="Room 2", purpose="Ultrasound"
    )
    client.force_login(adam)
    confirm(client)

    client.get(reverse("appointment-change", args=[appointment.pk]))

    assert "appointment.viewed" in rows_of(adam, anna)


def test_a_use_of_emergency_access_that_is_reviewed_is_a_view_with_the_patient(client, adam, rachel, anna):
    use = EmergencyAccess.objects.create(
        user=rachel, patient=anna, reason="She bleeds and nobody is here.", expires_at=timezone.now()
    )
    client.force_login(adam)
    confirm(client)

    assert anna.family_name in client.get(reverse("emergency-review", args=[use.pk])).content.decode()

    assert rows_of(adam, anna) == ["emergency_access.viewed"]
