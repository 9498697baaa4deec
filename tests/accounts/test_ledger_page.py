"""The page of the ledger: what it says, what is searched, and what IT staff do not see."""

from __future__ import annotations

import re
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import actions, audit
from accounts.ledger.search import PAGE_SIZE
from accounts.models import AuditEvent
from portal.bench.ledger_data import fill
from portal.channel import WORKER, through

pytestmark = pytest.mark.django_db
LEDGER = "/ledger/"
ADDRESS = "192.0.2.77"


@pytest.fixture
def rows(rachel, anna, study):
    """Rachel looked at Anna's record and study, a worker stored a result, somebody failed to sign in."""
    token = audit.client_address.set(ADDRESS)
    with through("web"):
        audit.record("patient.viewed", actor=rachel, target=anna, patient=anna, purpose="second reading")
        audit.record("study.viewed", actor=rachel, target=study, patient=anna)
    audit.client_address.reset(token)
    with through(WORKER):
        audit.record("analysis.succeeded", actor=None, patient=anna, label="malignant")
    audit.record("user.sign_in_failed", actor=None, target=rachel, known=True)


def table(answer) -> str:
    """The text of the rows, without tags."""
    body = re.search(r"<tbody>(.*?)</tbody>", answer.content.decode(), re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body[1])) if body else ""


def as_person(client, person, address=LEDGER):
    client.force_login(person)
    return client.get(address)


def test_rows_are_sentences_with_names(client, adam, rows):
    text = table(as_person(client, adam))
    assert "Rachel Radiologist opened the record" in text
    assert "Rachel Radiologist opened a study" in text
    assert "The system stored a result" in text
    assert "Somebody failed to sign in" in text
    assert ADDRESS in text
    assert "For: second reading" in text
    assert "Żółć, Anna" in text


def test_searching_the_ledger_is_in_the_ledger(client, adam, rows, anna):
    as_person(client, adam, f"{LEDGER}?patient={anna.pk}&q=opened")
    event = AuditEvent.objects.get(action="ledger.viewed")
    assert (event.actor, event.patient, event.channel) == (adam, anna, "web")
    assert event.details["filters"] == {"patient": str(anna.pk), "q": "(masked)"}


def test_other_filters_are_another_look_and_typing_is_not(client, adam, rows, rachel):
    client.force_login(adam)
    for query in ("", "", "role=system", "role=system&q=s", "role=system&q=st", f"person={rachel.pk}"):
        client.get(f"{LEDGER}?{query}")
    kept = [row.details["filters"] for row in AuditEvent.objects.filter(action="ledger.viewed").order_by("pk")]
    assert kept == [{}, {"role": "system"}, {"person": str(rachel.pk)}]


@pytest.mark.parametrize("person", ["rachel", "petra"])
def test_radiologists_and_patients_do_not_open_it(client, request, rows, anna, person):
    client.force_login(request.getfixturevalue(person))
    assert client.get(LEDGER).status_code == 403
    assert client.post("/ledger/export/", {"format": "csv"}).status_code == 403
    assert client.post("/ledger/patient/", {"mrn": anna.mrn}).status_code == 403
    assert client.get(f"/patients/{anna.pk}/access/").status_code == 404


# What IT staff see


def test_it_staff_see_the_rows_without_patients_and_details(client, ivan, rows, anna, study):
    answer = as_person(client, ivan)
    page = answer.content.decode()
    text = table(answer)
    assert "Rachel Radiologist opened the record" in text
    assert ADDRESS in text
    for hidden in ("Żółć", "Anna", anna.mrn, str(anna.pk), str(study.pk)[:8], "malignant", "second reading"):
        assert hidden not in page
    assert "Export, signed" not in page


def test_it_staff_do_not_find_out_by_filtering(client, ivan, rows, anna, study):
    whole = table(as_person(client, ivan))
    for query in (f"patient={anna.pk}", f"patient={uuid.uuid4()}", f"key={study.pk}", f"key={anna.pk}"):
        # Nothing is left out, so nothing is learnt; the row of this very look is the only difference there may be.
        assert "opened a study" in table(client.get(f"{LEDGER}?{query}")), query
    assert "opened a study" in whole
    assert client.post("/ledger/patient/", {"mrn": anna.mrn}).status_code == 403
    assert client.post("/ledger/export/", {"format": "jsonl"}).status_code == 403


def test_it_staff_do_not_see_which_patient_signed_in(client, ivan, petra):
    audit.record("user.signed_in", actor=petra, target=petra)
    page = as_person(client, ivan).content.decode()
    assert "A patient" in table(client.get(LEDGER))
    assert "Petra" not in page
    assert f"person={petra.pk}" not in page


# Filters


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("role=system", "stored a result", "opened the record"),
        ("action=study.viewed", "opened a study", "opened the record"),
        ("object=study", "opened a study", "opened the record"),
        ("channel=worker", "stored a result", "opened the record"),
        ("q=opened+record", "opened the record", "opened a study"),
        ("q=STUDY.VIEWED", "opened a study", "opened the record"),
        ("from=2020-01-01&to=2199-12-31", "opened the record", "nothing at all"),
        ("action=patient.viewed&channel=web&role=radiologist", "opened the record", "opened a study"),
    ],
)
def test_filters_show_what_fits_and_hide_the_rest(client, adam, rows, query, shown, hidden):
    text = table(as_person(client, adam, f"{LEDGER}?{query}"))
    assert shown in text
    assert hidden not in text


def test_the_rows_of_one_person(client, adam, rachel, rows):
    answer = as_person(client, adam, f"{LEDGER}?person={rachel.pk}")
    assert "opened the record" in table(answer)
    assert "The system" not in table(answer)
    assert "Rachel Radiologist" in answer.content.decode()


def test_the_rows_of_one_record_are_found_by_mrn_without_the_mrn_in_an_address(client, adam, rows, anna):
    client.force_login(adam)
    answer = client.post("/ledger/patient/", {"mrn": anna.mrn})
    assert answer["Location"] == f"{LEDGER}?patient={anna.pk}"
    text = table(client.get(answer["Location"]))
    assert "opened the record" in text
    assert "failed to sign in" not in text


@pytest.mark.parametrize("mrn", ["", "nobody", "a\0b", "%", "x" * 5_000])
def test_an_mrn_that_is_nobodys_is_said(client, adam, mrn):
    client.force_login(adam)
    answer = client.post("/ledger/patient/", {"mrn": mrn}, follow=True)
    assert "There is no record with this MRN" in answer.content.decode()


def test_a_record_merged_into_another_one_counts_as_the_same(client, adam, rachel, anna):
    former = actions.create_patient(
        acting_user=None, mrn="FORMER", given_name="Anna", family_name="Zolc", birth_date=anna.birth_date, sex="F"
    )
    type(anna).objects.filter(pk=former.pk).update(merged_into=anna)
    audit.record("patient.viewed", actor=rachel, target=former, patient=former)
    assert "Rachel Radiologist opened the record" in table(as_person(client, adam, f"{LEDGER}?patient={anna.pk}"))


def test_days_are_those_of_the_site(client, adam, rows):
    assert "opened the record" not in table(as_person(client, adam, f"{LEDGER}?to=2020-01-01"))
    assert "Nothing matches" in client.get(f"{LEDGER}?from=2199-01-01").content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "person=x",
        "person=-1",
        "person=9999999999999999999999",
        "role=king",
        "action=%00",
        "object='--",
        "channel=%F0%9F%90%88",
        "patient=anna",
        "patient=%00",
        "from=2026-99-99",
        "from=0001-01-01&to=9999-12-31",
        "to=%00",
        "q=%00%00",
        f"q={'x' * 5000}",
        "key=%00",
        "before=x",
        "before=-1",
        "before=99999999999999999999999999",
        "after=9223372036854775808",
        "before=%D9%A1",
        "after=1&before=1",
    ],
)
def test_garbage_in_the_address_is_left_out_and_never_an_error(client, adam, rows, query):
    client.force_login(adam)
    for headers in ({}, {"HX-Request": "true"}):
        answer = client.get(f"{LEDGER}?{query}", headers=headers)
        assert answer.status_code == 200


def test_what_was_typed_is_shown_as_text(client, adam, rachel):
    audit.record("study.viewed", actor=rachel, purpose="<script>alert(1)</script>", note="<b>bold</b>")
    page = as_person(client, adam, f"{LEDGER}?q=<script>").content.decode()
    page += client.get(LEDGER).content.decode()
    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert "&lt;script&gt;" in page


def test_a_part_is_the_rows_alone(client, adam, rows):
    client.force_login(adam)
    part = client.get(LEDGER, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "Rachel Radiologist" in part


# Pages


def test_pages_by_position_show_every_row_once(client, adam):
    fill(3 * PAGE_SIZE)
    client.force_login(adam)
    client.get(LEDGER)
    whole = list(AuditEvent.objects.order_by("-pk").values_list("pk", flat=True))
    seen, address = [], LEDGER
    while True:
        answer = client.get(address)
        seen += [row.sequence for row in answer.context["rows"]]
        if answer.context["page"].before is None:
            break
        address = f"{LEDGER}?before={answer.context['page'].before}"
    assert seen == whole
    back = client.get(f"{LEDGER}?after={seen[-1]}").context["page"]
    assert [row.pk for row in back.rows] == whole[-PAGE_SIZE - 1 : -1]


def test_a_page_costs_few_questions_however_many_rows(client, adam):
    fill(200)
    client.force_login(adam)
    client.get(LEDGER)
    with CaptureQueriesContext(connection) as asked:
        client.get(LEDGER)
    assert len(asked) <= 16, [query["sql"][:100] for query in asked]


# The state of the chain


def test_the_page_tells_how_far_the_chain_goes_and_the_public_key(client, adam, settings):
    page = as_person(client, adam).content.decode()
    newest = AuditEvent.objects.latest("pk")
    assert newest.digest in page
    assert re.search(r'id="public-key">[A-Za-z0-9+/]{43}=<', page)
    settings.LEDGER_KEY_FILE.write_text("damaged")
    assert "The key cannot be read" in client.get(LEDGER).content.decode()


def test_an_empty_answer_teaches_what_to_do(client, adam):
    page = as_person(client, adam, f"{LEDGER}?action=history.exported").content.decode()
    assert "Nothing matches" in page
    assert "Clear the filters" in page
