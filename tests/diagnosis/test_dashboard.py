"""The administrator's dashboard: figures of the house, each with its table and its way to what it counts."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, Patient
from diagnosis import actions, dashboard
from diagnosis.dashboard import Span
from diagnosis.models import Analysis, Image, Report
from diagnosis.templatetags.governance import bytes_words
from portal import jobs
from portal.bench.history_data import fill
from portal.jobs import State
from tests.fixture_models import registered
from tests.fixture_results import MODEL, SHARP, failed, filed, rejected, released, succeeded, with_report

ADDRESS = "/dashboard/"


def page(client, user, query: str = "") -> str:
    client.force_login(user)
    response = client.get(ADDRESS + query)
    assert response.status_code == 200
    return unescape(response.content.decode()).replace("\N{NO-BREAK SPACE}", " ")


def row(html: str, heading: str, *, table: str = "") -> tuple[str, str]:
    """The number and the address in the row of a table; the first such row from ``table`` (an id) on."""
    html = html[html.index(f'id="{table}"') :] if table else html
    found = re.search(rf'<th scope="row">{re.escape(heading)}</th><td[^>]*><a href="([^"]*)">([^<]*)</a>', html)
    assert found, heading
    return found[2], found[1]


def tile(html: str, name: str) -> tuple[str, str]:
    found = re.search(rf'<a href="([^"]*)">([^<]*)</a></div><div class="name">{re.escape(name)}<', html)
    assert found, name
    return found[2], found[1]


def asked_days_ago(analysis: Analysis, days: int) -> None:
    Analysis.objects.filter(pk=analysis.pk).update(queued_at=timezone.now() - timedelta(days=days))


# Who


@pytest.mark.parametrize("who", ["rachel", "ivan", "petra"])
def test_it_is_the_administrators_alone(client, request, who):
    client.force_login(request.getfixturevalue(who))
    assert client.get(ADDRESS).status_code == 403


def test_it_is_their_first_page(client, adam):
    client.force_login(adam)
    assert "<h1>" in client.get(reverse("home")).content.decode()
    assert "Analyses by day" in client.get(reverse("home")).content.decode()


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_only_read(client, adam, method):
    client.force_login(adam)
    assert getattr(client, method)(ADDRESS).status_code == 405


def test_an_empty_house_says_what_comes_first(client, adam):
    html = page(client, adam)
    assert "No image was analysed in these days." in html
    assert "No model is in use." in html
    assert "<canvas" not in html, "nothing is drawn of nothing"


def test_no_patient_is_named(client, adam, study, rachel):
    succeeded(study=study, by=rachel)
    html = page(client, adam)
    for words in ("Anna", "Żółć", "MRN-001", "scan-0.png"):
        assert words not in html


# What is counted


def test_analyses_are_counted_by_what_became_of_them(client, adam, study, rachel):
    succeeded(study=study, by=rachel, seed=1, label="malignant")
    succeeded(study=study, by=rachel, seed=2, label="malignant")
    succeeded(study=study, by=rachel, seed=3, label="benign")
    rejected(study=study, by=rachel, seed=4)
    failed(study=study, by=rachel, seed=5)
    filed(study=study, by=rachel, seed=6)
    html = page(client, adam)
    counts = {name: row(html, name, table="results-table")[0] for name in dict(RESULTS)}
    assert counts == dict(RESULTS)
    assert tile(html, "Analyses")[0] == "6"
    assert tile(html, "Waiting now")[0] == "1"
    shares = re.findall(r'<td class="number">(\d+ %)</td>', html)
    assert shares == ["67 %", "33 %", "0 %"]


RESULTS = (
    ("Malignant", "2"),
    ("Benign", "1"),
    ("Normal", "0"),
    ("Refused", "1"),
    ("Failed", "1"),
    ("Cancelled", "0"),
    ("Waiting", "1"),
    ("Being analysed", "0"),
)


def test_each_number_leads_to_a_list_of_as_many(client, adam, study, rachel):
    succeeded(study=study, by=rachel, seed=1, label="malignant")
    succeeded(study=study, by=rachel, seed=2, label="benign")
    rejected(study=study, by=rachel, seed=3)
    failed(study=study, by=rachel, seed=4)
    html = page(client, adam)
    for name in dict(RESULTS):
        number, address = row(html, name, table="results-table")
        assert listed(client, address) == int(number), name
    number, address = tile(html, "Analyses")
    assert listed(client, address) == int(number) == 4
    number, address = row(html, "Sharpness")
    assert listed(client, address) == int(number) == 1


def listed(client, address: str) -> int:
    """How many analyses the history shows at an address."""
    response = client.get(address)
    assert response.status_code == 200
    return response.context["summary"]["total"]


def test_studies_and_users_lead_to_lists_of_as_many(client, adam, rachel, study):
    html = page(client, adam)
    number, address = tile(html, "Studies")
    assert client.get(address).context["page"].paginator.count == int(number) == 1
    number, address = row(html, "Radiologist")
    assert client.get(address).context["page"].paginator.count == int(number) == 1
    number, address = tile(html, "Patients")
    assert int(number) == Patient.objects.count()
    assert client.get(address).status_code == 200


def test_a_day_leads_to_that_day(client, adam, study, rachel):
    asked_days_ago(succeeded(study=study, by=rachel, seed=1), 3)
    succeeded(study=study, by=rachel, seed=2)
    html = page(client, adam, "?days=7")
    days = re.findall(r'data-value="(\d+)"><a href="(/history/\?from=[^"]+)"', html[html.index('id="days-table"') :])
    assert [int(number) for number, _ in days[:7]] == [0, 0, 0, 1, 0, 0, 1]
    assert listed(client, days[3][1]) == 1


def test_released_reports_are_counted_until_they_are_withdrawn(client, adam, study, rachel):
    report = released(succeeded(study=study, by=rachel, seed=1), by=rachel)
    with_report(succeeded(study=study, by=rachel, seed=2))
    number, address = tile(page(client, adam), "Reports released")
    assert listed(client, address) == int(number) == 1
    Report.objects.filter(pk=report.pk).update(withdrawn_at=timezone.now())
    assert tile(page(client, adam), "Reports released")[0] == "0"


# Which days


def test_what_is_older_than_the_days_asked_for_is_not_counted(client, adam, study, rachel):
    asked_days_ago(succeeded(study=study, by=rachel), 20)
    assert tile(page(client, adam, "?days=7"), "Analyses")[0] == "0"
    assert tile(page(client, adam, "?days=30"), "Analyses")[0] == "1"


@pytest.mark.parametrize("days", ["", "0", "31", "-7", "7 ", "seven", "1e9", "٧", "7\x00", "9" * 5_000])
def test_days_that_are_no_choice_are_the_usual_ones(client, adam, days):
    client.force_login(adam)
    response = client.get(ADDRESS, {"days": days})
    assert response.status_code == 200
    assert response.context["span"].days == dashboard.DEFAULT_DAYS


@pytest.mark.parametrize(("days", "points"), [(7, 7), (30, 30), (90, 90), (365, 53)])
def test_every_choice_has_all_its_points_and_counts_each_analysis_once(adam, study, rachel, days, points):
    for seed, ago in enumerate((0, 6, 29, 89, 364)):
        asked_days_ago(succeeded(study=study, by=rachel, seed=seed), ago)
    found = dashboard.by_day(adam, Span(days=days))
    assert len(found) == points
    assert sum(point.value for point in found) == {7: 2, 30: 3, 90: 4, 365: 5}[days]
    assert found[-1].last == timezone.localdate()


def test_a_day_is_a_day_of_the_site(adam, study, rachel, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    timezone.activate("Pacific/Auckland")
    try:
        analysis = succeeded(study=study, by=rachel)
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        Analysis.objects.filter(pk=analysis.pk).update(queued_at=midnight)
        found = dashboard.by_day(adam, Span(days=7))
        assert [point.value for point in found] == [0, 0, 0, 0, 0, 0, 1]
        Analysis.objects.filter(pk=analysis.pk).update(queued_at=midnight - timedelta(microseconds=1))
        found = dashboard.by_day(adam, Span(days=7))
        assert [point.value for point in found] == [0, 0, 0, 0, 0, 1, 0]
    finally:
        timezone.deactivate()


# The queue, refusals, storage


def test_the_waiting_time_is_from_asking_to_the_start(adam, study, rachel):
    for seed, seconds in enumerate((1, 2, 60)):
        analysis = succeeded(study=study, by=rachel, seed=seed)
        Analysis.objects.filter(pk=analysis.pk).update(
            started_at=Analysis.objects.get(pk=analysis.pk).queued_at + timedelta(seconds=seconds)
        )
    found = dashboard.waiting(adam, Span(days=30))
    assert (found.median, found.longest, found.n) == (timedelta(seconds=2), timedelta(seconds=60), 3)


def test_the_longest_wait_leads_to_the_image_that_waited(client, adam, study, rachel):
    quick, slow = (succeeded(study=study, by=rachel, seed=seed) for seed in (1, 2))
    for analysis, seconds in ((quick, 1), (slow, 90)):
        Analysis.objects.filter(pk=analysis.pk).update(
            started_at=Analysis.objects.get(pk=analysis.pk).queued_at + timedelta(seconds=seconds)
        )
    html = page(client, adam)
    assert re.search(rf'<dt>Longest wait</dt>\s*<dd class="number"><a href="/analyses/{slow.pk}/">', html)


def reports_line(html: str, name: str) -> tuple[str, str]:
    found = re.search(rf'<dt>{name}</dt>\s*<dd class="number"><a href="([^"]*)">([^<]*)</a>', html)
    assert found, name
    return found[2], found[1]


def test_reports_in_work_and_given_up_lead_to_lists_of_as_many(client, adam, study, rachel):
    for seed, state in enumerate((State.QUEUED, State.RUNNING, State.FAILED, State.SUCCEEDED)):
        succeeded(study=study, by=rachel, seed=seed).reports.update(state=state)
    html = page(client, adam)
    number, address = reports_line(html, "Reports in work")
    assert listed(client, address) == int(number) == 2
    number, address = reports_line(html, "Reports that could not be made")
    assert listed(client, address) == int(number) == 1
    assert "Report: <strong>could not be made</strong>" in client.get(address).content.decode()


def test_an_image_that_failed_two_checks_counts_for_both(adam, study, rachel):
    analysis = rejected(study=study, by=rachel)
    blur = analysis.quality[0]
    Analysis.objects.filter(pk=analysis.pk).update(quality=[blur, {**blur, "name": "doppler"}])
    found = dashboard.refusals(adam, Span(days=30))
    assert {bar.name: bar.value for bar in found} == {"Sharpness": 1, "Colour flow (Doppler)": 1}


def test_a_check_that_was_passed_is_no_reason(client, adam, study, rachel):
    rejected(study=study, by=rachel, quality=SHARP)
    assert {bar.name for bar in dashboard.refusals(adam, Span(days=30))} == {dashboard.ANOTHER_REASON}
    client.force_login(adam)
    assert listed(client, "/history/?reason=blur") == 0


def test_an_image_without_a_model_has_that_reason(client, adam, anna, rachel):
    mammogram = actions.create_study(acting_user=rachel, patient=anna, modality="MG")
    waits = filed(study=mammogram, by=rachel)
    actions.reject_analysis(claim=jobs.claim(Analysis, waits.pk), code=actions.NO_MODEL, reason="No model.")
    number, address = row(page(client, adam), "No model in use for this kind of image")
    assert listed(client, address) == int(number) == 1


def test_the_list_says_the_reason_and_can_take_it_away(client, adam, study, rachel):
    rejected(study=study, by=rachel)
    client.force_login(adam)
    html = client.get("/history/?reason=blur&state=rejected").content.decode()
    assert "Refused for: <strong>Sharpness</strong>" in html
    assert '<a href="/history/?state=rejected">Take this filter away</a>' in html
    assert '<input type="hidden" name="reason" value="blur" />' in html


@pytest.mark.parametrize(
    "query", ["reason=nothing", "reason=%22%5D", "released=yesterday", "released=0000-00-00", "report=made"]
)
def test_a_filter_that_makes_no_sense_is_left_out_and_said(client, adam, study, rachel, query):
    succeeded(study=study, by=rachel)
    client.force_login(adam)
    response = client.get(f"/history/?{query}")
    assert response.status_code == 200
    assert "This filter was left out." in response.content.decode()


def test_a_scanner_is_compared_whole(client, adam, study, rachel):
    succeeded(study=study, by=rachel, seed=1)
    Image.objects.update(device="GE LOGIQ E9")
    client.force_login(adam)
    assert listed(client, "/history/?scanner=GE+LOGIQ+E9") == 1
    assert listed(client, "/history/?scanner=GE") == 0
    assert listed(client, "/history/?scanner=%25") == 0


def test_storage_is_the_sum_of_what_the_rows_say(client, adam, study, rachel):
    filed(study=study, by=rachel, seed=1)
    filed(study=study, by=rachel, seed=2)
    Image.objects.update(byte_size=3 * 1024 * 1024)
    html = page(client, adam)
    assert '<dd class="number"><a href="/studies/">6.0 MB</a></dd>' in html
    assert re.search(r'<dt>Free on the disk</dt>\s*<dd class="number">[\d.]+ [MGT]B', html)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KB"), (5 * 1024**3 // 2, "2.5 GB"), (3 * 1024**5, "3072 TB")],
)
def test_bytes_are_said_in_a_size_one_can_read(size, words):
    assert bytes_words(size).replace("\N{NO-BREAK SPACE}", " ") == words


# Events, proposals, charts


def test_the_newest_rows_of_the_ledger_are_there_in_words(client, adam, rachel, study):
    succeeded(study=study, by=rachel)
    html = page(client, adam)
    assert re.search(r"The system stored a result", html)
    assert f'href="{reverse("ledger")}"' in html
    assert AuditEvent.objects.filter(action="home.viewed").exists() or AuditEvent.objects.filter(actor=adam).exists()
    assert "opened" not in html[html.index('class="event-list"') :], "who only looked is left out"
    assert AuditEvent.objects.filter(action="analysis.succeeded").exists()


def test_every_chart_is_drawn_from_a_table_of_the_page_and_nothing_is_inline(client, adam, study, rachel):
    succeeded(study=study, by=rachel)
    html = page(client, adam)
    tables = re.findall(r'data-chart="\w+" data-table="([\w-]+)"', html)
    assert sorted(tables) == ["days-table", "results-table", "shares-table"]
    for table in tables:
        assert f'<table class="figure-table" id="{table}">' in html
    assert html.count('role="img" aria-label="') == 3
    assert " style=" not in html
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)


def test_the_number_of_questions_does_not_grow_with_the_rows(
    client, adam, django_assert_max_num_queries, study, rachel
):
    registered(MODEL, active=True)
    succeeded(study=study, by=rachel)
    page(client, adam)
    fill(400)
    with django_assert_max_num_queries(32):
        client.get(ADDRESS, {"days": "365"})


def test_it_needs_no_file_of_the_site(client, adam, study, rachel, tmp_path, settings):
    """Not even the folder for images is there before the first upload."""
    succeeded(study=study, by=rachel)
    settings.MEDIA_ROOT = tmp_path / "gone"
    assert "Free on the disk" in page(client, adam)
