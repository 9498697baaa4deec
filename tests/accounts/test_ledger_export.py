"""The export of the ledger: what was asked for, signed, and nothing a spreadsheet would run."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.management import CommandError, call_command

from accounts import audit
from accounts.ledger import export, signing
from accounts.models import AuditEvent
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
EXPORT = "/ledger/export/"


@pytest.fixture
def rows(rachel, anna, study):
    audit.record("patient.viewed", actor=rachel, target=anna, patient=anna, purpose="=HYPERLINK(1)")
    audit.record("study.viewed", actor=rachel, target=study, patient=anna)


@pytest.fixture
def exported(client, adam, rows, fetch):
    """``exported(format, **filters)``: the bytes of the zip file that Adam gets."""
    client.force_login(adam)
    confirm(client)

    def get(format="jsonl", **filters):
        answer = client.post(EXPORT, {"format": format, **filters})
        assert answer.status_code == 200, answer.content
        assert answer["Content-Type"] == "application/zip"
        assert answer["Content-Disposition"].startswith('attachment; filename="ledger-')
        assert "no-store" in answer["Cache-Control"]
        return answer.getvalue()

    return get


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def saved(tmp_path, files):
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_an_outsider_can_check_it_with_what_the_documentation_says(exported):
    files = members(exported())
    manifest = json.loads(files["manifest.json"])
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(manifest["public_key"]))
    key.verify(base64.b64decode(files["manifest.sig"]), files["manifest.json"])
    assert hashlib.sha256(files["ledger.jsonl"]).hexdigest() == manifest["sha256"]

    previous = "0" * 64
    for line in files["ledger.jsonl"].splitlines():
        row = json.loads(line)
        columns = [
            *("sequence", "at", "actor", "role", "action", "object_type", "object_id"),
            *("patient", "address", "channel", "purpose", "details", "previous_digest"),
        ]
        text = json.dumps(
            ["senolens-ledger-1", *(row[name] for name in columns)], sort_keys=True, separators=(",", ":")
        )
        assert hashlib.sha256(text.encode()).hexdigest() == row["digest"]
        assert row["previous_digest"] == previous
        previous = row["digest"]


def test_the_rows_are_those_that_match(exported, rachel):
    lines = members(exported(action="study.viewed", person=rachel.pk))["ledger.jsonl"].splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["study.viewed"]


def test_the_export_is_in_the_ledger_with_its_digest(exported, adam):
    files = members(exported(q="record", channel="command"))
    event = AuditEvent.objects.get(action="ledger.exported")
    assert event.actor == adam
    assert event.details == {
        "filters": {"q": "(masked)", "channel": "command"},
        "count": len(files["ledger.jsonl"].splitlines()),
        "format": "jsonl",
        "sha256": hashlib.sha256(files["ledger.jsonl"]).hexdigest(),
    }


def test_a_spreadsheet_runs_nothing(exported):
    text = members(exported("csv"))["ledger.csv"].decode()
    table = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    row = next(row for row in table if row["action"] == "patient.viewed")
    assert row["purpose"] == "'=HYPERLINK(1)"
    assert row["in_words"] == "opened the record"
    assert not [cell for row in table for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


def check(path, **options):
    out = io.StringIO()
    call_command("verify_export", str(path), stdout=out, **options)
    return out.getvalue()


@pytest.mark.parametrize("format", export.FORMATS)
def test_the_command_finds_an_export_right(exported, tmp_path, format):
    path = tmp_path / "export.zip"
    path.write_bytes(exported(format))
    assert "The signature fits" in check(path)
    assert "The signature fits" in check(path, public_key=signing.public_text(signing.public_key()))


def test_a_changed_row_a_changed_manifest_and_another_key_are_found(exported, tmp_path, settings):
    files = members(exported())
    path = saved(
        tmp_path, files | {"ledger.jsonl": files["ledger.jsonl"].replace(b"patient.viewed", b"patient.listed")}
    )
    with pytest.raises(CommandError, match="ledger.jsonl was changed"):
        check(path)
    path = saved(tmp_path, files | {"manifest.json": files["manifest.json"].replace(b'"rows"', b'"raws"')})
    with pytest.raises(CommandError, match="The signature does not fit"):
        check(path)
    path = saved(tmp_path, files)
    settings.LEDGER_KEY_FILE = tmp_path / "another.pem"
    with pytest.raises(CommandError, match="The signature does not fit"):
        check(path)


@pytest.mark.parametrize("damage", ["row", "link", "count"])
def test_rows_that_do_not_give_their_digest_are_found_even_under_a_right_signature(exported, tmp_path, damage):
    """Somebody with the key signs an export whose rows were changed: the rows do not fit each other."""
    files = members(exported())
    lines = files["ledger.jsonl"].splitlines(keepends=True)
    if damage == "row":
        lines[1] = lines[1].replace(b'"system"', b'"patient"')
    elif damage == "link":
        row = json.loads(lines[1])
        from accounts.ledger.chain import Entry, digest

        entry = Entry(**{name: row[name] for name in Entry._fields})
        row["previous_digest"] = "1" * 64
        row["digest"] = digest(entry, "1" * 64)
        lines[1] = json.dumps(row).encode() + b"\n"
    else:
        lines = lines[:-1]
    content = b"".join(lines)
    manifest = json.loads(files["manifest.json"]) | {"sha256": hashlib.sha256(content).hexdigest()}
    raw = json.dumps(manifest).encode()
    path = saved(tmp_path, files | {"ledger.jsonl": content, "manifest.json": raw, "manifest.sig": signing.sign(raw)})
    with pytest.raises(CommandError, match="Row 2 does not|Row 2|rows, the file holds"):
        check(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_a_file_that_is_no_export_is_said_to_be_none(tmp_path, content, settings):
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(CommandError, match="not an export"):
        check(path)
    with pytest.raises(CommandError):
        check(tmp_path / "missing.zip")


@pytest.mark.parametrize("asked", [{}, {"format": "xlsx"}, {"format": "csv", "from": "2026-99-99"}])
def test_what_is_not_understood_exports_nothing(client, adam, rows, asked):
    client.force_login(adam)
    confirm(client)
    answer = client.post(EXPORT, asked, follow=True)
    assert "The export was not made" in answer.content.decode()
    assert not AuditEvent.objects.filter(action="ledger.exported").exists()


def test_too_many_rows_are_refused_with_what_to_do(client, adam, rows, monkeypatch):
    monkeypatch.setattr(export, "MOST_ROWS", 2)
    client.force_login(adam)
    confirm(client)
    answer = client.post(EXPORT, {"format": "csv"}, follow=True)
    assert "Narrow the days" in answer.content.decode()
    assert not AuditEvent.objects.filter(action="ledger.exported").exists()


def test_without_a_key_nothing_leaves(client, adam, rows, settings):
    settings.LEDGER_KEY_FILE.write_text("damaged")
    client.force_login(adam)
    confirm(client)
    answer = client.post(EXPORT, {"format": "csv"}, follow=True)
    assert "The export was not made" in answer.content.decode()
    assert not AuditEvent.objects.filter(action="ledger.exported").exists()


def test_the_export_is_not_made_by_following_a_link(client, adam):
    client.force_login(adam)
    confirm(client)
    assert client.get(EXPORT + "?format=csv").status_code == 405
