"""How rows of the ledger are written: one after the other, each tied to the one before, never changed."""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, models, transaction

from accounts import actions, audit, tasks
from accounts.ledger import chain, guard
from accounts.ledger.verification import verify
from accounts.models import AuditEvent
from portal.channel import WORKER, through
from portal.job_task import work_now

pytestmark = pytest.mark.django_db


def newest() -> AuditEvent:
    return AuditEvent.objects.latest("pk")


# The chain


def test_the_digest_is_what_the_documentation_says():
    entry = chain.Entry(
        sequence=7,
        at=chain.moment(datetime(2026, 11, 21, 8, 0, 0, 1, tzinfo=UTC)),
        actor=3,
        role="radiologist",
        action="patient.viewed",
        object_type="patient",
        object_id="5b0c8a1e-6a0e-4e57-9f0b-1f8f0b1c2d3e",
        patient="5b0c8a1e-6a0e-4e57-9f0b-1f8f0b1c2d3e",
        address="192.0.2.7",
        channel="web",
        purpose="Żółć",
        details={"b": 1, "a": [0.5, None, True]},
    )
    text = (
        '["senolens-ledger-1",7,"2026-11-21T08:00:00.000001Z",3,"radiologist","patient.viewed","patient",'
        '"5b0c8a1e-6a0e-4e57-9f0b-1f8f0b1c2d3e","5b0c8a1e-6a0e-4e57-9f0b-1f8f0b1c2d3e","192.0.2.7","web",'
        '"\\u017b\\u00f3\\u0142\\u0107",{"a":[0.5,null,true],"b":1},"' + "0" * 64 + '"]'
    )
    assert chain.serialised(entry, chain.GENESIS) == text.encode("ascii")
    assert chain.digest(entry, chain.GENESIS) == hashlib.sha256(text.encode()).hexdigest()


def test_each_row_has_the_next_number_and_the_digest_of_the_row_before(rachel, anna):
    for _ in range(3):
        audit.record("patient.viewed", actor=rachel, target=anna, patient=anna)
    rows = list(AuditEvent.objects.order_by("pk"))
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1)) == [row.pk for row in rows]
    assert rows[0].previous_digest == chain.GENESIS
    assert [row.previous_digest for row in rows[1:]] == [row.digest for row in rows[:-1]]
    assert verify().is_sound


def test_a_row_is_undone_with_what_it_records_and_leaves_no_gap(rachel, anna):
    before = newest().sequence
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        audit.record("patient.viewed", actor=rachel, target=anna, patient=anna)
        raise ZeroDivisionError
    with transaction.atomic():
        audit.record("study.viewed", actor=rachel)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            audit.record("image.viewed", actor=rachel)
            raise ZeroDivisionError
        audit.record("report.viewed", actor=rachel)
    written = list(AuditEvent.objects.filter(sequence__gt=before).order_by("pk").values_list("sequence", "action"))
    assert written == [(before + 1, "study.viewed"), (before + 2, "report.viewed")]
    assert verify().is_sound


def test_what_cannot_be_noted_does_not_happen(rachel, anna):
    with pytest.raises(TypeError), transaction.atomic():
        anna.phone = "1"
        anna.save()
        audit.record("patient.changed", actor=rachel, target=anna, patient=anna, what=object())
    anna.refresh_from_db()
    assert anna.phone == ""


@pytest.mark.django_db(transaction=True)
def test_a_row_outside_of_a_transaction_makes_its_own(rachel):
    assert not connection.in_atomic_block
    event = audit.record("study.viewed", actor=rachel)
    assert AuditEvent.objects.get(pk=event.pk).digest == event.digest
    assert verify().is_sound


@pytest.mark.parametrize(
    "value",
    [
        0.1 + 0.2,
        1e-7,
        5e-324,
        -0.0,
        1e15,
        1.5e300,
        2**70,
        "nul \0 and half a pair \ud800",
        {"ż": ["ł", {"z": 1, "a": None}]},
        ("a", "tuple"),
        True,
    ],
)
def test_values_come_back_from_the_database_as_they_were_hashed(rachel, value):
    audit.record("study.viewed", actor=rachel, value=value)
    assert verify().is_sound
    assert newest().details.keys() == {"value"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), datetime(2026, 1, 1, tzinfo=UTC), b"bytes", {1, 2}])
def test_what_is_no_json_is_refused(rachel, value):
    before = AuditEvent.objects.count()
    with pytest.raises((TypeError, ValueError)):
        audit.record("study.viewed", actor=rachel, value=value)
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unix:", None),
        ("192.0.2.7' OR 1=1", None),
    ],
)
def test_an_address_is_kept_in_one_form_or_not_at_all(rachel, sent, kept):
    token = audit.client_address.set(sent)
    try:
        audit.record("study.viewed", actor=rachel)
    finally:
        audit.client_address.reset(token)
    assert AuditEvent.objects.get(pk=newest().pk).address == kept
    assert verify().is_sound


# What must not be in it


def test_details_that_repeat_the_patient_are_masked(rachel, anna):
    audit.record(
        "image.refused",
        actor=rachel,
        patient=anna,
        file="zolc_anna_left.png",
        other=["scan of ŻÓŁĆ", "mrn-001.dcm", "left.png"],
        fields=["mrn", "family_name"],
        nested={"note": "Anna"},
    )
    assert newest().details == {
        "file": "(masked)",
        "other": ["scan of (masked)", "(masked)", "left.png"],
        "fields": ["mrn", "family_name"],
        "nested": {"note": "(masked)"},
    }


def test_a_reason_in_own_words_is_the_purpose_and_names_nobody(rachel, anna):
    audit.record("patient.erasure_started", actor=rachel, patient=anna, reason="Asked by Anna Żółć, MRN-001.", keys=1)
    assert (newest().purpose, newest().details) == ("Asked by (masked) (masked) (masked)", {"keys": 1})
    audit.record("token.refused", actor=None, reason="unknown_code")
    assert (newest().purpose, newest().details) == ("", {"reason": "unknown_code"})


def test_names_of_refused_files_are_not_kept(client, rachel, study):
    client.force_login(rachel)
    client.post(
        f"/studies/{study.pk}/upload/", {"file": _file("Maria Secret 1970.png")}, headers={"accept": "application/json"}
    )
    event = AuditEvent.objects.get(action="image.refused")
    assert "Secret" not in json.dumps(event.details)
    assert event.details["suffix"] == "png"


def _file(name):
    from django.core.files.uploadedfile import SimpleUploadedFile

    return SimpleUploadedFile(name, b"not a png", content_type="image/png")


# Where from and what for


def test_a_job_a_command_and_a_page_are_told_apart(client, rachel, anna, api):
    audit.record("study.viewed", actor=None)
    assert newest().channel == "command"
    with through(WORKER):
        audit.record("study.viewed", actor=None)
    assert newest().channel == "worker"
    client.force_login(rachel)
    client.get(f"/patients/{anna.pk}/", REMOTE_ADDR="192.0.2.9")
    assert (newest().channel, newest().address, newest().action) == ("web", "192.0.2.9", "patient.viewed")
    api(rachel).get(f"/api/v1/patients/{anna.pk}/")
    AuditEvent.objects.filter(channel="api").latest("pk")


def test_what_a_job_does_came_through_the_worker(rachel):
    mail = actions.enqueue_mail(kind="account", recipient=rachel.email, subject="Hello", body="Hello", user=rachel)
    work_now(tasks.send_mail, mail.pk)
    event = AuditEvent.objects.get(action="mail.sent")
    assert (event.channel, event.actor, event.actor_role) == ("worker", None, "system")


def test_a_command_is_named_without_its_arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/srv/manage.py", "create_user", "anna@test.local"])
    actions.create_user(acting_user=None, email="new@test.local", role="radiologist")
    assert newest().purpose == "manage.py create_user"


def test_a_purpose_is_one_line_of_bounded_length(rachel):
    audit.record("study.viewed", actor=rachel, purpose="emergency\r\nX-Header: 1 \0" + "x" * 900)
    assert newest().purpose.startswith("emergency X-Header: 1 \ufffdxxx")
    assert len(newest().purpose) == 500


# Append-only


def test_python_refuses_to_change_or_delete_rows(rachel):
    row = audit.record("study.viewed", actor=rachel)
    row.action = "nothing"
    for attempt in (
        row.save,
        row.delete,
        lambda: AuditEvent.objects.all().delete(),
        lambda: AuditEvent.objects.update(action="nothing"),
        lambda: AuditEvent.objects.filter(pk=row.pk).update(action="nothing"),
        lambda: AuditEvent.objects.bulk_create([AuditEvent(action="nothing")]),
        lambda: AuditEvent.objects.bulk_update([row], ["action"]),
        lambda: AuditEvent.objects.get_or_create(action="nothing"),
        lambda: AuditEvent.objects.update_or_create(action="nothing"),
        lambda: AuditEvent.objects.get(pk=row.pk).save(),
    ):
        with pytest.raises(TypeError, match="append-only"):
            attempt()
    assert AuditEvent.objects.get(pk=row.pk).action == "study.viewed"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_auditevent SET purpose = 'x'",
        "UPDATE accounts_auditevent SET purpose = 'x' WHERE id = 1",
        "DELETE FROM accounts_auditevent WHERE id = 1",
        "DELETE FROM accounts_auditevent",
        "REPLACE INTO accounts_auditevent SELECT * FROM accounts_auditevent WHERE id = 1",
        "INSERT OR REPLACE INTO accounts_auditevent SELECT * FROM accounts_auditevent WHERE id = 1",
    ],
)
def test_the_database_refuses_too(rachel, statement):
    audit.record("study.viewed", actor=rachel)
    before = list(AuditEvent.objects.values())
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement)
    assert list(AuditEvent.objects.values()) == before


def test_a_row_outside_of_the_chain_is_not_taken(rachel):
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        models.QuerySet(AuditEvent).create(action="study.viewed", actor=rachel)


def test_deleting_a_person_leaves_what_they_did(rachel):
    audit.record("study.viewed", actor=rachel)
    key = rachel.pk
    rachel.delete()
    assert newest().actor_id == key
    assert verify().is_sound


def test_migrate_makes_missing_triggers_again():
    from django.core.management import call_command

    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER ledger_no_update")
    assert guard.missing(connection) == ["ledger_no_update"]
    call_command("migrate", verbosity=0)
    assert guard.missing(connection) == []
