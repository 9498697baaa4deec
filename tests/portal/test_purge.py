"""``manage.py purge``: what goes without being asked, what it says, and that no byte of an erased patient is left."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.actions import create_patient, create_token
from accounts.models import ApiToken, Patient
from diagnosis.actions import create_study
from diagnosis.models import DeidentifiedExport, Erasure, Study
from portal import retention
from tests.fixture_results import succeeded

ROOT = Path(__file__).resolve().parents[2]
LONG_AGO = timezone.now() - timedelta(days=11 * 366)


def page(*arguments: str) -> str:
    out = io.StringIO()
    call_command("purge", *arguments, stdout=out)
    return out.getvalue()


def aged(patient: Patient, *, study: bool = False, rachel=None) -> Patient:
    Patient.objects.filter(pk=patient.pk).update(created_at=LONG_AGO)
    if study:
        made = create_study(acting_user=rachel, patient=patient, modality="US")
        Study.objects.filter(pk=made.pk).update(created_at=LONG_AGO)
    return patient


@pytest.fixture
def quiet(monkeypatch):
    """The database of a test is inside a transaction: it can neither be emptied of its log nor rewritten."""
    monkeypatch.setattr("portal.management.commands.purge.compact", lambda: "")
    monkeypatch.setattr("diagnosis.actions.erasure.let_go_of_deleted_rows", lambda: True)


@pytest.fixture
def old_things(db, adam, rachel, study, settings):
    """Something of every kind whose time has passed, and its like whose time has not."""
    for age in (-1, 1):
        session = SessionStore()
        session.create()
        Session.objects.filter(pk=session.session_key).update(expire_date=timezone.now() + timedelta(days=age))
        token, _ = create_token(acting_user=rachel)
        ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() + timedelta(days=age))
        DeidentifiedExport.objects.create(
            requested_by=adam,
            purpose="p",
            salt="ab" * 32,
            state="succeeded",
            file=f"exports/{age}.zip",
            expires_at=timezone.now() + timedelta(days=age),
        )
        stray = Path(settings.MEDIA_ROOT) / "images" / f"stray{age}.png"
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_bytes(b"pixels of somebody")
        moment = timezone.now().timestamp() + age * 2 * retention.SETTLED_SECONDS
        os.utime(stray, (moment, moment))


def test_without_yes_it_only_says_what_would_go(old_things, settings, quiet):
    said = page()

    assert "Nothing was removed" in said
    assert "1  sessions past their time" in said
    assert "1  de-identified packages past their time" in said
    assert Session.objects.count() == ApiToken.objects.count() == 2
    assert (Path(settings.MEDIA_ROOT) / "images" / "stray-1.png").exists()


def test_with_yes_it_goes_and_the_rest_stays(old_things, settings, quiet):
    said = page("--yes")

    assert Session.objects.count() == ApiToken.objects.count() == 1
    assert [row.file.name for row in DeidentifiedExport.objects.exclude(file="")] == ["exports/1.zip"]
    assert not (Path(settings.MEDIA_ROOT) / "images" / "stray-1.png").exists()
    assert (Path(settings.MEDIA_ROOT) / "images" / "stray1.png").exists()
    assert "Out of reach" in said
    assert "backups" in said
    assert Patient.objects.count() == 1


# Retention


@pytest.fixture
def people(db, rachel, anna):
    """Patients of whom nothing happened for eleven years, and others."""

    def made(mrn: str) -> Patient:
        return create_patient(acting_user=None, mrn=mrn, given_name="A", family_name="B", birth_date=date(1930, 1, 1))

    aged(made("OLD"), study=True, rachel=rachel)
    aged(made("OLD-EMPTY"))
    recent = aged(made("SEEN-LATELY"))
    create_study(acting_user=rachel, patient=recent, modality="US")
    ordered = aged(made("ORDERED"))
    Patient.objects.filter(pk=ordered.pk).update(retain_until=date(2100, 1, 1))
    past_order = aged(made("ORDER-PAST"))
    Patient.objects.filter(pk=past_order.pk).update(retain_until=date(2001, 1, 1))


def test_nobody_is_erased_for_age_unless_the_site_says_so(people, quiet):
    assert "RETENTION_YEARS is not set" in page("--yes")
    assert Patient.objects.count() == 6


def test_the_rule_of_retention(people, settings, quiet):
    settings.RETENTION_YEARS = 10
    assert "3  patients of whom nothing happened for 10 years" in page()
    assert Patient.objects.count() == 6

    page("--yes")

    assert set(Patient.objects.values_list("mrn", flat=True)) == {"MRN-001", "SEEN-LATELY", "ORDERED"}
    assert Erasure.objects.filter(reason__startswith="Retention", finished_at__isnull=False).count() == 3


# One record


def test_one_record_by_its_number(study, rachel, anna, quiet):
    succeeded(study=study, by=rachel)
    for wrong in (["--patient", "MRN-001"], ["--patient", "7"], ["--patient", "00000000-0000-0000-0000-000000000000"]):
        with pytest.raises(CommandError, match="no record with this number"):
            page(*wrong, "--reason", "x", "--yes")
    with pytest.raises(CommandError, match="Say why"):
        page("--patient", str(anna.pk), "--yes")
    assert "cannot be undone" in page("--patient", str(anna.pk), "--reason", "Asked for")
    assert Patient.objects.exists()

    said = page("--patient", str(anna.pk), "--reason", "Asked for", "--yes")

    assert not Patient.objects.exists()
    assert "Anna" not in said
    assert "MRN-001" not in said


# No byte is left

WHOLE_LIFE = """
import json, os, sys
from datetime import date
from pathlib import Path
import django
django.setup()
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection
from django.test import Client
call_command("migrate", verbosity=0)
from accounts import actions as people
from accounts.models import Consent, Message, Patient
from diagnosis import actions
from diagnosis.models import DeidentifiedExport
from tests.fixture_images import good_png, good_dicom
from tests.fixture_results import lesion, succeeded, with_report
NAME, MRN, PHONE, MAIL = "Unverwechselbarsky", "XQZ-773311", "+99 123 987 654", "xqz-unmistakable@mail.example"
adam, _ = people.create_user(acting_user=None, email="adam@t.local", role="administrator", password="p" * 20)
rachel, _ = people.create_user(acting_user=None, email="rachel@t.local", role="radiologist", password="p" * 20)
login, _ = people.create_user(acting_user=None, email=MAIL, role="patient", given_name="Anna", family_name=NAME,
                              password="p" * 20)
other = people.create_patient(acting_user=None, mrn="STAYS", given_name="B", family_name="Staysky",
                              birth_date=date(1980, 1, 1))
with_report(succeeded(study=actions.create_study(acting_user=rachel, patient=other, modality="US"), by=rachel, seed=50))
patient = people.create_patient(acting_user=rachel, mrn=MRN, given_name="Anna", family_name="Former" + NAME,
                                birth_date=date(1970, 5, 17), phone=PHONE, email=MAIL, history="Mother: " + NAME)
patient = people.update_patient(acting_user=rachel, patient=patient, family_name=NAME)
people.link_patient_login(acting_user=None, patient=patient, user=login)
study = actions.create_study(acting_user=rachel, patient=patient, modality="US", clinical_history="Asks: " + NAME,
                             accession_number=MRN)
for seed in range(12):
    analysis = succeeded(study=study, by=rachel, seed=seed, found=lesion())
    with_report(analysis, pdf=b"%PDF report of " + NAME.encode() + b" " * 3000)
    actions.conclude(acting_user=rachel, analysis=analysis, label="benign", birads="2", conclusion="C " + NAME)
    with_report(analysis, pdf=b"%PDF second report of " + NAME.encode())
image = actions.add_image(acting_user=rachel, study=study, filename=NAME + ".dcm", confirm_differences=True,
                          upload=good_dicom(seed=77, family_name=NAME, patient_id=MRN)).image
for number in range(30):
    Message.objects.create(patient=patient, author=login, from_patient=True, text=f"{NAME} {number} " + "x" * 900)
Consent.objects.create(patient=patient, purpose="research", wording="I, " + NAME)
people.enqueue_mail(kind="report_released", recipient=MAIL, subject="A report is ready", body="b", user=login)
Client().post("/account/login/", {"login": MAIL, "password": "p" * 20})
client = Client(); client.force_login(rachel)
client.post("/patients/", {"q": NAME}, follow=True); client.get(f"/patients/{patient.pk}/")
export = DeidentifiedExport.objects.create(requested_by=adam, purpose="q", salt="ab" * 32, state="succeeded")
export.studies.set([study]); export.file.save("p.zip", ContentFile(b"PK " + NAME.encode()))
(Path(settings.DATA_DIR) / "mail").mkdir(exist_ok=True)
(Path(settings.DATA_DIR) / "mail" / "1.log").write_text(f"To: {MAIL}")
pixels = [open(one.file.path, "rb").read()[40:104].hex() for one in study.images.all()][:3]
raw = connection.cursor().execute("SELECT phone FROM accounts_patient WHERE mrn = %s", [MRN]).fetchone()[0]
print(json.dumps({"number": str(patient.pk), "texts": [NAME, MRN, PHONE, MAIL, raw[20:60]], "bytes": pixels}))
"""


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEMO": "1", "DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "portal.settings"}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


def _holding(folder: Path, needles: list[bytes]) -> set[str]:
    """Files under the data directory that hold any of these bytes, whatever the case of letters."""
    found = set()
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            low = content.lower()
            found |= {
                f"{file.relative_to(folder)}: {one[:12]!r}" for one in needles if one in content or one.lower() in low
            }
    return found


@pytest.mark.slow
def test_no_byte_of_an_erased_patient_is_left_in_the_data_directory(tmp_path):
    born = _run(tmp_path, "-c", WHOLE_LIFE)
    assert born.returncode == 0, born.stderr[-3000:]
    planted = json.loads(born.stdout.splitlines()[-1])
    needles = [text.encode() for text in planted["texts"]] + [bytes.fromhex(one) for one in planted["bytes"]]
    before = _holding(tmp_path, needles)
    assert len(before) > 20, before
    assert any("senolens.sqlite3" in one for one in before)

    done = _run(tmp_path, "manage.py", "purge", "--patient", planted["number"], "--reason", "Asked for", "--yes")

    assert done.returncode == 0, done.stderr[-3000:]
    assert _holding(tmp_path, needles) == set()
    assert _holding(tmp_path, [b"staysky", b"STAYS"]), "the other patient is still there"
    files = _run(tmp_path, "manage.py", "verify_files", "--settled-minutes", "0").stdout
    assert "3 stored files checked" in files
    assert "missing:" not in files
    assert "named by no record" not in files
    for planted_word in planted["texts"]:
        assert planted_word not in done.stdout + done.stderr
