"""``/history/export.csv``: the rows of the history as a file for spreadsheets."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from accounts.actions import create_patient
from accounts.models import AuditEvent
from diagnosis.actions import create_study
from diagnosis.history_columns import EXPORTED
from portal.bench.history_data import fill
from tests.fixture_results import RESEARCH, filed, rejected, succeeded
from tests.fixture_sign_in import confirm

EXPORT = "/history/export.csv"


def table(client, query=""):
    answer = client.get(EXPORT + query, follow=True)
    assert answer.status_code == 200
    content = b"".join(answer.streaming_content).decode("utf-8")
    assert content.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(content.removeprefix("\ufeff"))))


def test_the_file_has_a_row_for_each_analysis_with_its_figures(client, rachel, study):
    analysis = succeeded(study=study, by=rachel, label="malignant", confidence=0.8, suspicion=8)
    client.force_login(rachel)
    confirm(client)
    (row,) = table(client)
    assert row["analysis"] == str(analysis.pk)
    assert (row["mrn"], row["family_name"], row["given_name"]) == ("MRN-001", "Żółć", "Anna")
    assert (row["label"], row["confidence"], row["suspicion"]) == ("malignant", "0.8000", "8")
    assert (row["probability_benign"], row["model"], row["model_version"]) == ("0.1000", "us-test", "1.0.0")


def test_a_refusal_has_reasons_and_empty_figures(client, rachel, study):
    rejected(study=study, by=rachel)
    client.force_login(rachel)
    confirm(client)
    (row,) = table(client)
    assert (row["state"], row["label"], row["confidence"]) == ("rejected", "", "")
    assert row["reasons"] == "Too blurred. Take it again."


def test_the_filters_of_the_page_hold_and_its_position_does_not(client, rachel, db):
    fill(60)
    client.force_login(rachel)
    confirm(client)
    rows = table(client, "?modality=MG&after=xyz&sort=-confidence")
    assert {row["modality"] for row in rows} == {"MG"}
    assert len(table(client)) == 60


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_looks_like_a_formula_is_made_text(client, rachel, start):
    name = f'{start}cmd|"/c calc"!A1'
    patient = create_patient(
        acting_user=None, mrn="M1", given_name="Eve", family_name="E", birth_date="1980-01-01", sex="F"
    )
    type(patient).objects.filter(pk=patient.pk).update(family_name=name)
    filed(study=create_study(acting_user=rachel, patient=patient, modality="US"), by=rachel)
    client.force_login(rachel)
    confirm(client)
    answer = client.get(EXPORT)
    content = b"".join(answer.streaming_content).decode()
    (row,) = list(csv.DictReader(io.StringIO(content.removeprefix("\ufeff"), newline="")))
    assert row["family_name"] == f"'{name}"


def test_words_that_are_no_filter_do_not_get_into_the_ledger(client, rachel, study):
    succeeded(study=study, by=rachel)
    client.force_login(rachel)
    confirm(client)

    table(client, "?state=succeeded&note=Kowalska&label=Kowalska")

    assert AuditEvent.objects.get(action="history.exported").details["filters"] == {"state": "succeeded"}


def test_who_exported_what_is_in_the_ledger(client, rachel, db):
    fill(60)
    client.force_login(rachel)
    confirm(client)
    rows = table(client, "?state=succeeded&q=anna&sort=when")
    event = AuditEvent.objects.get(action="history.exported")
    assert event.actor == rachel
    assert event.details == {"filters": {"state": "succeeded", "searched": "yes"}, "count": len(rows)}


def test_the_file_is_an_attachment_that_no_cache_keeps(client, rachel, db):
    client.force_login(rachel)
    confirm(client)
    answer = client.get(EXPORT)
    assert answer["Content-Disposition"].startswith('attachment; filename="history-')
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "no-store" in answer["Cache-Control"]


def test_every_column_is_documented():
    documentation = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    assert [name for name, _ in EXPORTED if f"| `{name}` |" not in documentation] == []


def test_it_staff_and_patients_export_nothing(client, ivan, petra):
    for person in (ivan, petra):
        client.force_login(person)
        confirm(client)
        assert client.get(EXPORT).status_code == 403


def test_doubt_research_and_the_sites_prevalence_are_columns(client, rachel, study):
    succeeded(study=study, by=rachel, seed=1, uncertain=True, model=RESEARCH, prevalence=0.08)
    rejected(study=study, by=rachel, seed=2)
    client.force_login(rachel)
    confirm(client)
    by_state = {row["state"]: row for row in table(client)}
    judged, declined = by_state["succeeded"], by_state["rejected"]
    assert (judged["uncertain"], judged["prevalence"], judged["model_status"]) == ("yes", "0.0800", "research")
    assert (declined["uncertain"], declined["prevalence"]) == ("", "")
