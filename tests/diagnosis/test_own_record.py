"""A patient's own record: letters first, nothing before release, who looked, and all of it to take along."""

from __future__ import annotations

import json
import re
import zipfile
from datetime import date
from io import BytesIO

import pytest
from django.test import Client
from django.urls import reverse

from accounts import actions as people
from accounts.actions import create_patient
from accounts.models import AuditEvent, Message
from diagnosis import actions, letter, own_export
from diagnosis.models import BiRads, Image, Report
from tests.conftest import person
from tests.fixture_patients import with_log_in
from tests.fixture_results import concluded, succeeded, with_report
from tests.fixture_sign_in import confirm

LETTER = "All is well.\n\nYou need no other test."
SCORES = ("malignan", "probability", "confidence", "suspicio", "7 of 10", "BI-RADS", "0.81", "81")
"""What a model says, and what only doctors read."""


@pytest.fixture
def own(client, anna, petra):
    """Petra, signed in, with Anna's record."""
    with_log_in(anna, petra)
    client.force_login(petra)
    return client


@pytest.fixture
def analysis(study, rachel):
    return succeeded(study=study, by=rachel)


@pytest.fixture
def report(analysis, rachel):
    """Anna's report, with a conclusion, not released."""
    return concluded(analysis, by=rachel)


def release(report, rachel, words=LETTER):
    return actions.release_report(acting_user=rachel, report=report, letter=words)


def words_of(response) -> str:
    """What is read on a page: without its head and its markup."""
    body = response.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def address(report) -> str:
    return reverse("own-report", args=[report.pk])


# The letter


def grade(text: str) -> float:
    """Flesch-Kincaid grade: years of school that a text asks for."""
    sentences = len(re.findall(r"[.!?](?=\s|$)", text))
    words = re.findall(r"[A-Za-z']+", text)
    syllables = sum(max(1, len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", word.lower())))) for word in words)
    return 0.39 * len(words) / sentences + 11.8 * syllables / len(words) - 15.59


@pytest.mark.parametrize("birads", BiRads.values)
def test_a_letter_is_plain_and_says_what_happens_next_and_whom_to_call(analysis, rachel, birads, settings):
    settings.SITE_PHONE, settings.SITE_CONTACT = "030 1234", "the breast unit"
    text = letter.draft(concluded(analysis, by=rachel, birads=birads))

    assert "ultrasound of your left breast" in text
    assert text.endswith("Call the breast unit: 030\N{NO-BREAK SPACE}1234.")
    assert grade(text) < 6
    for technical in (*SCORES, "lesion", "benign", "percent", "%", "AI"):
        assert technical not in text.replace("again", "")
    assert 3 <= text.count("\n\n") <= 7


def test_a_letter_tells_harmless_from_what_needs_a_sample(analysis, rachel):
    harmless = letter.draft(concluded(analysis, by=rachel, birads="2"))
    serious = letter.draft(concluded(analysis, by=rachel, birads="4C", label="malignant"))

    assert "harmless" in harmless
    assert "biopsy" not in harmless
    assert "may be cancer" in serious
    assert "biopsy" in serious


def test_without_a_conclusion_there_is_no_letter(analysis):
    with pytest.raises(ValueError, match="radiologist's conclusion"):
        letter.draft(with_report(analysis))


def test_a_site_without_a_telephone_names_who_to_ask(analysis, rachel, settings):
    settings.SITE_PHONE = ""

    assert letter.draft(concluded(analysis, by=rachel)).endswith("Please ask the reception of the breast clinic.")


# Before and after release


def test_before_release_nothing_exists(own, report, analysis):
    home = own.get(reverse("home"))

    assert "No report has been released yet" in words_of(home)
    assert str(report.pk) not in home.content.decode()
    image = analysis.image
    for path in (
        address(report),
        reverse("report-file", args=[report.pk]),
        reverse("image-file", args=[image.pk]),
        reverse("image-thumbnail", args=[image.pk]),
        reverse("explanation-file", args=[analysis.pk]),
        reverse("analysis-detail", args=[analysis.pk]),
        reverse("study-detail", args=[image.study.pk]),
        reverse("patient-detail", args=[image.study.patient.pk]),
    ):
        assert own.get(path).status_code == 404, path


def test_a_released_report_is_a_letter_then_a_pdf_then_a_picture(own, fetch, report, rachel, analysis):
    release(report, rachel)

    assert address(report) in own.get(reverse("home")).content.decode()
    response = own.get(address(report))
    html, words = response.content.decode(), words_of(response)
    assert "Dear Anna Żółć, All is well. You need no other test." in words
    pdf, image = reverse("report-file", args=[report.pk]), reverse("image-file", args=[analysis.image.pk])
    assert html.index("All is well.") < html.index(pdf) < html.index(image)
    assert re.search(r'alt="Ultrasound of your left breast, taken on [^"]+told in the letter above."', html)
    assert fetch(own, pdf).whole.startswith(b"%PDF")
    with analysis.image.file.open("rb") as stored:
        assert fetch(own, image).whole == stored.read()
    for path in (reverse("explanation-file", args=[analysis.pk]), reverse("analysis-detail", args=[analysis.pk])):
        assert own.get(path).status_code == 404


def test_no_page_of_a_patient_has_a_score(own, report, rachel):
    release(report, rachel)

    for path in (reverse("home"), address(report), reverse("own-accesses"), reverse("own-consents")):
        words = words_of(own.get(path)).lower()
        for score in SCORES:
            assert score.lower() not in words, (path, score)


def test_titles_and_addresses_name_nobody(own, report, rachel):
    release(report, rachel)

    for path in (reverse("home"), address(report), reverse("own-accesses"), reverse("own-messages")):
        title = re.search(r"<title>(.*?)</title>", own.get(path).content.decode(), re.DOTALL)[1]
        for name in ("Anna", "Żółć", "MRN-001", "breast"):
            assert name not in title + path


def test_the_newest_comes_first(own, study, rachel):
    for seed in (1, 2):
        report = concluded(succeeded(study=study, by=rachel, seed=seed), by=rachel)
        release(report, rachel)

    html = own.get(reverse("home")).content.decode()

    older, newer = Report.objects.filter(released_at__isnull=False).order_by("released_at")
    assert html.index(address(newer)) < html.index(address(older))


def test_another_patient_gets_nothing_of_it(own, fetch, report, rachel, analysis):
    release(report, rachel)
    berta = create_patient(
        acting_user=None, mrn="B-1", given_name="Berta", family_name="B", birth_date=date(1980, 1, 1)
    )
    other = Client()
    other.force_login(with_log_in(berta, person("berta@test.local", "patient", "Berta", "B")))

    for path in (
        address(report),
        reverse("report-file", args=[report.pk]),
        reverse("image-file", args=[analysis.image.pk]),
    ):
        assert fetch(other, path).status_code == 404
    assert "No report has been released yet" in words_of(other.get(reverse("home")))


def test_without_the_agreement_the_files_are_closed_too(own, fetch, report, rachel, analysis, petra):
    release(report, rachel)
    people.withdraw_consent(acting_user=petra, purpose="portal")

    assert own.get(address(report)).url == reverse("own-consents")
    for path in (reverse("report-file", args=[report.pk]), reverse("image-file", args=[analysis.image.pk])):
        assert fetch(own, path).status_code == 404


def test_looking_is_in_the_ledger(own, anna, petra, report, rachel):
    release(report, rachel)
    own.get(reverse("home"))
    own.get(address(report))

    for action in ("own_record.viewed", "report.viewed"):
        event = AuditEvent.objects.get(action=action)
        assert (event.actor, event.patient) == (petra, anna)


# Taking back


def test_a_withdrawn_report_is_gone_with_a_sentence(own, fetch, report, rachel, analysis):
    release(report, rachel)
    actions.withdraw_report(acting_user=rachel, report=report, reason="The wrong side was examined")

    home = own.get(reverse("home"))
    assert "is no longer here: the clinic is correcting it" in words_of(home)
    assert address(report) not in home.content.decode()
    gone = own.get(address(report))
    assert gone.status_code == 410
    assert "Please do not rely on the old letter" in words_of(gone)
    assert "Call the reception of the breast clinic: 020 7946 0137" in words_of(gone)
    for response in (home, gone):
        assert "All is well" not in response.content.decode()
        assert "wrong side" not in response.content.decode()
    for path in (reverse("report-file", args=[report.pk]), reverse("image-file", args=[analysis.image.pk])):
        assert fetch(own, path).status_code == 404


def test_a_second_conclusion_hides_the_letter_until_it_is_released_too(own, report, rachel, analysis):
    release(report, rachel)
    newer = concluded(analysis, by=rachel, text="On second thought.")
    assert "is no longer here" in words_of(own.get(reverse("home")))
    assert own.get(address(newer)).status_code == 404

    release(newer, rachel, "Now this.")

    html = own.get(reverse("home")).content.decode()
    assert "is no longer here" not in html
    assert own.get(address(report)).url == address(newer)
    assert "Now this." in words_of(own.get(address(newer)))


# Who looked


def test_the_list_says_who_by_role_and_what_without_unreleased_news(own, anna, report, rachel, adam):
    for user, name, key in (
        (rachel, "patient-detail", anna.pk),
        (rachel, "study-detail", report.analysis.image.study.pk),
        (adam, "patient-detail", anna.pk),
    ):
        browser = Client()
        browser.force_login(user)
        browser.get(reverse(name, args=[key]))

    words = words_of(own.get(reverse("own-accesses")))

    assert "A radiologist opened your record" in words
    assert "An administrator opened your record" in words
    for unsaid in ("Rachel", "Adam", "report", "assessment", "conclusion", "second opinion"):
        assert unsaid not in words


def test_names_are_shown_where_the_site_says_so(own, anna, rachel, settings):
    settings.PATIENT_SEES_STAFF_NAMES = True
    browser = Client()
    browser.force_login(rachel)
    browser.get(reverse("patient-detail", args=[anna.pk]))

    assert "Rachel Radiologist opened your record" in words_of(own.get(reverse("own-accesses")))


def test_looks_of_one_day_are_put_together(own, anna, rachel):
    browser = Client()
    browser.force_login(rachel)
    for _ in range(3):
        browser.get(reverse("patient-detail", args=[anna.pk]))

    words = words_of(own.get(reverse("own-accesses")))

    seen = AuditEvent.objects.filter(action="patient.viewed", actor=rachel).count()
    assert words.count("A radiologist opened your record") == 1
    assert (f"{seen} times that day" in words) == (seen > 1)


# To take along


@pytest.fixture
def package(own, fetch, petra):
    """``package()``: the archive that Petra downloads."""

    def load() -> zipfile.ZipFile:
        confirm(own)
        response = own.post(reverse("own-export"))
        assert response.status_code == 200
        assert response["Content-Type"] == "application/zip"
        whole = BytesIO(response.getvalue())
        response.close()
        return zipfile.ZipFile(whole)

    return load


def test_the_archive_has_all_that_is_released_and_nothing_else(package, own, study, report, rachel, petra, anna):
    release(report, rachel)
    hidden = concluded(succeeded(study=study, by=rachel, seed=2), by=rachel, text="Not for the patient yet")
    own.post(reverse("own-messages"), {"text": "Is it <b>good</b>? ž"})
    archive = package()

    assert archive.testzip() is None
    names = archive.namelist()
    pdf = next(name for name in names if name.startswith("reports/"))
    png = next(name for name in names if name.startswith("pictures/"))
    assert sorted(names) == sorted([pdf, png, "record.json", "index.html"])
    assert archive.read(pdf).startswith(b"%PDF")
    with report.analysis.image.file.open("rb") as stored:
        assert archive.read(png) == stored.read()
    bundle = json.loads(archive.read("record.json"))
    kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert kinds == {"Patient", "DiagnosticReport", "Communication", "Consent", "AuditEvent"}
    found = [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "DiagnosticReport"]
    assert [(one["conclusion"], one["presentedForm"][0]["url"]) for one in found] == [(LETTER, pdf)]
    page = archive.read("index.html").decode()
    assert "All is well." in page
    assert "Is it &lt;b&gt;good&lt;/b&gt;? ž" in page
    for text in (page, archive.read("record.json").decode()):
        for unsaid in ("malignan", "suspicio", "probabilit", hidden.verification_code, "Not for the patient yet"):
            assert unsaid not in text
    event = AuditEvent.objects.get(action="own_record.exported")
    assert (event.actor, event.patient) == (petra, anna)


def test_it_asks_again_who_it_is_before_the_download(own, report, rachel):
    release(report, rachel)

    response = own.post(reverse("own-export"))

    assert response.status_code == 302
    assert "reauthenticate" in response.url
    assert not AuditEvent.objects.filter(action="own_record.exported").exists()


def test_a_patient_who_agreed_to_nothing_still_gets_what_is_theirs(package, report, rachel, petra):
    release(report, rachel)
    people.withdraw_consent(acting_user=petra, purpose="portal")

    names = package().namelist()

    assert sorted(names) == ["index.html", "record.json"]


def test_a_missing_file_is_named_and_the_rest_is_there(package, report, rachel):
    release(report, rachel)
    image = Image.objects.get()
    image.file.storage.delete(image.file.name)

    archive = package()

    assert sorted(archive.namelist()) == ["index.html", "record.json"]
    assert "Some files could not be read" in archive.read("index.html").decode()
    assert "All is well." in archive.read("index.html").decode()


def test_a_large_record_leaves_in_small_pieces(own, anna, petra, report, rachel):
    release(report, rachel)
    image = Image.objects.get()
    with open(image.file.path, "ab") as file:
        file.truncate(30_000_000)
    for number in range(200):
        Message(patient=anna, author=petra, from_patient=True, text=f"Message {number} " * 50).save()
    visible = Report.objects.visible_to(petra).select_related("analysis__image__study")

    sizes = [len(piece) for piece in own_export.archive(patient=anna, reader=petra, reports=visible)]

    assert sum(sizes) > 30_000_000
    assert max(sizes) <= 2 * own_export.CHUNK


@pytest.mark.parametrize("who", ["rachel", "adam", "ivan"])
@pytest.mark.parametrize("name", ["own-accesses", "own-export", "own-consents"])
def test_these_pages_are_for_patients_alone(client, who, name, request):
    client.force_login(request.getfixturevalue(who))
    confirm(client)

    assert client.get(reverse(name)).status_code in (403, 405)
    assert client.post(reverse(name)).status_code in (403, 405)
