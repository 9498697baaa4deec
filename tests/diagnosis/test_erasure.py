"""Erasing a patient: rows, files, log-in and messages go; the ledger keeps a number that leads nowhere."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.base import ContentFile

from accounts import audit
from accounts.actions import create_patient, create_token, create_user, enqueue_mail, link_patient_login, notify
from accounts.actions.erasure import OF_PATIENT
from accounts.models import (
    ApiToken,
    AuditEvent,
    Consent,
    Message,
    Notification,
    OutgoingMail,
    Patient,
    User,
)
from diagnosis import actions
from diagnosis.actions import erasure as module
from diagnosis.models import Analysis, DeidentifiedExport, Erasure, Image, RecordTransfer, Report, Study
from tests.fixture_results import lesion, succeeded, with_report
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _within_the_transaction_of_the_test(monkeypatch):
    """A database cannot empty its log inside a transaction; tests/portal/test_purge.py does it with a real one."""
    monkeypatch.setattr(module, "let_go_of_deleted_rows", lambda: True)


@pytest.fixture
def bea(rachel):
    """Another patient, of whom nothing may be lost."""
    patient = create_patient(
        acting_user=None, mrn="MRN-9", given_name="Bea", family_name="Braun", birth_date=date(1980, 1, 1)
    )
    with_report(
        succeeded(study=actions.create_study(acting_user=rachel, patient=patient, modality="US"), by=rachel, seed=9)
    )
    return patient


@pytest.fixture
def whole(rachel, adam, anna, study, petra, bea):
    """Anna, with everything that a patient can have."""
    link_patient_login(acting_user=None, patient=anna, user=petra)
    analysis = succeeded(study=study, by=rachel, found=lesion())
    with_report(analysis)
    actions.conclude(acting_user=rachel, analysis=analysis, label="benign", birads="2", conclusion="A cyst.")
    with_report(analysis)
    actions.ask_second_opinion(acting_user=rachel, analysis=analysis, asked_of=_colleague(), question="Would you look?")
    actions.record_known_outcome(
        acting_user=rachel,
        study=study,
        laterality="L",
        label="benign",
        source="histology",
        determined_on=date(2026, 1, 1),
    )
    Message.objects.create(patient=anna, author=petra, from_patient=True, text="When may I come?")
    Consent.objects.create(patient=anna, purpose="research", wording="w")
    notify("result_ready", users=[rachel], text="A result is ready", path=f"/analyses/{analysis.pk}/")
    enqueue_mail(kind="report_released", recipient=petra.email, subject="A report is ready", body="b", user=petra)
    return anna


def _colleague() -> User:
    return create_user(acting_user=None, email="rob@test.local", role="radiologist", given_name="Rob")[0]


def files(settings) -> set[Path]:
    return {file for file in Path(settings.MEDIA_ROOT).rglob("*") if file.is_file()}


def erased(adam, patient, reason="Asked for by the patient") -> Erasure:
    return actions.erase_patient(acting_user=adam, patient=patient, reason=reason)


def test_every_row_and_file_is_gone_and_nobody_else_s(settings, adam, whole, bea, petra):
    others = {Path(settings.MEDIA_ROOT) / name for row in bea.studies.get().images.all() for name in [row.file.name]}

    done = erased(adam, whole)

    assert done.finished_at is not None
    assert not Patient.objects.filter(pk=whole.pk).exists()
    assert not User.objects.filter(pk=petra.pk).exists()
    for model in (Study, Image, Analysis, Report):
        assert model.objects.count() == 1, f"of {model.__name__} only Bea's is left"
    for model in (Message, Consent):
        assert not model.objects.exists()
    assert not OutgoingMail.objects.filter(recipient="petra@test.local").exists()
    assert not Notification.objects.filter(path__contains="/analyses/").exists()
    left = files(settings)
    assert others <= left
    assert len(left) == 3, "Bea's image, map and report"


def test_the_ledger_stays_under_a_number_that_leads_nowhere(client, adam, whole):
    audit.record("patient.viewed", actor=adam, target=whole, patient=whole)
    before = AuditEvent.objects.filter(patient_id=whole.pk).count()
    key = whole.pk

    done = erased(adam, whole)

    assert AuditEvent.objects.filter(patient_id=key).count() == before + 1
    last = AuditEvent.objects.get(action="patient.erased")
    assert last.details["erased"] == str(key)
    assert (last.object_id, last.actor) == (str(done.pk), adam)
    told = " ".join(str(event.details) for event in AuditEvent.objects.all())
    for name in ("Anna", "Żółć", "MRN-001", "Petra", "petra@test.local", "cyst"):
        assert name not in told
    client.force_login(adam)
    assert client.get("/ledger/").status_code == 200


def test_what_was_removed_is_counted(adam, whole):
    counts = erased(adam, whole).counts

    assert counts["studies"] == counts["images"] == counts["analyses"] == 1
    assert counts["reports"] == 2
    assert counts["log-ins"] == 1
    assert counts["files"] == 5, "image, map, mask and two reports"


def test_the_patient_s_sessions_and_tokens_end(client, adam, whole, petra):
    client.force_login(petra)
    User.objects.filter(pk=petra.pk).update(role="radiologist")
    petra.refresh_from_db()
    create_token(acting_user=petra)
    assert Session.objects.count() == 1

    erased(adam, whole)

    assert not Session.objects.exists()
    assert not ApiToken.objects.exists()
    assert client.get("/").status_code == 302


def test_a_package_that_holds_the_patient_goes_too(settings, adam, whole, study, bea):
    export = DeidentifiedExport.objects.create(requested_by=adam, purpose="Quality", salt="ab" * 32, state="succeeded")
    export.studies.set([study, *bea.studies.all()])
    export.file.save("x.zip", ContentFile(b"zip"))
    work = Path(settings.MEDIA_ROOT) / "exports" / "in-work" / str(export.pk)
    work.mkdir(parents=True)
    (work / "part.png").write_bytes(b"pixels")

    erased(adam, whole)

    export.refresh_from_db()
    assert (export.file.name, export.salt) == ("", "")
    assert not work.exists()
    assert not [file for file in files(settings) if "exports" in str(file)]
    assert export.studies.count() == 1


def test_records_that_were_merged_into_it_are_of_the_same_person(adam, whole, rachel):
    second = create_patient(
        acting_user=None, mrn="MRN-002", given_name="Ania", family_name="Z", birth_date=date(1970, 5, 17)
    )
    actions.merge_patients(acting_user=adam, source=second, target=whole, take_from_source=[], reason="Same person")

    erased(adam, whole)

    assert not Patient.objects.filter(mrn__in=("MRN-001", "MRN-002")).exists()
    assert not RecordTransfer.objects.exists()


def test_every_table_that_names_a_patient_is_one_that_is_emptied():
    """A new table that refers to patients fails here until it is erased as well."""
    known = {*OF_PATIENT, Study, Analysis, RecordTransfer, Patient, AuditEvent}
    found = {
        relation.related_model for relation in Patient._meta.get_fields(include_hidden=True) if relation.auto_created
    }
    assert {model.__name__ for model in found - known if not model._meta.auto_created} == set()
    domain = set(module._own([]))
    named = {
        relation.related_model
        for model in (Study, Image, Analysis, Report)
        for relation in model._meta.get_fields(include_hidden=True)
        if relation.auto_created and relation.one_to_many or relation.one_to_one and relation.auto_created
    }
    assert {model.__name__ for model in named - domain if not model._meta.auto_created} == set()


# Killed midway


def test_killed_before_the_rows_are_gone_the_next_round_finishes(adam, whole, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(module, "_remove_rows", _killed)
        with pytest.raises(KeyboardInterrupt):
            erased(adam, whole)
    assert Patient.objects.filter(pk=whole.pk).exists()
    assert Erasure.objects.get().finished_at is None

    assert actions.finish_erasures() == 1

    assert not Patient.objects.filter(pk=whole.pk).exists()
    assert Erasure.objects.get().finished_at is not None


def test_killed_between_rows_and_files_the_next_round_finishes(settings, adam, whole, monkeypatch):
    before = len(files(settings))
    with monkeypatch.context() as killed:
        killed.setattr(module, "_remove_file", _killed)
        with pytest.raises(KeyboardInterrupt):
            erased(adam, whole)
    assert not Patient.objects.filter(pk=whole.pk).exists()
    assert len(files(settings)) == before

    assert actions.finish_erasures() == 1

    assert len(files(settings)) == 3
    row = Erasure.objects.get()
    assert (row.paths, row.counts["studies"]) == ([], 1)
    assert AuditEvent.objects.filter(action="patient.erased").count() == 1
    assert actions.finish_erasures() == 0


def _killed(*args):
    raise KeyboardInterrupt


def test_a_file_that_cannot_be_removed_is_tried_again(settings, adam, whole, monkeypatch):
    with monkeypatch.context() as stuck:
        stuck.setattr(module, "_remove_file", lambda name: False)
        assert erased(adam, whole).finished_at is None
        assert actions.finish_erasures() == 0

    assert actions.finish_erasures() == 1
    assert len(files(settings)) == 3


# Who may, and what is asked


@pytest.mark.parametrize("who", ["rachel", "ivan", "petra"])
def test_only_administrators_erase(client, request, whole, who):
    person = request.getfixturevalue(who)
    with pytest.raises(PermissionDenied):
        actions.erase_patient(acting_user=person, patient=whole, reason="x")
    client.force_login(person)
    confirm(client)

    assert client.get(f"/patients/{whole.pk}/erase/").status_code == 404
    assert client.post(f"/patients/{whole.pk}/erase/", {"mrn": "MRN-001", "reason": "x"}).status_code == 404
    assert Patient.objects.filter(pk=whole.pk).exists()


def test_a_reason_is_asked_for(adam, whole):
    with pytest.raises(ValidationError):
        erased(adam, whole, reason=" ")
    assert Patient.objects.filter(pk=whole.pk).exists()


def test_the_page_wants_a_recent_proof_of_identity(client, adam, whole):
    client.force_login(adam)

    asked = client.get(f"/patients/{whole.pk}/erase/")

    assert asked.status_code == 302
    assert "reauthenticate" in asked["Location"]
    client.post(f"/patients/{whole.pk}/erase/", {"mrn": "MRN-001", "reason": "Asked for"})
    assert Patient.objects.filter(pk=whole.pk).exists()


@pytest.mark.parametrize("typed", ["", "mrn-001", "MRN-9", "MRN-001 x"])
def test_the_page_wants_the_mrn_typed(client, adam, whole, typed):
    client.force_login(adam)
    confirm(client)

    answer = client.post(f"/patients/{whole.pk}/erase/", {"mrn": typed, "reason": "Asked for"})

    assert answer.status_code == 422
    assert Patient.objects.filter(pk=whole.pk).exists()


def test_the_page_says_what_goes_and_does_it(client, adam, whole, bea):
    client.force_login(adam)
    confirm(client)
    page = client.get(f"/patients/{whole.pk}/erase/").content.decode()
    for words in ("1 study", "1 image", "2 report versions", "This cannot be undone", "Backups"):
        assert words in page

    done = client.post(f"/patients/{whole.pk}/erase/", {"mrn": " MRN-001 ", "reason": "Asked for"}, follow=True)

    text = done.content.decode()
    assert "is erased" in text
    assert "Żółć" not in text
    assert "Braun" in text
    assert client.get(f"/patients/{whole.pk}/").status_code == 404
