"""De-identified packages: who may ask for one, whose images go in, what is in the file, and when it is gone."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import date, timedelta
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from accounts.actions import create_patient
from accounts.models import AuditEvent, Consent, Notification
from diagnosis import actions, packaging, phantom, tasks
from diagnosis.deidentify import package
from diagnosis.deidentify.package import COLUMNS
from diagnosis.models import DeidentifiedExport, Erasure, Image
from portal import jobs
from portal.job_task import work_now
from portal.jobs import State
from tests.fixture_images import good_dicom
from tests.fixture_results import outcome
from tests.fixture_sign_in import confirm

pytestmark = pytest.mark.django_db
NEW = "/exports/new/"


def scan(seed: int = 4):
    """A drawn ultrasound on a dark screen, with a name above it."""
    pixels = cv2.copyMakeBorder(phantom.generate("fibroadenoma", seed=seed).pixels, 60, 20, 30, 30, cv2.BORDER_CONSTANT)
    return cv2.putText(pixels, "ANNA ZOLC", (40, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2, cv2.LINE_AA)


def png(seed: int = 4) -> bytes:
    return cv2.imencode(".png", scan(seed))[1].tobytes()


def file_image(study, rachel, data: bytes, name: str) -> Image:
    filed = actions.add_image(acting_user=rachel, study=study, upload=data, filename=name, confirm_differences=True)
    return filed.image


@pytest.fixture
def agreed(anna):
    """Anna agrees to research."""
    return Consent.objects.create(patient=anna, purpose="research", wording="w")


@pytest.fixture
def filed(study, rachel, agreed):
    """A DICOM file and a PNG of Anna, both under names that name her."""
    dicom = good_dicom(pixels=scan(5), family_name="Zolc", given_name="Anna", patient_id="MRN-001")
    return [
        file_image(study, rachel, dicom, "Anna Zolc.dcm"),
        file_image(study, rachel, png(4), "Anna Zolc left.png"),
    ]


def asked(adam, studies) -> DeidentifiedExport:
    return actions.request_export(acting_user=adam, studies=studies, purpose="Quality round 2026")


def made(export: DeidentifiedExport) -> DeidentifiedExport:
    """What the worker does, without other work that would go first."""
    for _ in range(20):
        claim = jobs.claim(DeidentifiedExport, export.pk)
        if claim is None:
            break
        _run(claim)
    export.refresh_from_db()
    return export


def _run(claim) -> None:
    work = tasks.export_deidentified.run.__wrapped__
    work(claim)


def opened(export: DeidentifiedExport) -> tuple[zipfile.ZipFile, list[dict[str, str]]]:
    archive = zipfile.ZipFile(io.BytesIO(export.file.read()))
    rows = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode())))
    return archive, rows


def test_the_package_holds_the_images_and_nobody_s_name(adam, anna, study, filed):
    export = made(asked(adam, [study]))

    assert (export.state, export.image_count, export.left_out) == (State.SUCCEEDED, 2, [])
    archive, rows = opened(export)
    assert archive.testzip() is None
    whole = b"".join(archive.read(name) for name in archive.namelist()) + "".join(archive.namelist()).encode()
    keys = [str(anna.pk), str(study.pk), *(str(image.pk) for image in filed)]
    for trace in ("Anna", "Zolc", "ZOLC", "Żółć", "MRN-001", "1970", "Silva", *keys):
        assert trace.encode() not in whole, trace
    assert {Path(row["file"]).suffix for row in rows} == {".dcm", ".png"}
    assert list(rows[0]) == list(COLUMNS)
    assert len({row["patient"] for row in rows}) == len({row["study"] for row in rows}) == 1
    assert {row["modality"] for row in rows} == {"US"}
    assert set(archive.namelist()) == {row["file"] for row in rows} | {"manifest.csv", "README.txt"}


def test_the_images_in_it_are_cleaned(adam, study, filed):
    archive, rows = opened(made(asked(adam, [study])))

    for row in rows:
        data = archive.read(row["file"])
        if row["file"].endswith(".dcm"):
            dataset = pydicom.dcmread(io.BytesIO(data))
            assert str(dataset.PatientName) == dataset.PatientID == row["patient"]
            pixels = dataset.pixel_array
        else:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert not pixels[:55].any(), "the name above the scan"
        assert pixels[60:].any()


def test_the_list_says_age_assessment_and_outcome(adam, rachel, anna, study, filed):
    analysis = filed[1].analysis
    _finish(analysis)
    actions.conclude(acting_user=rachel, analysis=analysis, label="benign", birads="2", conclusion="Anna has a cyst.")
    actions.record_known_outcome(
        acting_user=rachel,
        study=study,
        laterality="",
        label="malignant",
        source="histology",
        determined_on=date(2026, 1, 1),
    )
    type(anna).objects.filter(pk=anna.pk).update(birth_date=date(1920, 1, 1))

    _, rows = opened(made(asked(adam, [study])))

    (row,) = [row for row in rows if row["file"].endswith(".png")]
    assert (row["age_years"], row["assessment"], row["birads"]) == ("90", "benign", "2")
    assert (row["known_outcome"], row["outcome_source"]) == ("malignant", "histology")
    assert "cyst" not in str(rows)


def _finish(analysis) -> None:
    claim = jobs.claim(type(analysis), analysis.pk)
    assert actions.record_outcome(claim=claim, outcome=outcome(), explanation=png(9), lesion=None)


def test_two_packages_have_no_pseudonym_in_common(adam, study, filed):
    first = {
        value for row in opened(made(asked(adam, [study])))[1] for value in (row["patient"], row["study"], row["image"])
    }
    second = {
        value for row in opened(made(asked(adam, [study])))[1] for value in (row["patient"], row["study"], row["image"])
    }

    assert len(first) == len(second) == 4
    assert not first & second


def test_who_asked_is_told_and_the_ledger_has_each_step(client, adam, study, filed):
    export = made(asked(adam, [study]))
    client.force_login(adam)
    confirm(client)
    fetched = client.get(f"/exports/{export.pk}/package.zip")

    assert fetched.status_code == 200
    assert fetched["Content-Disposition"] == f'attachment; filename="deidentified-{export.pk}.zip"'
    assert "no-store" in fetched["Cache-Control"]
    told = Notification.objects.get(user=adam, kind="export_ready")
    assert told.path == f"/exports/{export.pk}/"
    steps = list(AuditEvent.objects.filter(object_id=str(export.pk)).order_by("pk").values_list("action", flat=True))
    assert steps == ["export.requested", "export.stored", "export.downloaded"]
    for event in AuditEvent.objects.filter(object_id=str(export.pk)):
        assert "Quality round 2026" in (event.purpose + json.dumps(event.details)) or event.action == "export.stored"


# Consent


def test_only_patients_who_agreed_are_packed(client, adam, rachel, study, filed):
    other = create_patient(acting_user=None, mrn="M2", given_name="B", family_name="B", birth_date=date(1980, 1, 1))
    refused = actions.create_study(acting_user=rachel, patient=other, modality="US")
    file_image(refused, rachel, png(7), "b.png")

    export = asked(adam, [study, refused])

    assert list(export.studies.all()) == [study]
    assert AuditEvent.objects.get(action="export.requested").details["without_consent"] == 1
    client.force_login(adam)
    confirm(client)
    page = client.get(NEW)
    assert (page.context["studies"], page.context["without_consent"]) == (1, 1)


def test_an_agreement_that_is_taken_back_holds_at_once(adam, study, filed, agreed):
    export = asked(adam, [study])
    packaging.make_parts(export, seconds=60)
    Consent.objects.update(withdrawn_at=timezone.now())

    made(export)

    assert export.state == State.FAILED
    assert {one["reason"] for one in export.left_out} == {packaging.CONSENT_MISSING}
    assert not export.file


def test_nobody_agreed(adam, study, filed, agreed):
    agreed.delete()

    with pytest.raises(actions.WrongState, match="agreed"):
        asked(adam, [study])
    assert not DeidentifiedExport.objects.exists()


def test_a_site_with_another_legal_ground_packs_without(settings, client, adam, study, filed, agreed):
    agreed.delete()
    settings.EXPORT_NEEDS_CONSENT = False

    assert made(asked(adam, [study])).image_count == 2
    client.force_login(adam)
    confirm(client)
    assert "Name the legal ground" in client.get(NEW).content.decode()


# What cannot be cleaned


def test_what_cannot_be_cleaned_is_left_out_with_the_reason(client, adam, rachel, study, filed):
    blank = cv2.imencode(".png", cv2.rectangle(scan(1) * 0 + 3, (1, 1), (2, 2), 40, -1))[1].tobytes()
    file_image(study, rachel, blank, "Zolc dark.png")
    missing = file_image(study, rachel, png(8), "gone.png")
    Path(missing.file.path).unlink()

    export = made(asked(adam, [study]))

    assert export.image_count == 2
    reasons = sorted(one["reason"] for one in export.left_out)
    assert len(reasons) == 2
    assert "not cleaned with confidence" in reasons[0]
    assert reasons[1] == "the stored file is missing"
    client.force_login(adam)
    confirm(client)
    page = client.get(f"/exports/{export.pk}/").content.decode()
    assert "2 left out" in page
    assert "Zolc" not in page


def test_a_package_of_which_nothing_is_left_says_so(adam, rachel, study, agreed):
    image = file_image(study, rachel, png(8), "gone.png")
    Path(image.file.path).unlink()

    export = made(asked(adam, [study]))

    assert (export.state, export.error_code) == (State.FAILED, "nothing_left")
    assert len(export.left_out) == 1


def test_a_package_that_is_too_large_says_so(monkeypatch, adam, study, filed):
    monkeypatch.setattr(package, "MOST_BYTES", 1000)

    export = made(asked(adam, [study]))

    assert (export.state, export.error_code) == (State.FAILED, "too_large")
    assert "fewer studies" in export.error_message


# The durable job


def test_a_worker_that_is_killed_midway_goes_on_where_it_was(monkeypatch, adam, study, filed):
    export = asked(adam, [study])
    cleaned = []
    whole = package._cleaned

    def counted(image, *, pseudonyms):
        cleaned.append(image.pk)
        if len(cleaned) == 2:
            raise KeyboardInterrupt
        return whole(image, pseudonyms=pseudonyms)

    monkeypatch.setattr(package, "_cleaned", counted)
    with pytest.raises(KeyboardInterrupt):
        packaging.make_parts(export, seconds=60)
    monkeypatch.setattr(package, "_cleaned", whole)

    made(export)

    assert export.image_count == 2
    assert not list(actions.work_folder(export).parent.glob("*"))


def test_it_lets_others_go_first_and_is_given_back_after_each_slice(monkeypatch, adam, study, filed):
    export = asked(adam, [study])
    work_now(tasks.export_deidentified, export.pk)
    export.refresh_from_db()
    assert export.state == State.QUEUED, "two images wait for their analysis"
    assert export.attempts == 0

    monkeypatch.setattr(tasks, "SLICE_SECONDS", -1.0)
    claim = jobs.claim(DeidentifiedExport, export.pk)
    _run(claim)
    export.refresh_from_db()
    assert (export.state, export.attempts) == (State.QUEUED, 0)
    monkeypatch.setattr(tasks, "SLICE_SECONDS", 60.0)
    assert made(export).state == State.SUCCEEDED


def test_a_worker_that_lost_its_job_stores_nothing(settings, adam, study, filed):
    export = asked(adam, [study])
    claim = jobs.claim(DeidentifiedExport, export.pk)
    packaging.make_parts(export, seconds=60)
    packed = packaging.pack_parts(export)
    actions.cancel_export(acting_user=adam, export=export)
    packed.file.parent.mkdir(parents=True, exist_ok=True)
    packed.file.write_bytes(b"zip")

    stored = actions.record_export(claim=claim, package=packed.file, sha256="00", image_count=2, left_out=[])

    assert stored is False
    assert not list((Path(settings.MEDIA_ROOT) / "exports").rglob("*.zip")) or packed.file.exists()
    export.refresh_from_db()
    assert (export.state, export.file.name) == (State.CANCELLED, "")


# The end of a package


def test_after_its_days_the_file_is_gone_and_the_row_says_so(client, settings, adam, study, filed):
    export = made(asked(adam, [study]))
    path = Path(export.file.path)
    assert export.expires_at - timezone.now() > timedelta(days=settings.EXPORT_DAYS - 1)
    assert actions.expire_exports() == 0
    DeidentifiedExport.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert actions.expire_exports() == 1

    assert not path.exists()
    export.refresh_from_db()
    assert (export.file.name, export.salt) == ("", "")
    client.force_login(adam)
    confirm(client)
    assert client.get(f"/exports/{export.pk}/package.zip").status_code == 404
    assert "Its time has passed" in client.get(f"/exports/{export.pk}/").content.decode()
    assert AuditEvent.objects.filter(action="export.removed").exists()


def test_parts_that_a_worker_left_behind_are_removed(settings, adam, study, filed):
    gone, waiting = asked(adam, [study]), asked(adam, [study])
    actions.cancel_export(acting_user=adam, export=gone)
    for export in (gone, waiting):
        packaging.make_parts(export, seconds=60)

    actions.expire_exports()

    assert not actions.work_folder(gone).exists()
    assert len(list(actions.work_folder(waiting).iterdir())) == 2
    gone.refresh_from_db()
    assert gone.salt == ""


def test_a_package_can_be_taken_back(client, adam, study, filed, django_capture_on_commit_callbacks):
    export = made(asked(adam, [study]))
    path = Path(export.file.path)
    client.force_login(adam)
    confirm(client)

    with django_capture_on_commit_callbacks(execute=True):
        client.post(f"/exports/{export.pk}/cancel/")

    assert not path.exists()
    assert AuditEvent.objects.filter(action="export.cancelled").exists()


def test_an_erased_patient_is_in_no_package(settings, adam, anna, study, filed):
    waiting = asked(adam, [study])
    packaging.make_parts(waiting, seconds=60)
    ready = made(asked(adam, [study]))

    actions.erase_patient(acting_user=adam, patient=anna, reason="Asked for")

    for export in (waiting, ready):
        export.refresh_from_db()
        assert export.file.name == ""
    assert waiting.state == State.CANCELLED
    assert Erasure.objects.get().counts["packages that held the patient"] == 2
    assert not [file for file in Path(settings.MEDIA_ROOT).rglob("*") if file.is_file()]


# The pages


@pytest.mark.parametrize("who", ["rachel", "ivan", "petra"])
def test_only_administrators_ask_see_and_fetch(client, request, adam, study, filed, who):
    export = made(asked(adam, [study]))
    person = request.getfixturevalue(who)
    with pytest.raises(PermissionDenied):
        asked(person, [study])
    client.force_login(person)
    confirm(client)
    for path in ("", "package.zip"):
        assert client.get(f"/exports/{export.pk}/{path}").status_code == 404
    assert client.post(f"/exports/{export.pk}/cancel/").status_code == 404
    for path in ("/exports/", NEW):
        assert client.get(path).status_code == 403
    assert client.post(NEW, {"purpose": "x", "seen": 1}).status_code == 403
    export.refresh_from_db()
    assert export.file


def test_a_package_is_asked_for_from_the_filters_of_the_history(client, adam, anna, study, filed):
    client.force_login(adam)
    confirm(client)
    listed = client.post("/history/", {"q": "zolc", "modality": "US"}, follow=True)
    link = listed.content.decode().split(f'href="{NEW}')[1].split('"')[0].replace("&amp;", "&")
    assert "zolc" not in link

    page = client.get(NEW + link)
    done = client.post(NEW + link, {"purpose": "Quality", "seen": page.context["studies"]})

    export = DeidentifiedExport.objects.get()
    assert done["Location"] == f"/exports/{export.pk}/"
    assert "Images are cleaned" in client.get(done["Location"]).content.decode()
    assert list(export.studies.all()) == [study]
    assert client.get(f"{NEW}?modality=MG").context["studies"] == 0
    assert client.get(f"{NEW}?patient={anna.pk}").context["studies"] == 1


def test_what_changed_since_the_page_was_opened_is_said(client, adam, study, filed):
    client.force_login(adam)
    confirm(client)

    answer = client.post(NEW, {"purpose": "Quality", "seen": 7})

    assert answer.status_code == 409
    assert "Other studies match by now" in answer.content.decode()
    assert not DeidentifiedExport.objects.exists()


@pytest.mark.parametrize("purpose", ["", "   ", "x" * 501])
def test_a_purpose_is_asked_for(client, adam, study, filed, purpose):
    client.force_login(adam)
    confirm(client)

    assert client.post(NEW, {"purpose": purpose, "seen": 1}).status_code == 422
    with pytest.raises(ValidationError):
        actions.request_export(acting_user=adam, studies=[study], purpose=purpose)
    assert not DeidentifiedExport.objects.exists()


def test_a_recent_proof_of_identity_is_asked_for(client, adam, study, filed):
    client.force_login(adam)

    assert "reauthenticate" in client.get(NEW)["Location"]
    client.post(NEW, {"purpose": "Quality", "seen": 1})
    assert not DeidentifiedExport.objects.exists()
