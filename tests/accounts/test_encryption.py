"""Contact data and messages in the database: encrypted, readable by this site's keys alone, and re-keyed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.exceptions import FieldError
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import actions
from accounts.encryption import UNREADABLE, Sealed, seal, unseal
from accounts.models import AuditEvent, Message, Patient

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
PHONE, EMAIL = "+48 600 111 222", "anna.zolc@mail.example"


@pytest.fixture
def reachable(anna, adam):
    """Anna, with a telephone number and an e-mail address."""
    return actions.update_patient(acting_user=adam, patient=anna, phone=PHONE, email=EMAIL)


def in_the_database(column: str, table: str = "accounts_patient") -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table}")  # noqa: S608  names of this test
        return [row[0] for row in cursor.fetchall()]


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_the_database_holds_neither_number_nor_address(reachable):
    patient = Patient.objects.get(pk=reachable.pk)

    assert (patient.phone, patient.email) == (PHONE, EMAIL)
    for column in ("phone", "email"):
        (stored,) = in_the_database(column)
        assert stored.startswith("gAAAA")
        assert "600" not in stored
        assert "zolc" not in stored


def test_a_message_is_encrypted_too(anna, rachel):
    Message.objects.create(patient=anna, author=rachel, from_patient=False, text="Please bring the old films.")

    (stored,) = in_the_database("text", "accounts_message")

    assert stored.startswith("gAAAA")
    assert Message.objects.get().text == "Please bring the old films."


def test_the_same_number_is_never_stored_the_same_way_twice():
    assert seal(PHONE) != seal(PHONE)
    assert unseal(seal(PHONE)) == PHONE


@pytest.mark.parametrize("place", [0, 12, 40, -2])
def test_a_value_that_was_changed_on_disk_is_no_value(place):
    sealed = seal(PHONE)
    other = "A" if sealed[place] != "A" else "B"
    changed = sealed[:place] + other + sealed[place:][1:]

    assert changed != sealed
    assert unseal(changed) is None


def test_what_was_not_given_stays_empty(anna):
    assert in_the_database("phone") == [""]
    assert Patient.objects.get().phone == ""


@pytest.mark.parametrize("text", ["Żółć 山田 🩺", " spaces ", "gAAAAAB-looks-like-one", "x" * 40])
def test_any_text_comes_back_as_it_was(anna, text):
    Patient.objects.filter(pk=anna.pk).update(phone=text)

    assert Patient.objects.get().phone == text


def test_a_text_that_is_a_token_itself_comes_back_as_it_was(anna):
    token = seal("a token itself")
    Patient.objects.filter(pk=anna.pk).update(phone=token)

    assert Patient.objects.get().phone == token


def test_length_and_form_are_checked_on_the_text_and_not_on_what_is_stored(client, anna, rachel):
    client.force_login(rachel)
    typed = {"mrn": "MRN-001", "given_name": "Anna", "family_name": "Z", "birth_date": "1970-05-17", "sex": "F"}

    answer = client.post(f"/patients/{anna.pk}/edit/", {**typed, "phone": "1" * 41, "email": "nobody"})

    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"phone", "email"}
    assert client.post(f"/patients/{anna.pk}/edit/", {**typed, "phone": "1" * 40}).status_code == 302


def test_the_api_reads_and_writes_the_text(api, reachable, rachel):
    client = api(rachel)
    address = f"/api/v1/patients/{reachable.pk}/"

    assert client.get(address).json()["phone"] == PHONE
    assert client.patch(address, {"email": "not an address"}).status_code == 400
    assert client.patch(address, {"phone": "1" * 41}).status_code == 400
    assert client.patch(address, {"phone": "112"}).json()["phone"] == "112"
    assert in_the_database("phone")[0].startswith("gAAAA")


@pytest.mark.parametrize("lookup", ["phone", "phone__icontains", "email__startswith", "phone__length"])
def test_nobody_looks_rows_up_by_what_is_encrypted(anna, lookup):
    with pytest.raises(FieldError, match="encrypted"):
        list(Patient.objects.filter(**{lookup: "1"}))


# A key that is missing


@pytest.fixture
def without_the_key(reachable, settings):
    """The site was started with another key than the one that the data were encrypted with."""
    before = settings.FIELD_KEYS
    settings.FIELD_KEYS = [new_key()]
    return before


def test_it_is_said_on_the_page_instead_of_an_error(client, reachable, without_the_key, rachel):
    client.force_login(rachel)

    for address in (f"/patients/{reachable.pk}/", f"/patients/{reachable.pk}/edit/"):
        page = client.get(address)
        assert page.status_code == 200
        assert UNREADABLE in page.content.decode()
        assert "gAAAA" not in page.content.decode()


def test_saving_the_rest_of_the_record_keeps_what_cannot_be_read(client, settings, reachable, without_the_key, rachel):
    client.force_login(rachel)
    stored = in_the_database("phone"), in_the_database("email")
    typed = {"mrn": "MRN-001", "given_name": "Ann", "family_name": "Z", "birth_date": "1970-05-17", "sex": "F"}

    answer = client.post(f"/patients/{reachable.pk}/edit/", {**typed, "phone": UNREADABLE, "email": UNREADABLE})

    assert answer.status_code == 302
    assert Patient.objects.get().given_name == "Ann"
    assert (in_the_database("phone"), in_the_database("email")) == stored
    settings.FIELD_KEYS = [*settings.FIELD_KEYS, *without_the_key]
    assert Patient.objects.get().phone == PHONE


def test_the_api_says_it_too_and_keeps_it(api, settings, reachable, without_the_key, rachel):
    client = api(rachel)
    address = f"/api/v1/patients/{reachable.pk}/"

    assert client.get(address).json()["phone"] == UNREADABLE
    assert client.patch(address, {"given_name": "Ann"}).status_code == 200

    settings.FIELD_KEYS = without_the_key
    assert Patient.objects.get().email == EMAIL


def test_the_commands_report_it(reachable, without_the_key):
    with pytest.raises(CommandError, match="2 values cannot be read"):
        call_command("rotate_field_keys", "--check", stdout=io.StringIO())
    page = io.StringIO()
    with pytest.raises(CommandError):
        call_command("doctor", stdout=page)
    assert "2 encrypted values cannot be read" in page.getvalue()


# Changing the key


def test_a_new_first_key_reads_the_old_and_writes_the_new(settings, reachable):
    old = settings.FIELD_KEYS
    settings.FIELD_KEYS = [new_key(), *old]

    assert Patient.objects.get().phone == PHONE
    reachable.phone = "112"
    reachable.save()

    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    patient = Patient.objects.get()
    assert (patient.phone, patient.email) == ("112", EMAIL), "a save writes the whole record under the new key"


def test_rotation_leaves_nothing_under_the_old_key(settings, reachable, rachel):
    Message.objects.create(patient=reachable, author=rachel, from_patient=False, text="Hello")
    settings.FIELD_KEYS = [new_key(), *settings.FIELD_KEYS]
    out = io.StringIO()

    call_command("rotate_field_keys", stdout=out)

    assert "3 values were encrypted" in out.getvalue()
    assert "may be taken away" in out.getvalue()
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    assert Patient.objects.get().phone == PHONE
    assert Message.objects.get().text == "Hello"
    noted = AuditEvent.objects.get(action="field_keys.rotated")
    assert noted.details == {"changed": 3, "unreadable": 0}


def test_a_rotation_that_was_killed_is_started_again(settings, monkeypatch, adam):
    people = [
        actions.create_patient(
            acting_user=adam, mrn=f"M-{n}", given_name="A", family_name="B", birth_date="1970-01-01", phone=str(n)
        )
        for n in range(5)
    ]
    settings.FIELD_KEYS = [new_key(), *settings.FIELD_KEYS]
    field_keys = import_module("accounts.actions.field_keys")
    monkeypatch.setattr(field_keys, "BATCH", 2)
    batches, whole = [], field_keys._rotate

    def killed_in_the_second(model, column, rows):
        batches.append(len(rows))
        if len(batches) == 2:
            raise KeyboardInterrupt
        return whole(model, column, rows)

    monkeypatch.setattr(field_keys, "_rotate", killed_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        actions.rotate_field_keys()
    assert sorted(patient.phone for patient in Patient.objects.all()) == ["0", "1", "2", "3", "4"]

    monkeypatch.setattr(field_keys, "_rotate", whole)
    assert actions.rotate_field_keys() == (3, 0)
    assert len(people) == 5
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    assert sorted(patient.phone for patient in Patient.objects.all()) == ["0", "1", "2", "3", "4"]


def test_what_somebody_saves_during_the_rotation_is_not_overwritten(settings, reachable):
    field_keys = import_module("accounts.actions.field_keys")
    settings.FIELD_KEYS = [new_key(), *settings.FIELD_KEYS]
    (seen,) = in_the_database("phone")
    Patient.objects.filter(pk=reachable.pk).update(phone="112")

    assert field_keys._rotate(Patient, "phone", [(reachable.pk, seen)]) == (0, 0)

    assert Patient.objects.get().phone == "112"


# What was there before


def test_the_migration_encrypts_what_exists_and_goes_back(reachable):
    migration = import_module("accounts.migrations.0005_encrypted_contact_data")
    editor = SimpleNamespace(connection=connection)
    Patient.objects.update(phone=Sealed("0500 123"), email=Sealed("old@mail.example"))
    assert in_the_database("phone") == ["0500 123"]

    migration.encrypt(apps, editor)
    encrypted = in_the_database("phone")
    migration.encrypt(apps, editor)

    assert encrypted[0].startswith("gAAAA")
    assert in_the_database("phone") == encrypted, "a second run encrypted it twice"
    assert Patient.objects.get().phone == "0500 123"
    migration.decrypt(apps, editor)
    assert in_the_database("email") == ["old@mail.example"]


# Starting


def _start(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("DEMO", "FIELD_KEYS")}
    return subprocess.run(
        [sys.executable, "-c", "import portal.settings as s; print(len(s.FIELD_KEYS), s.FIELD_KEYS[0])"],
        cwd=ROOT,
        env={**kept, "DATA_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_real_site_without_a_key_makes_one_for_itself_alone_and_keeps_it(tmp_path):
    first, again = _start(tmp_path, SECRET_KEY="s" * 50), _start(tmp_path, SECRET_KEY="s" * 50)

    assert first.returncode == 0, first.stderr
    assert first.stdout == again.stdout
    file = tmp_path / "field_keys"
    assert file.read_text(encoding="utf-8") == first.stdout.split()[1]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_none_is_named_by_its_place_and_not_printed(tmp_path):
    refused = _start(tmp_path, SECRET_KEY="s" * 50, FIELD_KEYS=f"{new_key()},abc-not-a-key")

    assert refused.returncode != 0
    assert "Key 2 of FIELD_KEYS" in refused.stderr
    assert "abc-not-a-key" not in refused.stderr.splitlines()[-1]


def test_keys_may_lie_in_a_file_one_a_line(tmp_path):
    first, second = new_key(), new_key()
    (tmp_path / "keys").write_text(f"{first}\n{second}\n", encoding="utf-8")

    started = _start(tmp_path, SECRET_KEY="s" * 50, FIELD_KEYS_FILE=str(tmp_path / "keys"))

    assert started.stdout.split() == ["2", first]


def test_the_demonstration_makes_one_of_its_own_and_keeps_it(tmp_path):
    one = _start(tmp_path, DEMO="1")
    again = _start(tmp_path, DEMO="1")

    assert one.returncode == 0, one.stderr
    assert one.stdout == again.stdout
    assert (tmp_path / "field_keys").stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob(".field_keys-*"))
