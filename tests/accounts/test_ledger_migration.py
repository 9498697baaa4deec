"""A site that has a ledger without a chain: its rows become the beginning of the chain."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import QuerySet

from accounts.ledger import guard
from accounts.ledger.verification import verify
from accounts.models import AuditEvent

pytestmark = pytest.mark.django_db
INSERT = "INSERT INTO accounts_auditevent ({}) VALUES ({})"
migration = import_module("accounts.migrations.0003_chain_the_ledger")


class Editor:
    """What a migration is given besides the models."""

    connection = connection


class Historical:
    """The models as a migration sees them: without our refusal to change rows."""

    def get_model(self, *name):
        class Manager:
            @staticmethod
            def using(alias):
                return QuerySet(apps.get_model(*name), using=alias)

        return type("AuditEvent", (), {"objects": Manager})


def before_the_chain(key, **values):
    """A row as earlier versions wrote it, with gaps between the keys."""
    row = {
        "id": key,
        "at": "2026-01-02 03:04:05",
        "actor_role": "radiologist",
        "action": "study.viewed",
        "object_type": "study",
        "object_id": "x",
        "details": "{}",
        "channel": "",
        "purpose": "",
        "previous_digest": "",
        "digest": "",
        **values,
    }
    with connection.cursor() as cursor:
        columns = ", ".join(row)
        marks = ", ".join(["%s"] * len(row))
        cursor.execute(INSERT.format(columns, marks), list(row.values()))


def test_rows_that_exist_are_chained_in_their_order_and_keep_what_they_say(anna):
    with guard.lifted(connection), connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_auditevent")
        before_the_chain(3, actor_id=7, address="192.0.2.7", patient_id=anna.pk.hex)
        before_the_chain(10, details='{"z": 1, "a": 0.5}', at="2026-01-02 03:04:05.678901")
        before_the_chain(11, action="image.refused", details='{"file": "anna.png", "code": "empty"}')
        before_the_chain(4000, action="history.exported", details='{"filters": {"q": "anna"}, "count": 3}')
        assert not verify().is_sound
        migration.chain(Historical(), Editor())

    found = verify()
    assert (found.is_sound, found.rows) == (True, 4)
    rows = list(AuditEvent.objects.order_by("pk"))
    assert [row.pk for row in rows] == [row.sequence for row in rows] == [1, 2, 3, 4]
    assert (rows[0].actor_id, rows[0].patient, rows[0].address) == (7, anna, "192.0.2.7")
    assert rows[1].at == datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert [row.details for row in rows] == [{}, {"a": 0.5, "z": 1}, {"code": "empty"}, {"count": 3}]


def test_more_rows_than_a_batch_and_a_second_run_change_nothing(anna, monkeypatch):
    monkeypatch.setattr(migration, "BATCH", 2)
    with guard.lifted(connection), connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_auditevent")
        for key in range(2, 14, 2):
            before_the_chain(key)
        migration.chain(Historical(), Editor())
        first = list(AuditEvent.objects.values())
        migration.chain(Historical(), Editor())
    assert verify().is_sound
    assert list(AuditEvent.objects.values()) == first
