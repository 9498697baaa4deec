"""The ledger on PostgreSQL: many processes write one chain, and the database refuses to change it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.end_to_end.processes import ROOT

pytestmark = pytest.mark.slow

PROCESSES = 4
ROWS_EACH = 150

SET_UP = """
import django; django.setup()
from datetime import date
from django.core.management import call_command
from accounts.actions import create_patient, create_user
call_command("migrate", verbosity=0)
create_user(acting_user=None, email="rachel@test.local", role="radiologist")
create_patient(
    acting_user=None, mrn="ROWS", given_name="Anna", family_name="Race", birth_date=date(1970, 1, 1), sex="F"
)
"""

WRITER = """
import sys, random
import django; django.setup()
from django.db import transaction
from accounts import audit
from accounts.models import Patient, User
rachel, anna = User.objects.get(), Patient.objects.get()
chance = random.Random(int(sys.argv[1]))
for number in range({rows}):
    try:
        with transaction.atomic():
            Patient.objects.select_for_update(no_key=True).get(pk=anna.pk)
            if chance.random() < 0.2:
                try:
                    with transaction.atomic():
                        audit.record("image.viewed", actor=rachel, target=anna, patient=anna)
                        raise ZeroDivisionError
                except ZeroDivisionError:
                    pass
            values = {{"number": number, "share": 1e22, "tiny": 1e-7}}
            audit.record("patient.viewed", actor=rachel, target=anna, patient=anna, **values)
            if chance.random() < 0.1:
                raise KeyError
    except KeyError:
        pass
    audit.record("study.viewed", actor=rachel, purpose="outside of a transaction")
"""

FINDINGS = """
import json
import django; django.setup()
from django.db import DatabaseError, connection, transaction
from accounts.ledger import anchors, guard
from accounts.ledger.verification import verify
from accounts.models import AuditEvent

def whole():
    found = verify()
    return [found.rows, [finding.sequence for finding in found.findings]]

refused = {}
for name, statement in {
    "update": "UPDATE accounts_auditevent SET purpose = 'x' WHERE id = 1",
    "delete": "DELETE FROM accounts_auditevent WHERE id = 1",
    "truncate": "TRUNCATE accounts_auditevent",
    "cascade": "TRUNCATE accounts_user CASCADE; TRUNCATE accounts_auditevent",
}.items():
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
        refused[name] = False
    except DatabaseError as error:
        refused[name] = "append-only" in str(error)

def after(statement):
    with transaction.atomic():
        with guard.lifted(connection), connection.cursor() as cursor:
            cursor.execute(statement)
        found = verify()
        transaction.set_rollback(True)
    return [finding.sequence for finding in found.findings]

row = 100
changes = {
    "at": "at = at + interval '1 microsecond'", "actor": "actor_id = actor_id + 1", "role": "actor_role = 'x'",
    "action": "action = 'x'", "object type": "object_type = 'x'", "object": "object_id = 'x'",
    "patient": "patient_id = '00000000-0000-0000-0000-000000000000'", "address": "address = '192.0.2.1'",
    "channel": "channel = 'x'", "purpose": "purpose = 'x'", "details": "details = '{\\"number\\": 1}'",
}
print(json.dumps({
    "whole": whole(),
    "numbers": list(AuditEvent.objects.order_by("pk").values_list("sequence", flat=True)) ==
               list(range(1, AuditEvent.objects.count() + 1)),
    "missing": guard.missing(connection),
    "refused": refused,
    "changed": {
        name: after(f"UPDATE accounts_auditevent SET {change} WHERE id = {row}") for name, change in changes.items()
    },
    "deleted": after(f"DELETE FROM accounts_auditevent WHERE id = {row}"),
    "still": whole()[1],
    "anchored": anchors.anchor(force=True).sequence == AuditEvent.objects.count(),
}))
"""


@pytest.fixture(scope="module")
def found(postgres, tmp_path_factory):
    environment = {
        **os.environ,
        "DEMO": "1",
        "DATA_DIR": str(tmp_path_factory.mktemp("ledger")),
        "DATABASE_URL": postgres,
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }

    def python(script, *arguments):
        return subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(process):
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-3_000:]
        return out

    ended(python(SET_UP))
    writers = [python(WRITER.format(rows=ROWS_EACH), str(number)) for number in range(PROCESSES)]
    for writer in writers:
        ended(writer)
    return json.loads(ended(python(FINDINGS)).splitlines()[-1])


def test_four_processes_write_one_chain_without_gap_or_fork(found):
    rows, findings = found["whole"]
    assert findings == []
    assert found["numbers"]
    # Each writes one row outside of a transaction every time, and most of the time one inside.
    assert rows > PROCESSES * ROWS_EACH * 1.5


def test_the_database_refuses_to_change_delete_or_truncate(found):
    assert found["missing"] == []
    assert found["refused"] == dict.fromkeys(("update", "delete", "truncate", "cascade"), True)


def test_what_was_changed_behind_its_back_is_found_in_every_column(found):
    assert found["changed"] == {name: [100] for name in found["changed"]}
    assert len(found["changed"]) == 11
    assert found["deleted"] == [100]
    assert found["still"] == []
    assert found["anchored"]
