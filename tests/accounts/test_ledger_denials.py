"""Refusals are in the ledger, with who was refused what; ten thousand of them are a few rows."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

from accounts.ledger import denials
from accounts.models import AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """No count is left of other tests, and the time of the windows is ours."""

    class Clock:
        seconds = 1_000.0

        def __call__(self):
            return self.seconds

    ours = Clock()
    for windows in (denials.kinds, denials.people):
        windows.clear()
        monkeypatch.setattr(windows, "now", ours)
    yield ours
    for windows in (denials.kinds, denials.people):
        windows.clear()


def rows() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action="access.denied").order_by("pk"))


def test_a_page_that_is_not_for_the_role_is_a_row(client, ivan, anna):
    client.force_login(ivan)
    assert client.get(f"/patients/{anna.pk}/", REMOTE_ADDR="192.0.2.5").status_code == 404
    (row,) = rows()
    assert (row.actor, row.actor_role, row.channel, row.address) == (ivan, "it_staff", "web", "192.0.2.5")
    assert (row.object_type, row.object_id, row.patient) == ("patient", str(anna.pk), anna)
    assert row.details == {
        "reason": "role",
        "page": "patient-detail",
        "asked": "patient.view",
        "status": 404,
        "method": "GET",
        "times": 1,
    }


def test_a_list_that_is_not_for_the_role_is_a_row(client, petra):
    client.force_login(petra)
    assert client.get("/patients/").status_code == 403
    (row,) = rows()
    assert (row.actor, row.details["page"], row.details["status"]) == (petra, "patient-list", 403)
    assert row.patient is None


def test_the_api_tells_the_same(api, ivan, study):
    client = api(ivan)
    assert client.get(f"/api/v1/studies/{study.pk}/").status_code == 404
    assert client.get("/api/v1/patients/").status_code == 403
    first, second = rows()
    assert (first.channel, first.details["asked"], first.object_id) == ("api", "study.view", str(study.pk))
    assert (second.channel, second.details["asked"], second.details["status"]) == ("api", "patient.view", 403)


def test_the_admin_site_tells_the_same(client, rachel):
    client.force_login(rachel)
    client.get("/admin/")
    (row,) = rows()
    assert (row.actor, row.channel, row.details["reason"]) == (rachel, "admin", "role")


def test_somebody_elses_object_is_told_from_one_for_another_role(client, rachel):
    client.force_login(rachel)
    key = uuid.uuid4()
    assert client.get(f"/studies/{key}/").status_code == 404
    (row,) = rows()
    assert (row.details["reason"], row.object_type, row.object_id) == ("not_theirs", "study", str(key))


def test_a_forged_request_is_a_row(rachel, anna):
    client = Client(enforce_csrf_checks=True)
    client.force_login(rachel)
    assert client.post(f"/patients/{anna.pk}/edit/", {"family_name": "X"}).status_code == 403
    (row,) = rows()
    assert (row.actor, row.details["reason"], row.details["method"]) == (rachel, "refused", "POST")


def test_a_forged_token_is_a_row_without_the_token(client):
    client.get("/api/v1/patients/", headers={"authorization": "Bearer forged-secret"}, REMOTE_ADDR="192.0.2.5")
    (row,) = rows()
    assert (row.actor, row.address, row.details["reason"]) == (None, "192.0.2.5", "not_signed_in")
    assert "forged" not in str(row.details)


def test_what_a_stranger_is_led_to_sign_in_for_is_no_refusal(client, anna):
    assert client.get(f"/patients/{anna.pk}/").status_code == 302
    assert client.get("/nothing/at/all/").status_code in (302, 404)
    assert rows() == []


def test_a_mistyped_address_is_no_refusal(client, rachel):
    client.force_login(rachel)
    client.get("/nothing/")
    client.get("/api/v1/nothing/")
    assert rows() == []


def test_a_method_with_a_name_of_its_own_is_not_kept(client, petra):
    client.force_login(petra)
    client.generic("<SCRIPT>", "/patients/")
    assert [row.details["method"] for row in rows()] in ([], ["other"])


def test_a_number_longer_than_a_key_is_kept_shortened(client, petra):
    """A column of a real database holds 64 characters: a longer one would be an error instead of a row."""
    client.force_login(petra)

    assert client.get(f"/users/{'9' * 2_000}/").status_code == 404

    assert AuditEvent.objects.get(action="access.denied").object_id == "9" * 64


def test_repeats_are_counted_not_written(client, petra):
    client.force_login(petra)
    for _ in range(101):
        client.get("/patients/")
    assert [row.details["times"] for row in rows()] == [1, 10, 100]


def test_what_a_window_left_untold_is_told_by_the_next_refusal(client, petra, clock):
    client.force_login(petra)
    for _ in range(15):
        client.get("/patients/")
    clock.seconds += denials.WINDOW_SECONDS + 1
    client.get("/users/")
    assert [(row.details["page"], row.details["times"]) for row in rows()] == [
        ("patient-list", 1),
        ("patient-list", 10),
        ("patient-list", 15),
        ("user-list", 1),
    ]
    assert {row.actor for row in rows()} == {petra}


def test_who_tries_many_different_records_gets_few_rows(client, ivan):
    client.force_login(ivan)
    for number in range(denials.MOST_KINDS + 20):
        client.get(f"/patients/{uuid.UUID(int=number)}/")
    told = rows()
    assert len(told) == denials.MOST_KINDS + 2
    assert [(row.details["reason"], row.details["times"]) for row in told[-2:]] == [("many", 1), ("many", 10)]


def test_others_are_counted_by_themselves(client, ivan, petra):
    for person in (ivan, petra):
        client.force_login(person)
        for _ in range(3):
            client.get("/history/")
    assert [(row.actor, row.details["times"]) for row in rows()] == [(ivan, 1), (petra, 1)]


def test_ten_thousand_keys_do_not_fill_the_memory():
    windows = denials.Windows()
    for number in range(denials.MOST_REMEMBERED * 2):
        windows.add(number)
    assert len(windows._counts) <= denials.MOST_REMEMBERED
