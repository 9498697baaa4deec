"""Anchors of the ledger: signed lines in a file outside the database, written when due, by one worker at a time."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts import audit
from accounts.ledger import anchors, guard, signing
from accounts.models import AuditEvent
from portal.bench.ledger_data import fill

pytestmark = pytest.mark.django_db


def lines(settings):
    return settings.LEDGER_ANCHOR_FILE.read_text().splitlines()


def test_the_first_anchor_is_written_at_once_and_the_next_when_due(settings, rachel, monkeypatch):
    first = anchors.anchor()
    assert first is not None
    assert (first.sequence, first.digest) == (1, AuditEvent.objects.get(pk=1).digest)
    audit.record("study.viewed", actor=rachel)
    assert anchors.anchor() is None

    later = timezone.now() + anchors.EVERY + timedelta(seconds=1)
    monkeypatch.setattr(anchors.timezone, "now", lambda: later)
    second = anchors.anchor()
    assert second is not None and second.sequence == 2
    assert [json.loads(line)["sequence"] for line in lines(settings)] == [1, 2]


def test_a_thousand_rows_are_anchored_before_the_hour_is_over(settings, rachel):
    anchors.anchor()
    fill(anchors.EVERY_ROWS - 1)
    assert anchors.anchor() is None
    audit.record("study.viewed", actor=rachel)
    assert anchors.anchor() is not None


def test_without_new_rows_there_is_no_anchor_even_when_forced(rachel):
    assert anchors.anchor(force=True) is not None
    assert anchors.anchor(force=True) is None


def test_an_empty_ledger_is_not_anchored(db):
    assert anchors.anchor(force=True) is None


def test_only_the_owner_reads_the_key_and_the_anchors(settings, rachel):
    anchors.anchor()
    for path in (settings.LEDGER_KEY_FILE, settings.LEDGER_ANCHOR_FILE):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_key_is_made_once_however_many_ask(settings):
    keys, together = [], threading.Barrier(8)

    def ask():
        together.wait(10)
        keys.append(signing.public_text(signing.public_key()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8 and len(set(keys)) == 1
    assert [path.name for path in settings.LEDGER_KEY_FILE.parent.iterdir()] == [settings.LEDGER_KEY_FILE.name]


def test_a_key_that_others_may_read_signs_nothing(settings, rachel):
    signing.private_key()
    settings.LEDGER_KEY_FILE.chmod(0o644)
    with pytest.raises(signing.BadKey, match="may be read by others"):
        anchors.anchor()


def test_a_line_that_a_power_cut_tore_costs_that_line_alone(settings, rachel):
    anchors.anchor()
    with settings.LEDGER_ANCHOR_FILE.open("a") as file:
        file.write('{"sequence": 2, "dig')
    audit.record("study.viewed", actor=rachel)
    assert anchors.anchor(force=True) is not None
    read = list(anchors.read(settings.LEDGER_ANCHOR_FILE, by=signing.public_key()))
    assert [line.anchor.sequence if line.anchor else line.wrong for line in read] == [
        1,
        "not an anchor: the line is damaged",
        2,
    ]


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "[]",
        "{}",
        "null",
        '{"sequence": "1", "digest": "x", "at": "2026-11-21T08:00:00.000000Z", "signature": "x"}',
        '{"sequence": 1, "digest": "x", "at": "2026-99-21T08:00:00.000000Z", "signature": "x"}',
        '{"sequence": 1, "digest": "x", "at": "yesterday", "signature": "x"}',
        '{"sequence": 1, "digest": "x", "at": "x", "signature": "\u00e9"}',
        "[" * 1_500,
        '{"sequence": 1, "digest": "' + "x" * 10_000 + '"}',
    ],
)
def test_a_line_that_is_no_anchor_is_said_and_never_an_error(settings, line):
    settings.LEDGER_ANCHOR_FILE.write_text(line + "\n", encoding="utf-8")
    read = list(anchors.read(settings.LEDGER_ANCHOR_FILE, by=signing.public_key()))
    assert read
    assert all(one.anchor is None and one.wrong for one in read)


# The commands


def verified(**options):
    from io import StringIO

    out = StringIO()
    try:
        call_command("verify_audit", stdout=out, **options)
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), ""


def test_a_whole_ledger_is_called_whole(settings, rachel):
    said, error = verified()
    assert "No anchors yet" in said
    assert "The ledger is whole. Newest row: 1," in said
    anchors.anchor()
    said, error = verified()
    assert "1 rows read" in said and "1 anchors compared" in said
    assert error == ""


def tampered(*statements):
    with guard.lifted(connection), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_the_command_says_which_row_and_the_last_good_one(rachel):
    fill(20)
    tampered("UPDATE accounts_auditevent SET address = '1.1.1.1' WHERE id = 7")
    said, error = verified()
    assert "  row 7: altered" in said
    assert "The last row before the first of these: 6." in said
    assert error.startswith("The ledger is not as it was written.")


def test_a_ledger_that_was_cut_off_is_found_by_the_file_of_anchors(settings, rachel):
    fill(20)
    anchors.anchor()
    tampered("DELETE FROM accounts_auditevent WHERE id > 15")
    assert "row 16: missing to row 21 at least" in verified()[0]


def test_a_worker_says_that_the_ledger_is_shorter_than_its_anchor(settings, rachel, caplog):
    fill(20)
    anchors.anchor()
    tampered("DELETE FROM accounts_auditevent WHERE id > 15")
    assert anchors.anchor(force=True) is None
    assert "ledger.shorter_than_its_anchor" in caplog.text
    assert len(lines(settings)) == 1


def test_a_copy_of_the_anchors_elsewhere_is_compared_with_its_key(settings, rachel, tmp_path):
    fill(5)
    anchors.anchor()
    key = signing.public_text(signing.public_key())
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(settings.LEDGER_ANCHOR_FILE.read_bytes())
    settings.LEDGER_KEY_FILE.unlink()
    assert "the signature is not this site's" in verified(anchors=copy)[0]
    assert verified(anchors=copy, public_key=key)[1] == ""


def test_a_forged_anchor_is_found(settings, rachel):
    fill(5)
    anchors.anchor()
    forged = json.loads(lines(settings)[0]) | {"sequence": 3, "digest": AuditEvent.objects.get(pk=3).digest}
    settings.LEDGER_ANCHOR_FILE.write_text(json.dumps(forged) + "\n")
    assert "anchors, line 1: row 3: the signature is not this site's" in verified()[0]


def test_two_anchors_of_one_row_that_differ_are_found(settings, rachel):
    fill(5)
    anchors.anchor()
    other = anchors.Anchor(6, "0" * 64, "2026-11-21T08:00:00.000000Z", "")
    signed = anchors.Anchor(other.sequence, other.digest, other.at, signing.sign(other.message))
    with settings.LEDGER_ANCHOR_FILE.open("a") as file:
        file.write(signed.line() + "\n")
    assert "line 2: row 6 had another digest before" in verified()[0]


def test_missing_triggers_are_said(rachel):
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER ledger_no_delete")
    said, error = verified()
    assert "trigger ledger_no_delete is missing" in said
    assert error


def test_a_file_that_is_not_there_and_a_key_that_is_none_verify_nothing(tmp_path, settings, rachel):
    assert "Nothing was verified" in verified(anchors=tmp_path / "none.jsonl")[1]
    anchors.anchor()
    assert "Nothing was verified" in verified(public_key="not a key")[1]


def test_the_command_anchors_and_prints_the_key(settings, rachel, capsys):
    call_command("anchor_audit")
    assert "Anchored row 1" in capsys.readouterr().out
    call_command("anchor_audit")
    assert "Nothing to anchor" in capsys.readouterr().out
    call_command("anchor_audit", public_key=True)
    assert capsys.readouterr().out.strip() == signing.public_text(signing.public_key())
    settings.LEDGER_KEY_FILE.write_text("damaged")
    audit.record("study.viewed", actor=rachel)
    with pytest.raises(CommandError, match="No anchor was written"):
        call_command("anchor_audit")


def test_workers_anchor_by_themselves(settings, rachel):
    from accounts import tasks
    from portal import rounds, sweeper

    assert tasks.anchors is anchors
    rounds._rounds["ledger.anchor"].next_at = 0
    sweeper.tick()
    assert [json.loads(line)["sequence"] for line in lines(settings)] == [1]


@pytest.mark.slow
def test_the_commands_end_with_a_status(tmp_path):
    environment = {**os.environ, "DEMO": "1", "DATA_DIR": str(tmp_path)}

    def manage(*arguments):
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], env=environment, capture_output=True, text=True, timeout=120
        )

    assert manage("migrate", "-v0").returncode == 0
    assert manage("create_user", "a@test.local", "--role", "radiologist").returncode == 0
    assert manage("anchor_audit").returncode == 0
    assert manage("verify_audit").returncode == 0
    with sqlite3.connect(tmp_path / "senolens.sqlite3") as database:
        database.execute("DROP TRIGGER ledger_no_update")
        database.execute("UPDATE accounts_auditevent SET purpose = 'x'")
    failed = manage("verify_audit")
    assert failed.returncode == 1
    assert "row 1: altered" in failed.stdout
