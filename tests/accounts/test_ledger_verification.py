"""10,000 rows, written to behind the back of the programs: what is found, and where."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection, transaction

from accounts import actions, audit
from accounts.ledger import chain, guard
from accounts.ledger.verification import verify
from accounts.models import AuditEvent
from portal.bench.ledger_data import fill

pytestmark = pytest.mark.django_db
ROWS = 10_000
ALTERED = "altered: what it says does not give the digest that it carries"


@pytest.fixture(scope="module")
def filled(django_db_setup, django_db_blocker):
    """10,000 rows and some, once for all tests here; each test's own changes are undone."""
    with django_db_blocker.unblock():
        user, _ = actions.create_user(acting_user=None, email="rows@test.local", role="radiologist")
        patient = actions.create_patient(
            acting_user=None, mrn="ROWS", given_name="Anna", family_name="Rows", birth_date=date(1970, 1, 1), sex="F"
        )
        fill(ROWS)
        yield
        with guard.lifted(connection):
            run("DELETE FROM accounts_auditevent")
        patient.delete()
        user.delete()


@pytest.fixture
def ledger(filled, db):
    """A whole ledger of a little more than 10,000 rows, and no trigger in the way."""
    with guard.lifted(connection):
        yield AuditEvent.objects.count()


def run(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(*statement) if isinstance(statement, tuple) else cursor.execute(statement)


def after(*statements, anchored=None):
    """What verification finds after the statements, which are undone again."""
    with transaction.atomic():
        run(*statements)
        found = verify(anchored=anchored)
        transaction.set_rollback(True)
    return found


def told(found):
    return [(finding.sequence, finding.what) for finding in found.findings]


def test_a_whole_ledger_is_whole(ledger):
    found = verify()
    assert (found.findings, found.rows, found.last_good) == ([], ledger, ledger)
    assert found.last_digest == AuditEvent.objects.get(pk=ledger).digest


CHANGE = "UPDATE accounts_auditevent SET {} WHERE id = %s"
ONE_BYTE = {
    "at": "at = substr(at, 1, 18) || CASE substr(at, 19, 1) WHEN '7' THEN '6' ELSE '7' END || substr(at, 20)",
    "at, a microsecond": "at = substr(at, 1, 20) || '999999'",
    "at, written otherwise": "at = replace(at, ' ', 'T')",
    "actor": "actor_id = actor_id + 1",
    "no actor": "actor_id = NULL",
    "role": "actor_role = 'radiologisu'",
    "action": "action = replace(action, 'v', 'w')",
    "object type": "object_type = object_type || ' '",
    "object": "object_id = 'x' || substr(object_id, 2)",
    "patient": "patient_id = CASE substr(patient_id, 1, 1) WHEN 'f' THEN 'e' ELSE 'f' END || substr(patient_id, 2)",
    "patient, written otherwise": "patient_id = upper(patient_id) || '-'",
    "no patient": "patient_id = NULL",
    "address": "address = '10.0.0.255'",
    "channel": "channel = 'wea'",
    "purpose": "purpose = '.'",
    "details": 'details = \'{"label": "benigm"}\'',
    "details, a space": "details = '{ }'",
    "bytes that are no text": "purpose = CAST(x'ff' AS TEXT)",
}


def test_one_changed_byte_in_any_column_is_found(ledger):
    row = AuditEvent.objects.filter(action="patient.viewed", pk__gt=5_000).earliest("pk").pk
    found = {name: told(after((CHANGE.format(change), [row]))) for name, change in ONE_BYTE.items()}
    assert found == {name: [(row, ALTERED)] for name in ONE_BYTE}


def test_details_that_are_no_json_any_more_are_found(ledger):
    row = AuditEvent.objects.filter(pk__gt=5_000).earliest("pk").pk
    run("PRAGMA ignore_check_constraints = ON")
    try:
        found = after((CHANGE.format("details = '{'"), [row]))
    finally:
        run("PRAGMA ignore_check_constraints = OFF")
    assert told(found) == [(row, ALTERED)]


def test_a_changed_digest_is_found_and_so_is_the_link_that_it_breaks(ledger):
    own = after("UPDATE accounts_auditevent SET digest = 'x' || substr(digest, 2) WHERE id = 5000")
    assert [sequence for sequence, _ in told(own)] == [5000, 5001]
    link = after("UPDATE accounts_auditevent SET previous_digest = 'x' || substr(previous_digest, 2) WHERE id = 5000")
    assert told(link) == [(5000, ALTERED)]


def test_a_changed_place_is_found(ledger):
    moved = after("UPDATE accounts_auditevent SET sequence = 999999 WHERE id = 5000")
    assert told(moved) == [(5000, "moved: it carries the number 999999")]
    key = after("UPDATE accounts_auditevent SET id = 999999 WHERE id = 5000")
    assert (5000, "missing") in told(key)


def test_one_deleted_row_is_found_and_named(ledger):
    found = after("DELETE FROM accounts_auditevent WHERE id = 5000")
    assert told(found) == [(5000, "missing")]
    assert found.last_good == 4999


def test_many_deleted_rows_are_one_finding(ledger):
    found = after("DELETE FROM accounts_auditevent WHERE id BETWEEN 5000 AND 5999")
    assert told(found) == [(5000, "to row 5999, missing")]


def test_a_deleted_row_whose_place_was_closed_up_is_found(ledger):
    found = after(
        "DELETE FROM accounts_auditevent WHERE id = 5000",
        "UPDATE accounts_auditevent SET id = id - 1, sequence = sequence - 1 WHERE id = 5001",
        "UPDATE accounts_auditevent SET id = id - 1, sequence = sequence - 1 WHERE id = 5002",
    )
    assert [sequence for sequence, _ in told(found)] == [5000, 5001, 5002]


def test_two_swapped_rows_are_found(ledger):
    found = after(
        "UPDATE accounts_auditevent SET id = -1, sequence = -1 WHERE id = 5000",
        "UPDATE accounts_auditevent SET id = 5000, sequence = 5000 WHERE id = 7000",
        "UPDATE accounts_auditevent SET id = 7000, sequence = 7000 WHERE id = -1",
    )
    assert [sequence for sequence, _ in told(found)] == [5000, 5001, 7000, 7001]
    assert told(found)[0] == (5000, ALTERED)


COPY = (
    "INSERT INTO accounts_auditevent (id, sequence, at, actor_id, actor_role, action, object_type, object_id, "
    "patient_id, address, channel, purpose, details, previous_digest, digest) SELECT {id}, {sequence}, at, actor_id, "
    "actor_role, action, object_type, object_id, patient_id, address, channel, purpose, details, previous_digest, "
    "digest FROM accounts_auditevent WHERE id = 5000"
)


@pytest.mark.parametrize("sequence", ["NULL", "0", "-1", "20000"])
def test_a_row_that_was_put_in_is_found_wherever(ledger, sequence):
    found = after(COPY.format(id=sequence if sequence != "NULL" else 20_000, sequence=sequence))
    assert not found.is_sound
    assert all(finding.sequence < 1 or finding.sequence > ledger for finding in found.findings)


def remade(first):
    """Statements that make the chain anew from a row on, as somebody who knows how it is hashed would."""
    with transaction.atomic():
        run(("UPDATE accounts_auditevent SET purpose = 'nothing' WHERE id = %s", [first]))
        rows = list(AuditEvent.objects.filter(pk__gte=first).order_by("pk"))
        transaction.set_rollback(True)
    previous = rows[0].previous_digest
    statements = [("UPDATE accounts_auditevent SET purpose = 'nothing' WHERE id = %s", [first])]
    for row in rows:
        own = chain.digest(audit.entry_of(row), previous)
        statements.append(
            ("UPDATE accounts_auditevent SET previous_digest = %s, digest = %s WHERE id = %s", [previous, own, row.pk])
        )
        previous = own
    return statements


def test_a_row_that_was_made_anew_by_itself_breaks_the_next(ledger):
    found = after(*remade(5000)[:2])
    ((sequence, what),) = told(found)
    assert sequence == 5001
    assert what.startswith("does not follow row 5000")


def test_a_chain_made_anew_to_its_end_is_found_by_an_anchor_alone(ledger):
    anchored = {9000: AuditEvent.objects.get(pk=9000).digest}
    statements = remade(8000)
    assert after(*statements).is_sound
    found = after(*statements, anchored=anchored)
    assert [finding.sequence for finding in found.findings] == [9000]
    assert "anchor" in found.findings[0].what


def test_an_end_that_was_cut_off_is_found_by_an_anchor_alone(ledger):
    anchored = {ledger: AuditEvent.objects.get(pk=ledger).digest, 3: AuditEvent.objects.get(pk=3).digest}
    cut = ("DELETE FROM accounts_auditevent WHERE id > %s", [ledger - 10])
    assert after(cut).is_sound
    found = after(cut, anchored=anchored)
    assert found.findings[0].sequence == ledger - 9
    assert f"an anchor names row {ledger}" in found.findings[0].what


def test_an_empty_ledger_is_whole_unless_an_anchor_says_otherwise(ledger):
    empty = after("DELETE FROM accounts_auditevent", anchored={7: "x"})
    assert (empty.rows, [finding.sequence for finding in empty.findings]) == (0, [1])


def test_thousands_of_findings_are_counted_and_the_first_are_named(ledger):
    found = after("UPDATE accounts_auditevent SET purpose = 'x'")
    assert found.count == ledger
    assert len(found.findings) == 100
    assert found.last_good == 0
