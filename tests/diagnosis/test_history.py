"""``/history/``: every analysis, searched, filtered, sorted and counted."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.actions import create_patient, update_patient
from diagnosis.actions import create_study
from diagnosis.models import Analysis
from diagnosis.views import history as view
from diagnosis.wording import percent
from portal.bench.history_data import fill
from tests.fixture_results import failed, filed, rejected, succeeded, with_report

HISTORY = "/history/"


@pytest.fixture
def signed_in(client, rachel):
    client.force_login(rachel)
    return client


@pytest.fixture
def bea(db):
    return create_patient(
        acting_user=None, mrn="MRN-9", given_name="Bea", family_name="Braun", birth_date="1980-01-01", sex="F"
    )


@pytest.fixture
def mixed(rachel, study, bea):
    """One analysis each: malignant and refused of Anna (ultrasound), benign and failed of Bea (mammogram)."""
    mammogram = create_study(acting_user=rachel, patient=bea, modality="MG", accession_number="ACC-7")
    return {
        "malignant": succeeded(study=study, by=rachel, seed=1, label="malignant", confidence=0.8, suspicion=8),
        "refused": rejected(study=study, by=rachel, seed=2),
        "benign": succeeded(study=mammogram, by=rachel, seed=3, label="benign", confidence=0.6, suspicion=2),
        "failed": failed(study=mammogram, by=rachel, seed=4),
    }


def shown(client, query=""):
    page = client.get(HISTORY + query, follow=True)
    assert page.status_code == 200
    return [row.pk for row in page.context["page"].rows]


def test_every_analysis_is_listed_newest_first_with_its_result_in_words(signed_in, mixed):
    page = signed_in.get(HISTORY)
    assert [row.pk for row in page.context["page"].rows] == [
        mixed[name].pk for name in ("failed", "benign", "refused", "malignant")
    ]
    text = page.content.decode()
    for words in (
        "Żółć, Anna",
        "MRN-001",
        "Braun, Bea",
        "8 of 10",
        "malignant",
        percent(0.8),
        "Refused",
        "Failed",
        "us-test",
    ):
        assert words in text


def test_the_summary_counts_what_the_filters_leave(signed_in, mixed):
    everything = signed_in.get(HISTORY).context["summary"]
    assert (everything["total"], everything["scored"]) == (4, 2)
    assert everything["mean_confidence"] == pytest.approx(0.7)
    assert {one["label"]: one["share"] for one in everything["by_label"]} == {
        "malignant": 0.5,
        "benign": 0.5,
        "normal": 0.0,
    }
    ultrasound = signed_in.get(HISTORY + "?modality=US").context["summary"]
    assert (ultrasound["total"], ultrasound["scored"]) == (2, 1)
    assert ultrasound["mean_confidence"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?label=malignant", ["malignant"]),
        ("?state=failed", ["failed"]),
        ("?modality=MG", ["failed", "benign"]),
        ("?q=zolc", ["refused", "malignant"]),
        ("?q=BRAUN+bea", ["failed", "benign"]),
        ("?q=MRN-9", ["failed", "benign"]),
        ("?q=ACC-7", ["failed", "benign"]),
        ("?q=nobody", []),
        ("?modality=MG&state=succeeded", ["benign"]),
        ("?to=2001-01-01", []),
        ("?from=2001-01-01&label=benign", ["benign"]),
    ],
)
def test_filters_narrow_the_list(signed_in, mixed, query, names):
    assert shown(signed_in, query) == [mixed[name].pk for name in names]


def test_one_patient_s_analyses_can_be_shown_alone(signed_in, mixed, bea):
    page = signed_in.get(f"{HISTORY}?patient={bea.pk}")
    assert [row.patient_id for row in page.context["page"].rows] == [bea.pk, bea.pk]
    assert "Show all patients" in page.content.decode()


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("when", ["malignant", "refused", "benign", "failed"]),
        ("patient", ["failed", "benign", "refused", "malignant"]),
        ("-patient", ["malignant", "refused", "benign", "failed"]),
        ("confidence", ["benign", "malignant"]),
        ("-confidence", ["malignant", "benign"]),
        ("-result", ["malignant", "benign"]),
        ("modality", ["failed", "benign", "refused", "malignant"]),
        ("state", ["failed", "refused"]),
        ("nonsense", ["failed", "benign", "refused", "malignant"]),
    ],
)
def test_headings_sort(signed_in, mixed, sort, names):
    rows = shown(signed_in, f"?sort={sort}")
    assert len(rows) == 4
    assert rows[: len(names)] == [mixed[name].pk for name in names]


def test_a_corrected_name_is_sorted_by_at_once(signed_in, mixed, rachel, bea):
    update_patient(acting_user=rachel, patient=bea, family_name="Zyla")
    assert shown(signed_in, "?sort=patient")[-2:] == [mixed["failed"].pk, mixed["benign"].pk][:2]
    assert Analysis.objects.filter(patient=bea, patient_name="zyla bea mrn-9").count() == 2


@pytest.mark.parametrize(
    "sort", ["-when", "patient", "-patient", "result", "confidence", "-confidence", "-model", "state"]
)
def test_pages_follow_each_other_and_lead_back_without_gap_or_repeat(signed_in, db, monkeypatch, sort):
    monkeypatch.setattr(view, "PAGE_SIZE", 7)
    fill(40)
    everything = set(Analysis.objects.values_list("pk", flat=True))
    seen, pages, query = [], [], f"?sort={sort}"
    while True:
        page = signed_in.get(HISTORY + query).context["page"]
        pages.append([row.pk for row in page.rows])
        seen += pages[-1]
        if page.after is None:
            break
        query = f"?sort={sort}&after={page.after}"
    assert len(seen) == 40
    assert set(seen) == everything
    for expected in reversed(pages[:-1]):
        page = signed_in.get(f"{HISTORY}?sort={sort}&before={page.before}").context["page"]
        assert [row.pk for row in page.rows] == expected
    assert page.before is None


def test_a_row_that_arrives_meanwhile_shifts_nothing(signed_in, rachel, study, db, monkeypatch):
    monkeypatch.setattr(view, "PAGE_SIZE", 7)
    fill(14)
    first = signed_in.get(HISTORY).context["page"]
    expected = list(Analysis.objects.order_by("-queued_at").values_list("pk", flat=True))[7:]
    filed(study=study, by=rachel)
    second = signed_in.get(f"{HISTORY}?after={first.after}").context["page"]
    assert [row.pk for row in second.rows] == expected


@pytest.mark.parametrize("position", ["x", "%00", "bnVsbA", "W10", "WyJhIiwiYiJd", "W251bGwsbnVsbF0", "9" * 4000])
def test_a_position_that_means_nothing_shows_the_first_page(signed_in, mixed, position):
    for name in ("after", "before"):
        for sort in ("-when", "confidence"):
            assert len(shown(signed_in, f"?sort={sort}&{name}={position}")) == 4


@pytest.mark.parametrize(
    "query",
    ["?from=yesterday", "?label=cancer", "?state=x", "?patient=7", "?to=9999-12-31"],
)
def test_a_filter_that_means_nothing_is_left_out_and_said_so(signed_in, mixed, query):
    page = signed_in.get(HISTORY + query)
    assert page.status_code == 200
    assert "This filter was left out." in page.content.decode()
    assert len(page.context["page"].rows) == 4


def test_links_of_the_page_keep_the_filters(signed_in, db, monkeypatch):
    monkeypatch.setattr(view, "PAGE_SIZE", 3)
    fill(40)
    text = signed_in.get(HISTORY + "?state=succeeded&sort=-confidence").content.decode()
    links = [part.split('"')[0].replace("&amp;", "&") for part in text.split('rel="next" href="')[1:]]
    assert {name: values[0] for name, values in parse_qs(urlsplit(links[0]).query).items()}.items() >= {
        "state": "succeeded",
        "sort": "-confidence",
    }.items()
    assert f"{reverse('history-export')}?state=succeeded&amp;sort=-confidence" in text


def test_htmx_gets_the_results_alone_and_a_reload_the_whole_page(signed_in, mixed):
    part = signed_in.get(HISTORY, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "MRN-001" in part
    restored = signed_in.get(HISTORY, headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in restored.content.decode()


def test_a_stored_report_can_be_downloaded_from_its_row(signed_in, mixed):
    report = with_report(mixed["malignant"])
    assert f"{reverse('report-file', args=[report.pk])}?download=1" in signed_in.get(HISTORY).content.decode()


def test_a_name_that_is_markup_is_text(signed_in, rachel):
    patient = create_patient(
        acting_user=None,
        mrn="<b>1",
        given_name="<script>alert(1)</script>",
        family_name="x",
        birth_date="1980-01-01",
        sex="F",
    )
    filed(study=create_study(acting_user=rachel, patient=patient, modality="US"), by=rachel)
    text = signed_in.get(HISTORY).content.decode()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_an_empty_history_says_what_comes_next(signed_in):
    assert "No analyses yet" in signed_in.get(HISTORY).content.decode()


def test_filters_that_leave_nothing_offer_to_clear_them(signed_in, mixed):
    assert "Clear the filters" in signed_in.get(HISTORY + "?q=nobody", follow=True).content.decode()


def test_the_number_of_queries_is_small_and_does_not_grow(signed_in, db, django_assert_max_num_queries):
    fill(60)
    signed_in.get(HISTORY)
    for query in ("", "?sort=patient", "?q=anna", "?label=malignant&from=2001-01-01"):
        with django_assert_max_num_queries(12):
            assert signed_in.get(HISTORY + query, follow=True).status_code == 200


def test_what_is_searched_for_is_in_no_address_of_the_page(signed_in, mixed, monkeypatch):
    monkeypatch.setattr(view, "PAGE_SIZE", 1)

    page = signed_in.post(HISTORY, {"q": "Braun bea", "modality": "MG", "label": ""}, follow=True)

    (address, status) = page.redirect_chain[-1]
    assert status == 303
    assert address.startswith("/history/?modality=MG&find=gAAAA")
    text = page.content.decode()
    assert [row.pk for row in page.context["page"].rows] == [mixed["failed"].pk]
    assert 'value="Braun bea"' in text
    links = [part.split('"')[0] for part in text.split('href="')[1:]]
    assert [link for link in links if "sort=" in link or "export.csv" in link]
    assert not [link for link in links if "braun" in link.lower()]
    second = next(link for link in links if "after=" in link).replace("&amp;", "&")
    assert shown(signed_in, second) == [mixed["benign"].pk]


def test_an_administrator_sees_the_history_and_it_staff_and_patients_do_not(client, adam, ivan, petra, mixed):
    client.force_login(adam)
    assert len(shown(client)) == 4
    for person in (ivan, petra):
        client.force_login(person)
        assert client.get(HISTORY).status_code == 403


def test_a_stranger_is_sent_to_the_sign_in_page(client, db):
    answer = client.get(HISTORY)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/account/login/")


def test_moments_are_in_the_zone_of_the_site(signed_in, mixed):
    moment = timezone.now() - timedelta(days=400)
    Analysis.objects.filter(pk=mixed["failed"].pk).update(queued_at=moment)
    day = timezone.localtime(moment).date().isoformat()
    assert shown(signed_in, f"?from={day}&to={day}") == [mixed["failed"].pk]
