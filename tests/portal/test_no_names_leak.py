"""No patient's name, MRN, telephone number or file name where it does not belong: addresses, titles, headers, logs,
queue messages, e-mails, notifications, the ledger and the names of stored files. A patient with unmistakable words goes
through everything that the house does, failures included; then every such place is searched.
"""

from __future__ import annotations

import html
import io
import json
import logging
import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.parse import unquote, unquote_plus

import pytest
from django.conf import settings as site
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from structlog.stdlib import ProcessorFormatter

from accounts.actions import create_patient, link_patient_login
from accounts.models import AuditEvent, Consent, Notification, OutgoingMail, Patient
from accounts.tasks import send_mail
from diagnosis import actions, tasks
from diagnosis.models import Analysis, DeidentifiedExport, Report
from portal import jobs, sweeper
from tests.fixture_images import good_dicom, good_png
from tests.fixture_results import succeeded, with_report
from tests.fixture_sign_in import confirm

GIVEN, FAMILY, MRN = "Xaverianna", "Unverwechselbarsky", "XQZ-773311"
PHONE, EMAIL = "+99 123 987 654", "xqz-unmistakable@mail.example"
HISTORY = "Grossmutterkrebsig"
NEEDLES = (GIVEN, FAMILY, MRN, "773311", "987 654", "xqz-unmistakable", HISTORY)
SKIPPED = re.compile(r"logout|/static/|^https?://|^mailto:|^#|^data:|^javascript:|^tel:")
ADDRESS = re.compile(r'(?:href|src|action|hx-get|hx-post|data-[a-z-]*url)="([^"]*)"')
SEARCH_BY_ADDRESS = re.compile(r'<form[^>]*method="get"[^>]*>(?:(?!</form>).)*?name="q"', re.S)
NO_NAMES_SEARCHED = {"/ledger/": "what was done, not to whom", "/admin/": "staff, teams, models and jobs"}
"""Lists that are searched in the address, and what for."""
TITLE = re.compile(r"<title>(.*?)</title>", re.S)
MOST_PAGES = 150


def leaks(text: str) -> list[str]:
    """The words that a text gives away, however it is written."""
    plain = unquote_plus(unquote(html.unescape(text))).lower()
    return [word for word in NEEDLES if word.lower() in plain]


@dataclass
class Seen:
    """What a crawl has met."""

    addresses: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def crawl(client: Client, *, start: tuple[str, ...]) -> Seen:
    """Open every page that a page leads to, and look at addresses, titles and headers."""
    seen, waiting = Seen(), list(start)
    while waiting and len(seen.addresses) < MOST_PAGES:
        address = waiting.pop(0)
        if _kind(address) in {_kind(one) for one in seen.addresses} and address.count("?"):
            continue
        seen.addresses.add(address)
        answer = client.get(address)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        headers = "\n".join(f"{name}: {value}" for name, value in answer.items())
        assert "messages" not in client.cookies, "a cookie of the browser would hold names of files and people"
        for found in leaks(headers):
            seen.wrong.append(f"header of {address}: {found}")
        if not address.startswith(("/healthz", "/readyz", "/metrics")) and "no-store" not in answer.get(
            "Cache-Control", ""
        ):
            seen.wrong.append(f"{address} may be kept by a cache: {answer.get('Cache-Control')}")
        if answer.status_code >= 500 and address != "/readyz":
            seen.wrong.append(f"{address}: {answer.status_code}")
        if answer.status_code in (301, 302, 303):
            waiting.append(answer["Location"])
        if not answer.get("Content-Type", "").startswith("text/html"):
            continue
        text = body.decode()
        for title in TITLE.findall(text):
            seen.wrong += [f"title of {address}: {found}" for found in leaks(title)]
        if SEARCH_BY_ADDRESS.search(text) and not address.startswith(tuple(NO_NAMES_SEARCHED)):
            seen.wrong.append(f"{address} is searched by its address")
        for raw in ADDRESS.findall(text):
            link = html.unescape(raw)
            seen.wrong += [f"address on {address}: {link} ({found})" for found in leaks(link)]
            if link.startswith("?"):
                link = address.partition("?")[0] + link
            if link.startswith("/") and not SKIPPED.search(link) and link not in seen.addresses and link not in waiting:
                waiting.append(link)
    return seen


def _kind(address: str) -> str:
    """Addresses that differ in their parameters only are one page, but for the lists that are searched."""
    return address.partition("?")[0]


@pytest.fixture
def known(db, rachel, petra):
    """The patient of unmistakable words, with a released report and a log-in."""
    patient = create_patient(
        acting_user=rachel,
        mrn=MRN,
        given_name=GIVEN,
        family_name=FAMILY,
        birth_date=date(1970, 5, 17),
        sex="F",
        phone=PHONE,
        email=EMAIL,
        history=HISTORY,
    )
    link_patient_login(acting_user=None, patient=patient, user=petra)
    for purpose in Consent.Purpose.values:
        Consent.objects.create(patient=patient, purpose=purpose, wording="w")
    return patient


@pytest.fixture
def examined(rachel, known):
    """Images of the patient under names that name her: analysed, concluded, released; one refused, one failed."""
    study = actions.create_study(
        acting_user=rachel, patient=known, modality="US", clinical_history=HISTORY, accession_number="A-1"
    )
    analysis = succeeded(study=study, by=rachel)
    with_report(analysis)
    actions.conclude(acting_user=rachel, analysis=analysis, label="benign", birads="2", conclusion=f"{FAMILY} is well.")
    ready = with_report(analysis)
    actions.release_report(acting_user=rachel, report=ready, letter=f"Dear {GIVEN}")
    dicom = good_dicom(seed=3, family_name=FAMILY, given_name=GIVEN, patient_id=MRN, birth_date=date(1970, 5, 17))
    actions.add_image(acting_user=rachel, study=study, upload=dicom, filename=f"{FAMILY} {MRN}.dcm")
    return study


@pytest.fixture
def log():
    """What the site writes to its log, as it writes it."""
    (own,) = [one for one in logging.getLogger().handlers if isinstance(one.formatter, ProcessorFormatter)]
    written = io.StringIO()
    beside = logging.StreamHandler(written)
    beside.setFormatter(own.formatter)
    logging.getLogger().addHandler(beside)
    yield written
    logging.getLogger().removeHandler(beside)


def _uploads(client: Client, study) -> None:
    """Good, damaged, foreign and disguised files under names that name the patient."""
    for name, data in (
        (f"{FAMILY}.png", good_png(31)),
        (f"{FAMILY}-{MRN}.png", b"not an image"),
        (f"{FAMILY}.dcm", good_dicom(seed=8, family_name="Other", patient_id="M-8")),
        (f"{FAMILY}.exe", b"MZ" + b"\0" * 200),
        ("x.dcm", good_dicom(seed=9)[:900]),
    ):
        client.post(f"/studies/{study.pk}/upload/", {"file": SimpleUploadedFile(name, data)})


def _api(api, rachel, study, known) -> list[str]:
    """The REST API, right and wrong; the addresses that it gives."""
    program = api(rachel)
    patient = {"mrn": MRN, "given_name": GIVEN, "family_name": FAMILY, "birth_date": "1970-05-17", "sex": "F"}
    answers = [
        program.get("/api/v1/patients/", {"q": FAMILY}),
        program.post("/api/v1/patients/", patient, format="json"),
        program.patch(f"/api/v1/patients/{known.pk}/", {"email": FAMILY}, format="json"),
        program.post("/api/v1/studies/", {"patient": FAMILY, "modality": "US"}, format="json"),
        program.get("/api/v1/studies/", {"q": MRN}),
        program.get(f"/api/v1/studies/{study.pk}/"),
        program.post(
            f"/api/v1/studies/{study.pk}/images/",
            {"file": SimpleUploadedFile(f"{FAMILY}.png", b"broken")},
            format="multipart",
        ),
    ]
    answers += [program.get(f"/api/v1/analyses/{one.pk}/") for one in Analysis.objects.all()]
    links: list[str] = []
    for answer in answers:
        assert answer.status_code < 500, answer
        links += [f"{name}: {value}" for name, value in answer.items()]
        links += re.findall(r'"(https?://[^"]*|/[^"]*)"', json.dumps(answer.json()))
    return links


def _work(monkeypatch) -> None:
    """Everything that waits is worked on; some of it fails with errors that quote the record."""

    def broken(*args, **kwargs):
        raise ValueError(f"{FAMILY} {MRN} could not be drawn")

    with monkeypatch.context() as failing:
        failing.setattr("diagnosis.tasks.report.render", broken)
        for row in Report.objects.filter(state="queued")[:1]:
            tasks.render_report.run(str(row.pk))
    with monkeypatch.context() as failing:
        failing.setattr("diagnosis.tasks.inference.analyse", broken)
        for row in Analysis.objects.filter(state="queued"):
            tasks.analyse.run(str(row.pk))
    for row in Report.objects.filter(state="queued"):
        tasks.render_report.run(str(row.pk))
    for mailed in OutgoingMail.objects.filter(state="queued"):
        send_mail.run(str(mailed.pk))
    for export in DeidentifiedExport.objects.filter(state="queued"):
        claim = jobs.claim(DeidentifiedExport, export.pk)
        tasks.export_deidentified.run.__wrapped__(claim)


def _commands(known) -> str:
    said = io.StringIO()
    for command in (
        ("doctor",),
        ("purge",),
        ("verify_files",),
        ("verify_audit",),
        ("rotate_field_keys",),
        ("purge", "--patient", str(known.pk), "--reason", "x"),
    ):
        try:
            call_command(*command, stdout=said, stderr=said)
        except CommandError as error:
            said.write(str(error))
    return said.getvalue()


def test_nothing_gives_a_patient_away(
    log, client, api, rachel, adam, ivan, petra, known, examined, monkeypatch, django_capture_on_commit_callbacks
):
    wrong: list[str] = []
    sweeper.ensure_queue_directory()
    client.raise_request_exception = False
    with django_capture_on_commit_callbacks(execute=True):
        client.force_login(rachel)
        _uploads(client, examined)
        assert FAMILY in client.get(f"/studies/{examined.pk}/").content.decode()
        assert "messages" not in client.cookies
        client.post("/patients/new/", {"mrn": MRN, "given_name": GIVEN, "family_name": FAMILY})
        client.post(f"/patients/{known.pk}/edit/", {"mrn": "", "given_name": GIVEN, "family_name": FAMILY})
        searched = [client.post(path, {"q": f"{FAMILY} {MRN}"}, follow=True) for path in ("/patients/", "/history/")]
        wrong += [f"redirect to {to}" for one in searched for to, _ in one.redirect_chain if leaks(to)]
        wrong += [f"API gives {link}" for link in _api(api, rachel, examined, known) if leaks(link)]
        client.force_login(adam)
        confirm(client)
        client.post("/exports/new/", {"purpose": "Quality", "seen": 1})
        client.post(f"/patients/{known.pk}/merge/", {"mrn": MRN})
        client.post(f"/patients/{known.pk}/erase/", {"mrn": f"{MRN}-wrong", "reason": "x"})
        second = create_patient(
            acting_user=adam, mrn=f"{MRN}-2", given_name=GIVEN, family_name=FAMILY, birth_date=date(1970, 5, 17)
        )
        actions.merge_patients(
            acting_user=adam, source=second, target=known, take_from_source=["phone"], reason="Same person"
        )
        client.get("/history/export.csv")
        _work(monkeypatch)

    lists = tuple(one.redirect_chain[-1][0] for one in searched)
    for person, start in (
        (rachel, ("/", *lists)),
        (adam, ("/", *lists)),
        (ivan, ("/", "/admin/")),
        (petra, ("/",)),
    ):
        visitor = Client(raise_request_exception=False)
        visitor.force_login(person)
        confirm(visitor)
        seen = crawl(visitor, start=start)
        assert len(seen.addresses) > 5, (person.email, seen.addresses)
        wrong += [f"{person.email}: {one}" for one in seen.wrong]

    said = _commands(known)
    wrong += [f"a command says {found}" for found in leaks(said)]
    with monkeypatch.context() as failing:
        failing.setattr("diagnosis.views.patient.summarise", _quoting)
        broken = Client(raise_request_exception=False)
        broken.force_login(rachel)
        answer = broken.get(f"/patients/{known.pk}/")
        assert answer.status_code == 500
        wrong += [f"the page of a fault: {found}" for found in leaks(answer.content.decode())]

    written = log.getvalue()
    for event in ("request_started", "job.failed", "request_failed", "patient.viewed", "ValueError: (its words"):
        assert event in written
    for line in written.splitlines():
        wrong += [f"log: {line[:300]} ({found})" for found in leaks(line)]
    queue = Path(str(site.CELERY_BROKER_TRANSPORT_OPTIONS["folder"]))
    messages = [file for file in queue.rglob("*") if file.is_file()]
    assert messages, "nothing was published"
    wrong += [f"queue: {found}" for file in messages for found in leaks(file.read_text("utf-8", "replace"))]
    assert OutgoingMail.objects.exists()
    for row in OutgoingMail.objects.all():
        wrong += [f"mail {row.kind}: {found}" for found in leaks(f"{row.subject} {row.body}")]
    for sent in mail.outbox:
        wrong += [f"sent mail: {found}" for found in leaks(f"{sent.subject} {sent.body}")]
    for row in Notification.objects.all():
        wrong += [f"notification: {found}" for found in leaks(f"{row.text} {row.path}")]
    for row in AuditEvent.objects.all():
        wrong += [f"ledger {row.action}: {found}" for found in leaks(f"{row.details} {row.purpose} {row.object_id}")]
    for row in LogEntry.objects.all():
        wrong += [f"admin log: {found}" for found in leaks(f"{row.object_repr} {row.change_message}")]
    stored = [file for file in Path(site.MEDIA_ROOT).rglob("*") if file.is_file()]
    assert stored
    wrong += [
        f"stored as {file.name}: {found}" for file in stored for found in leaks(str(file.relative_to(site.MEDIA_ROOT)))
    ]
    for row in [*Analysis.objects.all(), *Report.objects.all(), *DeidentifiedExport.objects.all()]:
        wrong += [f"job {row.pk}: {found}" for found in leaks(f"{row.error_message} {row.error_detail} {row.stage}")]

    assert sorted(set(wrong)) == []
    assert Patient.objects.get(pk=known.pk).family_name == FAMILY


def _quoting(study):
    raise ValueError(f"{FAMILY} {MRN} has no summary")


def test_the_search_finds_what_is_hidden():
    assert leaks(f"/patients/?q={FAMILY.lower()}") == [FAMILY]
    assert leaks("/patients/?q=%58aveRianna") == [GIVEN]
    assert leaks("%2B99+123+987+654") == ["987 654"]
    assert leaks("/patients/?find=gAAAAABqZ") == []
